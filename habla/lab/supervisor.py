"""The process that every host of a lab hangs on.

It is the first process of its own PID namespace and lives in its own mount and network namespaces: when it
dies, however it dies, the kernel ends every host, mount and interface of the lab with it. Nothing is left
but the files in the lab's directory, from which ``start`` brings all of it back.
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
    """Become the lab's supervisor; never returns while the lab lives.

    ready: a file descriptor on which "ready" is written once requests are answered, or the reason why not.
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

        asyncio.run(Server(paths, config, network, machine).serve(say_ready))
    except BaseException as error:
        traceback.print_exc(file=sys.stderr)
        with suppress(OSError):  # closed when it was ready once; the log has the rest
            os.write(ready, f"{error}".encode())
        raise


def _lock(lock: int) -> None:
    """Be the only supervisor of this lab; one that was killed a moment ago may still be on its way out."""
    deadline = time.monotonic() + 10.0
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError as error:
            if time.monotonic() > deadline:
                raise LabError("the lab's supervisor of before is still there") from error
            time.sleep(0.02)


def _enter(paths: LabPaths) -> None:
    """The supervisor's own view of the machine: its processes, its cgroups, its mounts."""
    # Ended by SIGTERM all at once, like by SIGKILL; the first process of a namespace would ignore it.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Slave: our mounts stay here, while the machine can still unmount its own.
    namespaces.mount("none", "/", "", namespaces.MS_REC | namespaces.MS_SLAVE)
    # Shared: each nspawn takes a copy of our mounts along, other hosts' file systems included, and keeps it
    # out of sight. Only so does what we unmount end there, too.
    namespaces.mount("none", "/", "", namespaces.MS_REC | namespaces.MS_SHARED)
    namespaces.mount("proc", "/proc", "proc")
    cgroups.mount_unified()
    group = cgroups.ROOT / paths.identity
    cgroups.destroy(group)
    cgroups.create(group)
    cgroups.hand_down(group)
    for name in ("supervisor", "outside"):
        cgroups.create(group / name)
    cgroups.join(group / "supervisor")
    # nspawn keeps locks and sockets there, by machine name: another lab may use the same names.
    Path("/run/systemd").mkdir(exist_ok=True)
    namespaces.mount("tmpfs", "/run/systemd", "tmpfs")
