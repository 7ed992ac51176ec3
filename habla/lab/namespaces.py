"""The few Linux calls for namespaces and mounts that Python 3.11 lacks.

All raise OSError with the call and its arguments in the message. A network namespace is represented by a file
descriptor and has no name, so it disappears with the last process that holds it.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = [
    "CLONE_NEWNET",
    "CLONE_NEWNS",
    "CLONE_NEWPID",
    "MS_NOATIME",
    "MS_PRIVATE",
    "MS_REC",
    "MS_SHARED",
    "MS_SLAVE",
    "current_network",
    "entered",
    "in_child",
    "mount",
    "new_network",
    "setns",
    "unmount",
    "unshare",
]

CLONE_NEWNS = 0x00020000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000
MS_NOATIME = 0x400
MS_REC = 0x4000
MS_PRIVATE = 1 << 18
MS_SLAVE = 1 << 19
MS_SHARED = 1 << 20
_MNT_DETACH = 2

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mount.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_ulong, ctypes.c_char_p]
_libc.umount2.argtypes = [ctypes.c_char_p, ctypes.c_int]
_libc.unshare.argtypes = [ctypes.c_int]
_libc.setns.argtypes = [ctypes.c_int, ctypes.c_int]


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def unshare(flags: int) -> None:
    """Put the calling thread into new namespaces. CLONE_NEWPID applies to the next child process."""
    _check(_libc.unshare(flags), f"unshare({flags:#x})")


def setns(descriptor: int, kind: int) -> None:
    """Move the calling thread into the namespace of the file descriptor."""
    _check(_libc.setns(descriptor, kind), f"setns({kind:#x})")


def mount(source: str, target: str, *, kind: str = "", flags: int = 0, options: str = "") -> None:
    """Call mount(2). kind: the type of the file system; empty to change the propagation of a mount."""
    result = _libc.mount(
        os.fsencode(source), os.fsencode(target), kind.encode() or None, flags, options.encode() or None
    )
    _check(result, f"mount {kind or 'none'} on {target}")


def unmount(target: str) -> None:
    """Detach a mount from the tree at once. It ends when its last user ends."""
    _check(_libc.umount2(os.fsencode(target), _MNT_DETACH), f"unmount {target}")


def current_network() -> int:
    """Open the calling thread's network namespace and return the file descriptor."""
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def new_network() -> int:
    """Make a network namespace and return its file descriptor. The caller stays in its own."""
    before = current_network()
    try:
        unshare(CLONE_NEWNET)
        try:
            return current_network()
        finally:
            setns(before, CLONE_NEWNET)
    finally:
        os.close(before)


@contextmanager
def entered(network: int) -> Iterator[None]:
    """Run the block in a network namespace. A socket made in it stays there. Do not await in the block."""
    before = current_network()
    try:
        setns(network, CLONE_NEWNET)
        try:
            yield
        finally:
            setns(before, CLONE_NEWNET)
    finally:
        os.close(before)


def in_child(work: Callable[[], str]) -> str:
    """Run work in a forked child process and return its text. Its namespaces end with the child.

    Raises RuntimeError with the text of an exception in the child.
    """
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:  # pragma: no cover - a separate process
        code = 1
        try:
            os.close(reader)
            try:
                text, code = work(), 0
            except Exception as error:
                text = f"{error}"
            with os.fdopen(writer, "w") as stream:
                stream.write(text)
        finally:
            os._exit(code)
    os.close(writer)
    with os.fdopen(reader) as stream:
        text = stream.read()
    _, status = os.waitpid(pid, 0)
    if status != 0:
        raise RuntimeError(text or f"a child process ended with status {status}")
    return text
