"""Loop devices: a file as a block device for as long as it is mounted.

The kernel detaches a device when its last user is gone (autoclear), so it ends together with the mount.
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
# struct loop_config: the file, a block size that the kernel chooses, a struct loop_info64 in which only
# lo_flags is set, and eight reserved words.
_CONFIG = struct.Struct("=II 52x I 176x 64x")
#: At its end, the last user of a file may have to write all changed memory of the host back to it.
_SECONDS = 60.0


async def free(image: Path) -> int:
    """Wait until the file is not mounted, open and lock it, and return the file descriptor.

    The lock prevents two mounts of one file, which would destroy it. A loop device holds the open file, and
    with it the lock, until the kernel has unmounted and detached it. Raises LabError if that takes more than
    a minute, and FileNotFoundError if there is no such file.
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
                    f"an earlier run of the host still uses {image} after {_SECONDS:.0f} s"
                ) from error
        except BaseException:
            os.close(descriptor)
            raise
        await asyncio.sleep(0.01)


def attached(image: Path) -> bool:
    """Whether the file is locked for a mount. False if there is no such file."""
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
    """Attach the open file of an image to a free loop device.

    Returns the path of the device and a file descriptor, which the caller closes when the device is mounted.
    Raises LabError if the machine has no loop devices.
    """
    try:
        control = os.open("/dev/loop-control", os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise LabError(
            "partitions need loop devices, but this machine has no /dev/loop-control\n"
            "  fix:  modprobe loop, on a kernel that has this module"
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
                    raise LabError(
                        f"the lab cannot attach {image} to /dev/loop{number}: {error.strerror}"
                    ) from error
                continue  # another program has taken it
            return f"/dev/loop{number}", device
    finally:
        os.close(control)


def _open(number: int) -> int:
    path = f"/dev/loop{number}"
    if not Path(path).exists():
        # If /dev is not a devtmpfs, a device that the kernel has just made has no node.
        major, minor = Path(f"/sys/block/loop{number}/dev").read_text().split(":")
        with suppress(FileExistsError):
            os.mknod(path, stat.S_IFBLK | 0o660, os.makedev(int(major), int(minor)))
    return os.open(path, os.O_RDWR | os.O_CLOEXEC)
