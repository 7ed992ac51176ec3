"""The file systems of a host: an overlay on the base image, or ext4 partitions in image files of their own.

An image is a sparse file ``DIR/hosts/NAME/partitions/+var+log.ext4``, mounted through a loop device in the
supervisor's mount namespace, below the host's root, where systemd-nspawn takes it along. It has its final
name once it is whole: what was cut short is made again.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path

from habla.errors import LabError
from habla.lab import children, lab_partitions, loops, namespaces
from habla.lab.image import MKFS, image_directory, root_image
from habla.lab.lab_partitions import size_in_bytes
from habla.lab.paths import LabPaths
from habla.lab.records import HostRecord

__all__ = ["mount", "refuse_loss", "wait_until_free"]

_SUFFIX = ".ext4"
_OVERLAY_SECONDS = 5.0
_FREE_SECONDS = 30.0
_BLOCK = 4096
#: What mkfs and resize2fs leave of a size: a last group of blocks that is too small to be of use.
_REST = 8 * 2**20
#: barrier=0: the machine's page cache is all that holds a host's files (see --suppress-sync), and a journal
#: that waits for the machine's disk would make each boot wait. discard: what a host deletes, the machine gets
#: back. noinit_itable: no thread that fills the sparse file with empty inode tables.
_OPTIONS = "barrier=0,discard,noinit_itable"

_MEND = "  fix:  e2fsck -f of that file; or host-delete, then host-create"


def _image(directory: Path, place: str) -> Path:
    return directory / "partitions" / (place.replace("/", "+") + _SUFFIX)


def _made(directory: Path) -> dict[str, int]:
    """The partitions that a host has on disk: mount point to bytes."""
    found = {}
    for image in sorted((directory / "partitions").glob(f"+*{_SUFFIX}")):
        found[image.name.removesuffix(_SUFFIX).replace("+", "/")] = image.stat().st_size
    return found


def refuse_loss(directory: Path, record: HostRecord, wanted: Mapping[str, str]) -> None:
    """Refuse partitions that an existing host cannot change to without losing data. Raises LabError.

    directory: the host's place in the lab. record: the host as it is.
    """
    made = _made(directory)
    lab_partitions.refuse_loss(record.name, made, wanted, record.prepared and "/" not in made)


async def mount(directory: Path, root: Path, record: HostRecord) -> None:
    """Mount all file systems of a host at root, making and growing its partitions as recorded.

    A partition that is new takes up what the host has at its mount point. Raises LabError and OSError; what
    is mounted by then goes away with root.
    """
    root.mkdir(parents=True, exist_ok=True)
    (directory / "partitions").mkdir(exist_ok=True)
    for image in (directory / "partitions").glob(".*"):
        image.unlink()
    if "/" not in record.partitions:
        _mount_base(directory, record)
    for place, size in sorted(record.partitions.items()):  # /var before /var/log
        image = _image(directory, place)
        if image.exists():
            await _grow_and_mount(image, root, place, size)
        elif place == "/":
            await _make_root(image, record)
            await _grow_and_mount(image, root, place, size)
        else:
            await _make(image, root, place, size)


async def _make_root(image: Path, record: HostRecord) -> None:
    """A copy of the base image's file system, with a UUID of its own; as small as that is."""
    base, new = root_image(record.image), _unfinished(image)
    if not base.is_file():
        raise LabError(
            f"its base image {record.image} is gone from the cache ({base})\n"
            "  fix: host-delete, then host-create"
        )
    await children.run(
        ["cp", "--sparse=always", "--reflink=auto", str(base), str(new)], "copying the base image"
    )
    await children.run(["tune2fs", "-U", "random", str(new)], "giving / a UUID")
    new.rename(image)


async def _make(image: Path, root: Path, place: str, size: str) -> None:
    """A new file system with what is at its mount point, mounted there."""
    new = _unfinished(image)
    with new.open("xb") as stream:
        stream.truncate(size_in_bytes(size))
    try:
        await children.run([*MKFS, str(new)], f"making partition {place}")
        with ExitStack() as closing:
            below = _open_below(root, place)
            closing.callback(os.close, below)
            _mount_image(await loops.free(new), new, below)
            inside = _open_below(root, place)
            closing.callback(os.close, inside)
            try:
                await children.run(
                    # Each through its descriptor: the mount hides the one, and no symbolic link leads astray.
                    ["cp", "-ax", f"/proc/self/fd/{below}/.", f"/proc/self/fd/{inside}/"],
                    f"moving what the host has there into partition {place}",
                    [below, inside],
                )
            except LabError as error:
                raise LabError(
                    f"{error}\n  rule: what is at {place} moves into its partition of {size}\n"
                    "  fix:  a larger one, or none"
                ) from error
            new.rename(image)
            # What could not be removed only takes room, out of sight.
            with suppress(LabError):
                await children.run(
                    ["find", f"/proc/self/fd/{below}/", "-xdev", "-mindepth", "1", "-delete"],
                    f"emptying {place}",
                    [below],
                )
    finally:
        new.unlink(missing_ok=True)


def _unfinished(image: Path) -> Path:
    return image.with_name(f".{image.name}")


async def _grow_and_mount(image: Path, root: Path, place: str, size: str) -> None:
    wanted = size_in_bytes(size)
    descriptor = await loops.free(image)
    try:
        grows = os.fstat(descriptor).st_size < wanted
        if grows:
            os.ftruncate(descriptor, wanted)
        # Or the file grew before, and what was to follow was cut short.
        if grows or wanted - _file_system_bytes(descriptor) >= _REST:
            # Not mounted: growing it mounted takes CAP_SYS_RESOURCE, which not every machine's root has.
            try:
                await children.run(["e2fsck", "-fy", str(image)], f"checking {image}", accept=(0, 1))
                await children.run(["resize2fs", str(image)], f"growing partition {place} to {size}")
            except LabError as error:
                raise LabError(f"{error}\n{_MEND}") from error
        target = _open_below(root, place)
    except BaseException:
        os.close(descriptor)
        raise
    try:
        _mount_image(descriptor, image, target)
    finally:
        os.close(target)


def _file_system_bytes(descriptor: int) -> int:
    """How large the ext4 file system in a file says that it is."""
    low, high = os.pread(descriptor, 4, 1024 + 0x4), os.pread(descriptor, 4, 1024 + 0x150)
    return (int.from_bytes(low, "little") | int.from_bytes(high, "little") << 32) * _BLOCK


def _mount_image(descriptor: int, image: Path, target: int) -> None:
    """Mount a file that is open, and closed here, on the directory that is open as target."""
    try:
        device, user = loops.attach(descriptor, image)
    finally:
        os.close(descriptor)
    try:
        namespaces.mount(device, f"/proc/self/fd/{target}", "ext4", namespaces.MS_NOATIME, _OPTIONS)
    except OSError as error:
        raise LabError(
            f"{image}: {error}\n"
            f"  rule: an ext4 file system, which the kernel knows (/proc/filesystems)\n{_MEND}"
        ) from error
    finally:
        os.close(user)


def _open_below(root: Path, place: str) -> int:
    """Open a directory of the host, making it and those above, without following the host's symbolic links.

    They would lead into the machine's own files. Raises LabError when something else is in the way.
    """
    flags = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(root, flags)
    for name in filter(None, place.split("/")):
        try:
            with suppress(FileExistsError):
                os.mkdir(name, dir_fd=descriptor)
                os.chmod(name, 0o755, dir_fd=descriptor)
            following = os.open(name, flags, dir_fd=descriptor)
        except OSError as error:
            raise LabError(
                f"partition {place}: {name} in it is no directory of the host's ({error.strerror})\n"
                "  rule: no symbolic link leads to a mount point\n  fix:  the path that the link leads to"
            ) from error
        finally:
            os.close(descriptor)
        descriptor = following
    return descriptor


def _mount_base(directory: Path, record: HostRecord) -> None:
    base = image_directory(record.image)
    if not base.is_dir():
        raise LabError(
            f"its base image {record.image} is gone from the cache ({base})\n"
            "  fix: host-delete, then host-create"
        )
    for name in ("upper", "work"):
        (directory / name).mkdir(parents=True, exist_ok=True)
    # Relative paths keep the options short and free of the characters that overlay gives a meaning.
    before = Path.cwd()
    os.chdir(directory)
    try:
        (directory / "base").unlink(missing_ok=True)
        (directory / "base").symlink_to(base)
        _mount_overlay()
    except OSError as error:
        if error.errno == errno.ESTALE:
            raise LabError(
                f"its base image {record.image} is not the one that its files stand on\n"
                "  fix: host-delete, then host-create"
            ) from error
        raise LabError(f"{error} (the lab's directory must be on a plain file system)") from error
    finally:
        os.chdir(before)


def _mount_overlay() -> None:
    # index=on makes the kernel refuse an upper layer that belongs to another base, or that another mount
    # still uses: the last life's, while it is being torn down.
    options = "index=on,lowerdir=base,upperdir=upper,workdir=work"
    deadline = time.monotonic() + _OVERLAY_SECONDS
    while True:
        try:
            namespaces.mount("lab", "root", "overlay", 0, options)
            return
        except OSError as error:
            if error.errno != errno.EBUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def wait_until_free(paths: LabPaths) -> None:
    """Wait until no image of a lab whose processes have ended is mounted any more, for half a minute at most.

    The kernel unmounts behind the processes: files that were removed before would take room meanwhile.
    """
    deadline = time.monotonic() + _FREE_SECONDS
    for image in [*paths.hosts.glob("*/partitions/*"), *paths.trash.glob("*/partitions/*")]:
        while loops.attached(image) and time.monotonic() < deadline:
            time.sleep(0.01)
