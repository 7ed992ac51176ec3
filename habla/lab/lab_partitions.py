"""The rules for the partitions of a host, which host-create gets as mount point -> size.

A size is a text such as ``512M`` or ``4G`` (M is 2**20 bytes, G is 2**30). ``volumes`` makes and mounts them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from habla.errors import LabError

__all__ = ["checked", "grown", "refuse_loss", "size_in_bytes"]

_SIZE = re.compile(r"([1-9][0-9]*)([MG])")
_UNITS = {"M": 2**20, "G": 2**30}
#: A plain path, which needs no quoting as a file name, an argument or a field of /proc/mounts.
_PLACE = re.compile(r"/|(?:/[A-Za-z0-9_][A-Za-z0-9._-]*)+")
_LONGEST_PLACE = 200
#: Every host has other mounts there: of systemd-nspawn, of systemd, and the package pool.
_TAKEN = ("/dev", "/proc", "/run", "/srv/repo", "/sys", "/tmp")
#: Room for the base image and the files of a boot; elsewhere room for a journal and a file.
_LEAST = {"/": "512M"}
_LEAST_ELSEWHERE = "16M"
#: ext4 with blocks of 4096 bytes.
_MOST = "16000G"


def size_in_bytes(text: str) -> int:
    """The bytes of a size such as ``512M``. Raises ValueError for another form."""
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a size")
    return int(match[1]) * _UNITS[match[2]]


def checked(host: str, asked: Any) -> dict[str, str]:
    """The partitions that were asked for, sorted by mount point. None means no partitions.

    host: the name of the host, for the error. Raises LabError with the fault, the value, the rule and the
    fix.
    """
    if asked is None:
        return {}
    if not isinstance(asked, Mapping):
        raise _error(
            f"host {host}: partitions {asked!r}",
            rule="a mapping of mount points to sizes",
            fix='{"/var/log": "512M"}',
        )
    for place, size in asked.items():
        _check_place(host, place)
        _check_size(host, place, size=size)
    return dict(sorted(asked.items()))


def _check_place(host: str, place: str) -> None:
    what = f"host {host}: partition {place!r}"
    if not _PLACE.fullmatch(place) or len(place) > _LONGEST_PLACE:
        raise _error(
            what,
            rule="an absolute path in its shortest form, of letters, digits and ._- in which no name begins "
            f"with a dot or hyphen, and of at most {_LONGEST_PLACE} characters",
            fix='use a path such as "/var/log"',
        )
    for taken in _TAKEN:
        if place == taken or place.startswith(f"{taken}/"):
            raise _error(
                what,
                rule=f"a partition must not be in {taken}, where every host already has other mounts",
                fix="choose another mount point, or leave the partition out",
            )


def _check_size(host: str, place: str, *, size: Any) -> None:
    what = f"host {host}: partition {place} {size!r}"
    if not isinstance(size, str) or not _SIZE.fullmatch(size):
        rule = "a whole number and M or G (2**20 or 2**30 bytes)"
        raise _error(what, rule=rule, fix='use a size such as "512M"')
    least = _LEAST.get(place, _LEAST_ELSEWHERE)
    if not size_in_bytes(least) <= size_in_bytes(size) <= size_in_bytes(_MOST):
        raise _error(what, rule=f"{least} to {_MOST}", fix=f'use at least "{least}" and at most "{_MOST}"')


def grown(before: Mapping[str, str], after: Mapping[str, str]) -> bool:
    """Whether a partition is new or larger, which needs a restart of the host."""
    return any(
        place not in before or size_in_bytes(size) > size_in_bytes(before[place])
        for place, size in after.items()
    )


def refuse_loss(host: str, made: Mapping[str, int], *, wanted: Mapping[str, str], overlay: bool) -> None:
    """Raise LabError if a change of the partitions would lose data.

    A partition must not shrink or go away, and ``/`` must not change from an overlay to a partition.

    made: the partitions that exist, with their sizes in bytes. A partition that could not be made is not in
    it and may change. overlay: whether the files of the host are on an overlay.
    """
    again = f"keep it, or make the host again: host-delete {host}, then host-create"
    for place, size in made.items():
        if place not in wanted:
            rule = "a partition cannot be removed, because its data would be lost"
            raise _error(f"host {host}: partition {place} would be removed", rule=rule, fix=again)
        if size_in_bytes(wanted[place]) < size:
            raise _error(
                f"host {host}: partition {place} would shrink from {size // 2**20}M to {wanted[place]}",
                rule="a partition can only grow",
                fix=again,
            )
    if "/" in wanted and overlay:
        raise _error(
            f"host {host}: it cannot get a partition / of {wanted['/']}, because its files are on an overlay",
            rule="only a new host can get a partition for /",
            fix=f"leave it out, or make the host again: host-delete {host}, then host-create",
        )


def _error(what: str, *, rule: str, fix: str) -> LabError:
    return LabError(f"{what}\n  rule: {rule}\n  fix:  {fix}")
