"""What a host's partitions may be: mount point -> size, as a host-create asks for them.

A size is text, ``512M`` or ``4G`` (2**20 and 2**30 bytes). How they are made and mounted is in ``volumes``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from habla.errors import LabError

__all__ = ["checked", "grown", "refuse_loss", "size_in_bytes"]

_SIZE = re.compile(r"([1-9][0-9]*)([MG])")
_UNITS = {"M": 2**20, "G": 2**30}
#: A plain path, so that a mount point is a file name, an argument and a field of /proc/mounts as it stands.
_PLACE = re.compile(r"/|(?:/[A-Za-z0-9_][A-Za-z0-9._-]*)+")
_LONGEST_PLACE = 200
#: Mounted over in every host: by systemd-nspawn, by systemd, and the package pool.
_TAKEN = ("/dev", "/proc", "/run", "/srv/repo", "/sys", "/tmp")
#: The base image and what a host needs to boot; a journal and room for a file.
_LEAST = {"/": "512M"}
_LEAST_ELSEWHERE = "16M"
#: ext4 with blocks of 4096 bytes.
_MOST = "16000G"


def size_in_bytes(text: str) -> int:
    """Bytes of a size such as ``512M``. Raises ValueError for another form."""
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no size")
    return int(match[1]) * _UNITS[match[2]]


def checked(host: str, asked: Any) -> dict[str, str]:
    """The partitions that were asked for, sorted by mount point; None means none.

    host: the host's name, for messages. Raises LabError with what is wrong, the value, the rule and the fix.
    """
    if asked is None:
        return {}
    if not isinstance(asked, Mapping):
        raise _error(f"host {host}: partitions {asked!r}", "mount point to size", '{"/var/log": "512M"}')
    for place, size in asked.items():
        _check_place(host, place)
        _check_size(host, place, size)
    return dict(sorted(asked.items()))


def _check_place(host: str, place: str) -> None:
    what = f"host {host}: partition {place!r}"
    if not _PLACE.fullmatch(place) or len(place) > _LONGEST_PLACE:
        raise _error(
            what,
            "an absolute path in its shortest form, of letters, digits and ._- that no name begins with "
            f"a dot or hyphen, of at most {_LONGEST_PLACE} characters",
            'a path such as "/var/log"',
        )
    for taken in _TAKEN:
        if place == taken or place.startswith(f"{taken}/"):
            raise _error(
                what,
                f"not in {taken}, where every host has a mount of the lab's or of its system's",
                "another mount point, or none",
            )


def _check_size(host: str, place: str, size: Any) -> None:
    what = f"host {host}: partition {place} {size!r}"
    if not isinstance(size, str) or not _SIZE.fullmatch(size):
        raise _error(what, "a whole number and M or G (2**20 or 2**30 bytes)", 'a size such as "512M"')
    least = _LEAST.get(place, _LEAST_ELSEWHERE)
    if not size_in_bytes(least) <= size_in_bytes(size) <= size_in_bytes(_MOST):
        raise _error(what, f"{least} to {_MOST}", f'at least "{least}"')


def grown(before: Mapping[str, str], after: Mapping[str, str]) -> bool:
    """Whether some partition is new or larger: the host has to be restarted for it."""
    return any(
        place not in before or size_in_bytes(size) > size_in_bytes(before[place])
        for place, size in after.items()
    )


def refuse_loss(host: str, made: Mapping[str, int], wanted: Mapping[str, str], overlay: bool) -> None:
    """Refuse what would lose data: a partition that shrinks or goes away, or another kind of ``/``.

    made: the partitions that exist, with their sizes in bytes; one that was asked for and could not be made
    is not among them and may change freely. overlay: whether the host's files are on an overlay.
    Raises LabError.
    """
    anew = f"keep it, or make the host anew: host-delete {host}, then host-create"
    for place, size in made.items():
        if place not in wanted:
            raise _error(f"host {host}: partition {place} is to go", "a partition stays: its data", anew)
        if size_in_bytes(wanted[place]) < size:
            raise _error(
                f"host {host}: partition {place} is to shrink from {size // 2**20}M to {wanted[place]}",
                "a partition only grows",
                anew,
            )
    if "/" in wanted and overlay:
        raise _error(
            f"host {host}: partition / {wanted['/']} is asked for, and its files are on an overlay",
            "/ is a partition from the host's creation on, or never",
            f"leave it away, or make the host anew: host-delete {host}, then host-create",
        )


def _error(what: str, rule: str, fix: str) -> LabError:
    return LabError(f"{what}\n  rule: {rule}\n  fix:  {fix}")
