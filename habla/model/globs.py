"""Whether two globs of paths can match one file, as logrotate and glob(7) read them."""

from __future__ import annotations

import functools
import re

__all__ = ["overlap"]

_TOKEN = re.compile(r"\[[!^]?\]?[^\]]*\]|.", re.DOTALL)


# Many hosts have the same few logs.
@functools.lru_cache(maxsize=100_000)
def overlap(one: str, other: str) -> bool:
    """Whether some path matches both. ``*`` and ``?`` match neither a slash nor a dot at the beginning."""
    ones, others = _normal(one).split("/"), _normal(other).split("/")
    return len(ones) == len(others) and all(map(_names_overlap, ones, others))


def _normal(path: str) -> str:
    """The path without double slashes and single dots."""
    return re.sub(r"/(?:\.?/)+", "/", path)


def _names_overlap(one: str, other: str) -> bool:
    left, right = _TOKEN.findall(one), _TOKEN.findall(other)

    @functools.cache
    def meet(i: int, j: int) -> bool:
        if i == len(left) and j == len(right):
            return True
        if i < len(left) and left[i] == "*":
            return meet(i + 1, j) or (j < len(right) and _fits(right, j) and meet(i, j + 1))
        if j < len(right) and right[j] == "*":
            return meet(i, j + 1) or (i < len(left) and _fits(left, i) and meet(i + 1, j))
        return i < len(left) and j < len(right) and _tokens_meet(left[i], right[j]) and meet(i + 1, j + 1)

    return meet(0, 0)


def _fits(tokens: list[str], index: int) -> bool:
    """Whether ``*`` of the other glob can match this token."""
    return not (index == 0 and tokens[0] == ".")


def _tokens_meet(one: str, other: str) -> bool:
    """Whether one character matches both. Two sets of characters are taken to have one in common."""
    for set_or_any, single in ((one, other), (other, one)):
        if len(single) == 1 and single != "?":
            if set_or_any == "?":
                return True
            if len(set_or_any) > 1:
                return _in_set(single, set_or_any)
            return set_or_any == single
    return True


def _in_set(char: str, text: str) -> bool:
    inner = text[1:-1]
    negated = inner[:1] in ("!", "^")
    members = re.escape(inner[negated:]).replace(r"\-", "-")
    try:
        return (re.match(f"[{members}]", char) is None) == negated
    except re.error:
        return True
