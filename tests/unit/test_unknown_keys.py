"""A key that nothing reads is a fault that names the right key, or the place where the key belongs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from habla.errors import Fault, SettingsError
from habla.settings.loading import load_settings
from habla.settings.shape import ENTRY, ITEM, Shape, Steps, homes, stack_shape
from habla.settings.unknown_keys import path_text

# A name for each mapping whose keys are the user's own.
_NAMES = {
    "partitions": "/srv",
    "domains": "chat.example",
    "components": "gateway.chat.example",
    "releases": "2.6.12",
}


def named(way: Steps) -> Steps:
    """The way with real names in it, and the first item of each list."""
    found: list[str | int] = []
    for step in way:
        found.append(_NAMES.get(str(found[-1]), "one") if step == ENTRY else 0 if step == ITEM else step)
    return tuple(found)


def stack(way: Steps, value: Any) -> dict[str, Any]:
    """A stack with nothing but a value at the end of a way."""
    for step in reversed(way):
        value = [value] if isinstance(step, int) else {step: value}
    assert isinstance(value, dict)
    return value


def faults_at(way: Steps, value: Any) -> list[Fault]:
    """The faults at the end of a way, of the stack with a value there."""
    with pytest.raises(SettingsError) as caught:
        load_settings("test", stack(way, value))
    return [fault for fault in caught.value.faults if fault.path == path_text(way)]


def shape_at(way: Steps) -> Shape:
    shape = stack_shape()
    for step in way:
        shape = shape.at(0 if step == ITEM else step)
    return shape


def every_key() -> Iterator[tuple[Steps, str]]:
    yield from ((way, key) for key, way in homes(stack_shape()))


EVERY_KEY = list(every_key())


def misspellings(key: str) -> Iterator[str]:
    """One edit of each kind, at both ends and in the middle."""
    for at in {0, len(key) // 2, len(key) - 1}:
        yield key[:at] + key[at + 1 :]
        yield key[:at] + "q" + key[at:]
        yield key[:at] + "q" + key[at + 1 :]
        yield key[:at] + key[at : at + 2][::-1] + key[at + 2 :]


def value_of(shape: Shape) -> Any:
    """A value of the right kind that says little."""
    return {} if shape.keys or shape.entry else [] if shape.item else 1


def identity(item: tuple[Steps, str]) -> str:
    return path_text((*item[0], item[1]))


@pytest.mark.parametrize("item", EVERY_KEY, ids=identity)
def test_a_misspelt_key_is_answered_with_the_key(item: tuple[Steps, str]) -> None:
    """One wrong, missing, added or swapped character, in every key of every section."""
    way, key = item
    known = shape_at(way).keys
    for misspelt in sorted({*misspellings(key)} - {*known, ""}):
        found = faults_at((*named(way), misspelt), 1)
        assert any(fault.what == "unknown key" and key in fault.fix for fault in found), (misspelt, found)


@pytest.mark.parametrize("item", EVERY_KEY, ids=identity)
def test_a_key_one_level_too_high_is_answered_with_its_place(item: tuple[Steps, str]) -> None:
    """Written beside the mapping that it belongs to, or in the place of a name of the user's own."""
    way, key = item
    if not way:
        return
    parent = way[:-2] if way[-1] == ITEM else way[:-1]
    here = shape_at(parent)
    value = value_of(shape_at((*way, key)))
    if key in here.keys or (here.entry and value == {}):
        # Right in this place too, or an entry of that name which is still empty.
        return
    found = faults_at((*named(parent), key), value)
    place = path_text((*named(parent), *way[len(parent) :]))
    assert any(key in fault.fix and (place in fault.fix or "…" in fault.fix) for fault in found), (
        place,
        found,
    )


@pytest.mark.parametrize("item", EVERY_KEY, ids=identity)
def test_a_key_one_level_too_low_is_answered_with_its_place(item: tuple[Steps, str]) -> None:
    """Written into each of the mappings that stand beside it."""
    way, key = item
    value = value_of(shape_at((*way, key)))
    for sibling, shape in shape_at(way).keys.items():
        if sibling == key or key in shape.keys or not shape.keys:
            continue
        found = faults_at((*named((*way, sibling)), key), value)
        place = f"belongs to {path_text(named(way))}" if way else f"is a section of its own, habla:{key}"
        assert any(place in fault.fix for fault in found), (sibling, found)


@pytest.mark.parametrize(
    ("way", "value", "fix"),
    [
        (("load_balancer", "maxconn"), 5, "maxconn belongs to load_balancer.www or load_balancer.jabber"),
        (("load_balancer", "www", "cookies"), {}, "cookies belongs to load_balancer"),
        (("apps", "rpc", "expect"), 204, "expect belongs to apps.rpc.health"),
        (("apps", "rpc", "environment", "maxconn"), 5, "maxconn belongs to apps.rpc"),
        (("apps", "rpc", "rout"), [], "did you mean routes?"),
        (("hosts", "role"), "web", "role belongs to hosts.NAME"),
        (("hosts", "partitions"), {"/": {}}, "partitions belongs to hosts.NAME or is a section"),
        (("partitions", "size"), "2G", "size belongs to partitions.NAME"),
        (("logs", "rules", "journal"), "64M", "journal belongs to logs"),
        (("services", "apps"), {}, "apps is a section of its own, habla:apps"),
        (("services", "jabber", "c2s_prt"), 1, "did you mean c2s_port?"),
        (("stats_port",), 8404, "stats_port belongs to load_balancer.www or load_balancer.jabber"),
        (("hosts", "web1", "dialect"), "2.x", "dialect belongs to load_balancer"),
        (("hosts", "web1", "colour"), 1, "remove it"),
    ],
    ids=lambda value: path_text(value) if isinstance(value, tuple) else "",
)
def test_the_fix_names_the_right_key_or_place(way: Steps, value: Any, fix: str) -> None:
    """Mistakes that people make, with the words of the answer."""
    assert [fault for fault in faults_at(way, value) if fix in fault.fix], faults_at(way, value)
