"""Keys that are unknown where they are: misspelt ones, and those that belong somewhere else."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from habla.errors import Fault, did_you_mean, one_edit_apart
from habla.settings.shape import ENTRY, ITEM, Shape, Steps, homes, stack_shape

__all__ = ["belongs_to", "misplaced_entry", "path_text", "unknown_key"]

# How many places are named.
_MOST = 3
# A key that is so few steps away from its place is misplaced, even if it looks like a key known here.
_NEAR = 1


def path_text(steps: Steps) -> str:
    """A way as a YAML path: ``apps.rpc.routes[0]``."""
    text = ""
    for step in steps:
        text += f"[{step}]" if isinstance(step, int) else step if step == ITEM else f".{step}"
    return text.removeprefix(".")


def unknown_key(steps: Steps) -> Fault:
    """A key that nothing reads: with the known keys that are most like it, or the place it belongs to."""
    *parent, key = steps
    known = tuple(_shape_at(tuple(parent)).keys)
    spelling, place = did_you_mean(str(key), known, otherwise=""), belongs_to(steps, most=_NEAR)
    if place and one_edit_apart(str(key), known):
        fix = f"{spelling} Or {place}"
    else:
        fix = place or spelling or belongs_to(steps) or "remove it"
    return Fault(path_text(steps), "unknown key", rule=f"known here: {', '.join(known)}", fix=fix)


def belongs_to(steps: Steps, *, most: int | None = None, is_entry: bool = False) -> str:
    """The place where a key would be right, as a fix; "" without one.

    most: how many steps away that may be; None: any number. is_entry: look only for a key in a place
    where users choose names.
    """
    *parent, key = steps
    if is_entry and _shape_at(tuple(parent)).entry is None:
        return ""
    places: dict[int, list[str]] = defaultdict(list)
    for name, way in homes(stack_shape()):
        if name == key:
            shared = _shared(tuple(parent), way)
            # An item is no place of its own to a reader: ``routes[0].path`` is one level below the app.
            distance = sum(not _is_item(step) for step in (*parent[shared:], *way[shared:]))
            if distance:
                places[distance].append(path_text((*parent[:shared], *way[shared:])))
    nearest = min(places, default=None)
    if nearest is None or (most is not None and nearest > most):
        return ""
    found = [text for text in places[nearest] if text]
    more = ", …" if len(found) > _MOST else ""
    words = [f"belongs to {' or '.join(found[:_MOST])}{more}"] if found else []
    words += [f"is a section of its own, habla:{key}"] if "" in places[nearest] else []
    return f"{key} {' or '.join(words)}"


def misplaced_entry(steps: Steps, inner: Steps, *, value: Any) -> Fault | None:
    """A setting of an entry in the place of the entry's name: ``hosts.ssh``, not ``hosts.web1.ssh``.

    steps: the way to ``value``. inner: the way from there to a fault.
    """
    for length in range(len(inner)):
        way = (*steps, *inner[:length])
        entries = _shape_at(way[:-1]).entry
        setting = entries.keys.get(str(way[-1])) if entries else None
        if setting and isinstance(value, Mapping) and value and setting.takes(value):
            what = "a setting in the place of a name"
            rule = f"{path_text(way[:-1])} needs a name of your own, and the settings below that name"
            return Fault(path_text(way), what, rule=rule, fix=belongs_to(way, most=1))
        try:
            value = value[inner[length]]
        except (KeyError, IndexError, TypeError):
            break
    return None


def _shape_at(steps: Steps) -> Shape:
    shape = stack_shape()
    for step in steps:
        shape = shape.at(step)
    return shape


def _is_item(step: str | int) -> bool:
    return isinstance(step, int) or step == ITEM


def _shared(steps: Steps, way: Steps) -> int:
    """How many steps from the beginning are the same."""
    count = 0
    for step, known in zip(steps, way, strict=False):
        if step != known and known != (ITEM if isinstance(step, int) else ENTRY):
            break
        count += 1
    return count
