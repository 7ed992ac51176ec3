"""The file systems of a host: an overlay on the base image, or ext4 partitions in image files of their own.

An image is a sparse file such as ``DIR/hosts/NAME/partitions/+var+log.ext4``. It is mounted through a loop
device in the supervisor's mount namespace, below the host's root, and systemd-nspawn takes the mount along.
An image gets its name when it is complete. One that was interrupted is made again.
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
#: Bytes of a size that mkfs and resize2fs may leave unused: a last group of blocks that is too small.
_REST = 8 * 2**20
#: barrier=0: hosts never wait for the machine's disk (see --suppress-sync), and a journal that did would slow
#: down each boot. discard: the machine gets back the space of files that a host deletes. noinit_itable: no
#: thread fills the sparse file with empty inode tables.
_OPTIONS = "barrier=0,discard,noinit_itable"

_MEND = "  fix:  run e2fsck -f on that file; or host-delete, then host-create"


def _image(directory: Path, place: str) -> Path:
    return directory / "partitions" / (place.replace("/", "+") + _SUFFIX)


def _made(directory: Path) -> dict[str, int]:
    """The partitions that a host has on disk: mount point -> bytes."""
    found = {}
    for image in sorted((directory / "partitions").glob(f"+*{_SUFFIX}")):
        found[image.name.removesuffix(_SUFFIX).replace("+", "/")] = image.stat().st_size
    return found


def refuse_loss(directory: Path, record: HostRecord, *, wanted: Mapping[str, str]) -> None:
    """Raise LabError if a host would lose data by a change to the wanted partitions.

    directory: the host's directory in the lab. record: the present record of the host.
    """
    made = _made(directory)
    overlay = record.prepared and "/" not in made
    lab_partitions.refuse_loss(record.name, made, wanted=wanted, overlay=overlay)


async def mount(directory: Path, root: Path, *, record: HostRecord) -> None:
    """Mount all file systems of a host at root, and make or grow its partitions as recorded.

    The files at the mount point of a new partition move into it. Raises LabError and OSError. The caller then
    unmounts root, and everything below it goes away with it.
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
            await _grow_and_mount(image, root, place=place, size=size)
        elif place == "/":
            await _make_root(image, record)
            await _grow_and_mount(image, root, place=place, size=size)
        else:
            await _make(image, root, place=place, size=size)


async def _make_root(image: Path, record: HostRecord) -> None:
    """Copy the base image's file system, in its small size, and give the copy a new UUID."""
    base, new = root_image(record.image), _unfinished(image)
    if not base.is_file():
        raise LabError(
            f"the host's base image {record.image} is missing from the cache ({base})\n"
            "  fix:  host-delete, then host-create"
        )
    await children.run(
        ["cp", "--sparse=always", "--reflink=auto", str(base), str(new)], "copying the base image"
    )
    await children.run(["tune2fs", "-U", "random", str(new)], "giving / a UUID")
    new.rename(image)


async def _make(image: Path, root: Path, *, place: str, size: str) -> None:
    """Make a new file system, move the files at its mount point into it, and mount it there."""
    new = _unfinished(image)
    with new.open("xb") as stream:
        stream.truncate(size_in_bytes(size))
    try:
        await children.run([*MKFS, str(new)], f"making partition {place}")
        with ExitStack() as closing:
            below = _open_below(root, place)
            closing.callback(os.close, below)
            _mount_image(await loops.free(new), new, target=below)
            inside = _open_below(root, place)
            closing.callback(os.close, inside)
            try:
                await children.run(
                    # Through descriptors, because the mount hides the files, and a symbolic link could lead
                    # elsewhere.
                    ["cp", "-ax", f"/proc/self/fd/{below}/.", f"/proc/self/fd/{inside}/"],
                    f"moving the host's files at {place} into the partition",
                    descriptors=[below, inside],
                )
            except LabError as error:
                raise LabError(
                    f"{error}\n  rule: the files at {place} move into its partition of {size}\n"
                    "  fix:  make the partition larger, or leave it out"
                ) from error
            new.rename(image)
            # Files that cannot be removed are hidden by the mount and only take room.
            with suppress(LabError):
                await children.run(
                    ["find", f"/proc/self/fd/{below}/", "-xdev", "-mindepth", "1", "-delete"],
                    f"emptying {place}",
                    descriptors=[below],
                )
    finally:
        new.unlink(missing_ok=True)


def _unfinished(image: Path) -> Path:
    return image.with_name(f".{image.name}")


async def _grow_and_mount(image: Path, root: Path, *, place: str, size: str) -> None:
    """Grow a partition to its size if it is smaller, and mount it."""
    wanted = size_in_bytes(size)
    descriptor = await loops.free(image)
    try:
        grows = os.fstat(descriptor).st_size < wanted
        if grows:
            os.ftruncate(descriptor, wanted)
        # The second condition is true if a run before was interrupted after the file had grown.
        if grows or wanted - _file_system_bytes(descriptor) >= _REST:
            # It is not mounted, because growing a mounted one needs CAP_SYS_RESOURCE, which root may lack.
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
        _mount_image(descriptor, image, target=target)
    finally:
        os.close(target)


def _file_system_bytes(descriptor: int) -> int:
    """The size of the ext4 file system in a file, from its superblock."""
    low, high = os.pread(descriptor, 4, 1024 + 0x4), os.pread(descriptor, 4, 1024 + 0x150)
    return (int.from_bytes(low, "little") | int.from_bytes(high, "little") << 32) * _BLOCK


def _mount_image(descriptor: int, image: Path, *, target: int) -> None:
    """Mount the open file of an image on the open directory target, and close the file."""
    try:
        device, user = loops.attach(descriptor, image)
    finally:
        os.close(descriptor)
    try:
        place = f"/proc/self/fd/{target}"
        namespaces.mount(device, place, kind="ext4", flags=namespaces.MS_NOATIME, options=_OPTIONS)
    except OSError as error:
        raise LabError(
            f"{image}: {error}\n"
            f"  rule: the file must hold a sound ext4 file system, and the kernel must have ext4\n{_MEND}"
        ) from error
    finally:
        os.close(user)


def _open_below(root: Path, place: str) -> int:
    """Open a directory of the host. It and those above it are made if they are missing.

    Symbolic links of the host are not followed, because they would lead into the machine's own files. Raises
    LabError if a part of the path is not a directory.
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
                f"partition {place}: {name} in this path is not a directory of the host ({error.strerror})\n"
                "  rule: the path of a mount point must not contain a symbolic link\n"
                "  fix:  give the path that the link leads to"
            ) from error
        finally:
            os.close(descriptor)
        descriptor = following
    return descriptor


def _mount_base(directory: Path, record: HostRecord) -> None:
    base = image_directory(record.image)
    if not base.is_dir():
        raise LabError(
            f"the host's base image {record.image} is missing from the cache ({base})\n"
            "  fix:  host-delete, then host-create"
        )
    for name in ("upper", "work"):
        (directory / name).mkdir(parents=True, exist_ok=True)
    # Relative paths keep the options short and free of characters that have a meaning in them.
    before = Path.cwd()
    os.chdir(directory)
    try:
        (directory / "base").unlink(missing_ok=True)
        (directory / "base").symlink_to(base)
        _mount_overlay()
    except OSError as error:
        if error.errno == errno.ESTALE:
            raise LabError(
                f"the host's files belong to a base image other than {record.image}\n"
                "  fix:  host-delete, then host-create"
            ) from error
        raise LabError(
            f"{error} (the lab's directory must be on a local file system such as ext4)"
        ) from error
    finally:
        os.chdir(before)


def _mount_overlay() -> None:
    # index=on makes the kernel refuse an upper layer that belongs to another base, or that another mount
    # still uses, such as the one of the last run while it ends.
    options = "index=on,lowerdir=base,upperdir=upper,workdir=work"
    deadline = time.monotonic() + _OVERLAY_SECONDS
    while True:
        try:
            namespaces.mount("lab", "root", kind="overlay", options=options)
            return
        except OSError as error:
            if error.errno != errno.EBUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def wait_until_free(paths: LabPaths) -> None:
    """Wait until no image of an ended lab is mounted, for half a minute at most.

    The kernel unmounts the images some time after the processes have ended. Files that are removed before
    that still take room.
    """
    deadline = time.monotonic() + _FREE_SECONDS
    for image in [*paths.hosts.glob("*/partitions/*"), *paths.trash.glob("*/partitions/*")]:
        while loops.attached(image) and time.monotonic() < deadline:
            time.sleep(0.01)
