"""The process that runs all hosts of a lab.

It is the first process of its own PID namespace, and it has its own mount and network namespaces. When it
ends, for whatever reason, the kernel ends every host, mount and interface of the lab with it. Only the files
in the lab's directory are left, from which ``start`` brings back all of it.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import sys
import time
import traceback
from contextlib import suppress
from pathlib import Path

from habla.errors import LabError
from habla.lab import cgroups, namespaces, records
from habla.lab.lab_network import LabNetwork
from habla.lab.paths import LabPaths
from habla.lab.server import Server

__all__ = ["supervise"]


def supervise(paths: LabPaths, ready: int) -> None:
    """Become the supervisor of the lab. Does not return while the lab runs.

    ready: a file descriptor. The supervisor writes "ready" to it when it can answer requests, or the reason
    why it cannot start.
    """
    try:
        config = records.read_config(paths)
        if config is None:
            raise LabError(f"{paths.root} holds no lab")
        paths.supervisor_lock.parent.mkdir(parents=True, exist_ok=True)
        lock = os.open(paths.supervisor_lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        _lock(lock)
        machine = namespaces.current_network()
        flags = namespaces.CLONE_NEWNS | namespaces.CLONE_NEWPID | namespaces.CLONE_NEWNET
        namespaces.unshare(flags)
        if os.fork() != 0:
            os._exit(0)
        _enter(paths)
        network = LabNetwork(config)
        network.build()

        def say_ready() -> None:
            os.write(ready, b"ready")
            os.close(ready)

        asyncio.run(Server(paths, config, network=network, machine=machine).serve(say_ready))
    except BaseException as error:
        traceback.print_exc(file=sys.stderr)
        with suppress(OSError):  # it is closed if the supervisor was ready; the log has the error
            os.write(ready, f"{error}".encode())
        raise


def _lock(lock: int) -> None:
    """Take the lock of the supervisor. A supervisor that was just killed may hold it for a moment."""
    deadline = time.monotonic() + 10.0
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError as error:
            if time.monotonic() > deadline:
                words = "another supervisor of this lab still runs; try again, or run lab-delete"
                raise LabError(words) from error
            time.sleep(0.02)


def _enter(paths: LabPaths) -> None:
    """Set up the supervisor's own view of the machine: its processes, cgroups and mounts."""
    # SIGTERM ends everything at once, like SIGKILL. Without this the first process of a namespace ignores it.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Slave: mounts of the lab stay in this namespace, and the machine can still unmount its own.
    namespaces.mount("none", "/", flags=namespaces.MS_REC | namespaces.MS_SLAVE)
    # Shared: each nspawn has a hidden copy of the supervisor's mounts, with the file systems of other hosts.
    # If the mounts are shared, an unmount also takes effect in these copies.
    namespaces.mount("none", "/", flags=namespaces.MS_REC | namespaces.MS_SHARED)
    namespaces.mount("proc", "/proc", kind="proc")
    cgroups.mount_unified()
    group = cgroups.ROOT / paths.identity
    cgroups.destroy(group)
    cgroups.create(group)
    cgroups.hand_down(group)
    for name in ("supervisor", "outside"):
        cgroups.create(group / name)
    cgroups.join(group / "supervisor")
    # nspawn keeps locks and sockets there by machine name, and another lab may use the same names.
    Path("/run/systemd").mkdir(exist_ok=True)
    namespaces.mount("tmpfs", "/run/systemd", kind="tmpfs")
