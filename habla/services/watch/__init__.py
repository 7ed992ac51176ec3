"""The watcher: tells somebody before a partition fills, and when a host or the monitor is dead."""

from habla.services.watch.service import PROGRAM, Guard, Peer, Watch

__all__ = ["PROGRAM", "Guard", "Peer", "Watch"]
