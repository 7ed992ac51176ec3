"""Loop devices: a file as a block device, for as long as it is mounted.

A device detaches itself with its last user (autoclear), so the kernel ends it together with the mount.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import stat
import struct
import time
from contextlib import suppress
from pathlib import Path

from habla.errors import LabError

__all__ = ["attach", "attached", "free"]

_LOOP_CONFIGURE = 0x4C0A
_LOOP_CTL_GET_FREE = 0x4C82
_AUTOCLEAR = 4
# struct loop_config: the file, a block size of the kernel's choice, struct loop_info64 of which only lo_flags
# is given, eight reserved words.
_CONFIG = struct.Struct("=II 52x I 176x 64x")
#: What the last user of a file writes back at its end may be all of the memory that the host dirtied.
_SECONDS = 60.0


async def free(image: Path) -> int:
    """Open the file for one life of it, and wait until its last one is over; returns the file descriptor.

    The lock on it is the guard against two mounts of one file, which would destroy it: a loop device holds
    the open file that it was given, and thereby the lock, until the kernel has unmounted and detached it.
    Raises LabError when that takes more than a minute, FileNotFoundError when there is no such file.
    """
    descriptor = os.open(image, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    deadline = time.monotonic() + _SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return descriptor
        except BlockingIOError as error:
            if time.monotonic() > deadline:
                os.close(descriptor)
                raise LabError(
                    f"{image} is still mounted after {_SECONDS:.0f} s by an earlier life"
                ) from error
        except BaseException:
            os.close(descriptor)
            raise
        await asyncio.sleep(0.01)


def attached(image: Path) -> bool:
    """Whether somebody holds the file for a life of it; False when there is no such file any more."""
    try:
        descriptor = os.open(image, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(descriptor)


def attach(descriptor: int, image: Path) -> tuple[str, int]:
    """Attach the open file of an image to a loop device that no one has.

    Returns the device's path and a file descriptor of it: close that once the device is mounted.
    Raises LabError when the machine has no loop devices.
    """
    try:
        control = os.open("/dev/loop-control", os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise LabError(
            "partitions need loop devices, and there is no /dev/loop-control\n"
            "  fix:  modprobe loop, on a kernel that has it"
        ) from error
    try:
        while True:
            number = fcntl.ioctl(control, _LOOP_CTL_GET_FREE)
            device = _open(number)
            try:
                fcntl.ioctl(device, _LOOP_CONFIGURE, _CONFIG.pack(descriptor, 0, _AUTOCLEAR))
            except OSError as error:
                os.close(device)
                if error.errno != errno.EBUSY:
                    raise LabError(f"attaching {image} to /dev/loop{number}: {error.strerror}") from error
                continue  # somebody else was quicker
            return f"/dev/loop{number}", device
    finally:
        os.close(control)


def _open(number: int) -> int:
    path = f"/dev/loop{number}"
    if not Path(path).exists():
        # Where /dev is no devtmpfs, nobody makes the node of a device that the kernel has just made.
        major, minor = Path(f"/sys/block/loop{number}/dev").read_text().split(":")
        with suppress(FileExistsError):
            os.mknod(path, stat.S_IFBLK | 0o660, os.makedev(int(major), int(minor)))
    return os.open(path, os.O_RDWR | os.O_CLOEXEC)
