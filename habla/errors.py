"""The exceptions of habla: each says what is wrong, the value, the rule it breaks and how to mend it.

Errors also derive from the builtin that fits, so that callers who do not know habla can catch them.
This module imports nothing of habla: every other room may import it.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import KW_ONLY, dataclass, replace

__all__ = [
    "AddressError",
    "DialectError",
    "Fault",
    "Faults",
    "HablaError",
    "LabError",
    "PlacementError",
    "SettingsError",
    "collected",
    "did_you_mean",
    "not_one_of",
    "one_edit_apart",
    "raise_faults",
]


# The path of a fault of one host, and how many hosts with the same fault are named.
_HOST_PATH = re.compile(r"hosts\.([^.]+)(.*)")
_MOST_NAMED = 3


@dataclass(frozen=True, order=True)
class Fault:
    """One thing that is wrong.

    path: where, as a YAML path (``hosts.front1.role``) or a file name.
    what: the fault in a few words.
    value: the offending value as the user wrote it; never a secret.
    rule: the rule that it breaks.
    fix: what to do about it.
    """

    path: str
    what: str
    _: KW_ONLY
    value: str = ""
    rule: str = ""
    fix: str = ""

    def __str__(self) -> str:
        value = f" ({self.value})" if self.value else ""
        parts = [f"{self.path}: {self.what}{value}"]
        if self.rule:
            parts.append(f"  rule: {self.rule}")
        if self.fix:
            parts.append(f"  fix:  {self.fix}")
        return "\n".join(parts)


def did_you_mean(name: str, known: Collection[str], *, otherwise: str) -> str:
    """The fix of an unknown name: the known names that are most like it, or ``otherwise``."""
    close = one_edit_apart(name, known)[:_MOST_NAMED] or difflib.get_close_matches(name, known, n=1)
    return f"did you mean {' or '.join(close)}?" if close else otherwise


def one_edit_apart(name: str, known: Collection[str]) -> list[str]:
    """The known names that ``name`` becomes with one character added, removed, replaced or swapped."""
    return [other for other in known if _is_one_edit(name, other)]


def _is_one_edit(name: str, other: str) -> bool:
    """Whether one character is missing, too many, another one, or has changed places with the next."""
    pairs = zip(name, other, strict=False)
    start = next((at for at, (one, two) in enumerate(pairs) if one != two), min(len(name), len(other)))
    one, two = name[start:], other[start:]
    swapped = one[:2] == two[:2][::-1] and one[2:] == two[2:]
    return name != other and (swapped or one[1:] in (two, two[1:]) or one == two[1:])


def not_one_of(path: str, what: str, *, value: str, known: Collection[str]) -> Fault:
    """A name that is not known, with the known name that is most like it."""
    fix = did_you_mean(value, known, otherwise="choose one of these")
    return Fault(path, what, value=value, rule=f"known: {', '.join(known)}", fix=fix)


class HablaError(Exception):
    """The base of all errors of habla."""


class Faults(HablaError, ValueError):
    """One or more faults, all that were found, reported together.

    faults: sorted by path, without repetition.
    """

    faults: tuple[Fault, ...]

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(sorted(set(faults)))
        shown = _together(self.faults)
        head = f"{len(shown)} fault{'s' if len(shown) != 1 else ''}:"
        super().__init__("\n".join([head, *(str(fault) for fault in shown)]))


def _together(faults: tuple[Fault, ...]) -> list[Fault]:
    """The faults as people read them: one that many hosts have alike is one, with their names."""
    groups: dict[Fault, list[Fault]] = {}
    for fault in faults:
        found = _HOST_PATH.fullmatch(fault.path)
        groups.setdefault(replace(fault, path=f"hosts.*{found[2]}") if found else fault, []).append(fault)
    shown: list[Fault] = []
    for common, members in groups.items():
        if len(members) <= _MOST_NAMED:
            shown += members
            continue
        hosts = ", ".join(fault.path.split(".")[1] for fault in members[:_MOST_NAMED])
        names = f"{{{hosts} and {len(members) - _MOST_NAMED} more}}"
        shown.append(replace(common, path=common.path.replace("*", names, 1)))
    return shown


class SettingsError(Faults):
    """The settings of a stack have faults."""


class AddressError(Faults):
    """The addresses of the hosts cannot be planned."""


class PlacementError(Faults):
    """A service is on a host where it must not run."""


class DialectError(Faults):
    """A HAProxy config needs an option that the chosen dialect does not have."""


class LabError(HablaError, RuntimeError):
    """A lab cannot be made, changed or removed on this machine."""


def raise_faults(kind: type[Faults], faults: Iterable[Fault]) -> None:
    """Raise ``kind`` with all the faults, if there are any."""
    found = tuple(faults)
    if found:
        raise kind(found)


@contextmanager
def collected(faults: list[Fault]) -> Iterator[None]:
    """Keep the faults that the block raises, so that others are found as well before they are raised."""
    try:
        yield
    except Faults as error:
        faults.extend(error.faults)
