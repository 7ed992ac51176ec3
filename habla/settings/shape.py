"""The shape of the settings: which keys may be where. It is derived from the models of the sections."""

from __future__ import annotations

import functools
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel

from habla.model.spec import Spec
from habla.settings.sections import section_types

__all__ = ["ENTRY", "ITEM", "Shape", "Steps", "homes", "shape_of", "stack_shape"]

# The way to a value: keys of mappings and positions in lists.
Steps = tuple[str | int, ...]
# In the way to a key: any name that the user chooses, and any position in a list.
ENTRY, ITEM = "NAME", "[]"


@dataclass(frozen=True)
class Shape:
    """The values that one place of the settings may have.

    keys: key -> its shape, of a model. entry: the shape of each value of a mapping whose keys are names of
    the user's own. item: the shape of each item of a list. is_nullable: whether null is a value. merges:
    whether a stack's mapping is merged with the project's, key by key. is_any: anything at any depth.
    """

    keys: Mapping[str, Shape] = field(default_factory=dict)
    entry: Shape | None = None
    item: Shape | None = None
    is_nullable: bool = False
    merges: bool = True
    is_any: bool = False

    def at(self, step: str | int) -> Shape:
        """The shape one step further; one that says nothing where the step is unknown."""
        if self.is_any:
            return self
        found = self.item if isinstance(step, int) else self.keys.get(step, self.entry)
        return found or Shape()

    def takes(self, value: Mapping[str, Any]) -> bool:
        """Whether all keys of the mapping are known here."""
        return all(key in self.keys or self.entry is not None for key in value)


@functools.cache
def shape_of(annotation: Any) -> Shape:
    """The shape of the values that a type of a model describes."""
    if annotation is Any:
        # Options of ejabberd, for instance.
        return Shape(is_nullable=True, is_any=True)
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return shape_of(arguments[0])
    if origin in (Union, types.UnionType):
        kinds = [kind for kind in arguments if kind is not types.NoneType]
        return replace(shape_of(kinds[0]), is_nullable=len(kinds) < len(arguments))
    if origin is dict:
        return Shape(entry=shape_of(arguments[1]))
    if origin in (tuple, list):
        return Shape(item=shape_of(arguments[0]))
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        fields: dict[str, Any] = {name: info.annotation for name, info in annotation.model_fields.items()}
        keys = {name: shape_of(kind) for name, kind in fields.items()}
        return Shape(keys, merges=not (issubclass(annotation, Spec) and annotation.is_alternative))
    return Shape()


def stack_shape() -> Shape:
    """The shape of a whole stack, by section."""
    return Shape({name: shape_of(kind) for name, kind in section_types().items()})


def homes(shape: Shape, way: Steps = ()) -> Iterator[tuple[str, Steps]]:
    """Every key of every model below a shape, with the way to the mapping that it belongs to."""
    for key, inner in shape.keys.items():
        yield key, way
        yield from homes(inner, (*way, key))
    if shape.entry is not None:
        yield from homes(shape.entry, (*way, ENTRY))
    if shape.item is not None:
        yield from homes(shape.item, (*way, ITEM))
