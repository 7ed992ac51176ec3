"""Two globs of logs overlap when a file could match both."""

from __future__ import annotations

import fnmatch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from habla.model.globs import overlap


@pytest.mark.parametrize(
    ("one", "other", "wanted"),
    [
        ("/var/log/a.log", "/var/log/a.log", True),
        ("/var/log/a.log", "/var/log/b.log", False),
        ("/var/log/*.log", "/var/log/a.log", True),
        ("/var/log/*", "/var/log/x/a.log", False),
        ("/var/log/*/a.log", "/var/log/x/*.log", True),
        ("/var/log/a*", "/var/log/*b", True),
        ("/var/log/a*c", "/var/log/ab", False),
        ("/var/log/[ab].log", "/var/log/b.log", True),
        ("/var/log/[!ab].log", "/var/log/b.log", False),
        ("/var/log/?.log", "/var/log/ab.log", False),
        ("/var/log//a.log", "/var/log/./a.log", True),
        ("/var/log/*", "/var/log/.hidden", False),
        ("/var/log/*", "/*/*/*", True),
        ("/var/log/a.log", "/var/log/A.log", False),
    ],
)
def test_globs_overlap_as_a_person_would_say(one: str, other: str, wanted: bool) -> None:
    """In both orders."""
    assert overlap(one, other) is wanted
    assert overlap(other, one) is wanted


def _matches(glob: str, name: str) -> bool:
    """As the standard library matches names, without those that begin with a dot."""
    return fnmatch.fnmatchcase(name, glob) and (glob.startswith(".") or not name.startswith("."))


_GLOBS = st.lists(st.sampled_from(["a", "b", "*", "?", "[ab]", "[!a]", "."]), max_size=5).map("".join)
_NAMES = st.text("ab.c", max_size=5)


@given(_GLOBS, _GLOBS, _NAMES)
def test_a_file_that_matches_both_globs_is_an_overlap(one: str, other: str, name: str) -> None:
    """Whatever the file is called."""
    if _matches(one, name) and _matches(other, name):
        assert overlap(f"/{one}", f"/{other}")
