"""Gives Pulumi's schema analyzer plain types for the components and their arguments.

``pulumi package add`` offers components to programs in other languages by a schema. The SDK's analyzer makes
it from the annotations of the classes. It knows plain types, lists, maps, inputs and outputs, and it takes a
field for optional only when the type of the field says so. The Python classes have richer types: a host or
several hosts, models, endpoints. They keep these for type checkers, and this module replaces their
annotations at run time with those of the schema.
"""

from __future__ import annotations

import dataclasses
import inspect
import types
from collections.abc import Awaitable, Mapping, Sequence
from pathlib import Path
from typing import Any, Optional, TypeVar, Union, get_args, get_origin

import pulumi

__all__ = ["Component", "in_schema"]

T = TypeVar("T")
_MARK = "__habla_schema__"
_SIMPLE = (str, int, float, bool)


def in_schema(arguments: type[T]) -> type[T]:
    """A decorator for dataclasses of arguments. A field with a default is optional in the schema."""
    fields = {field.name: field for field in dataclasses.fields(arguments)}  # type: ignore[arg-type]
    found = inspect.get_annotations(arguments, eval_str=True)
    forms = {name: _schema_type(kind) for name, kind in found.items() if name in fields}
    arguments.__annotations__ = {
        name: Optional[form] if _has_default(fields[name]) else form  # noqa: UP045 - form may be anything
        for name, form in forms.items()
    }
    setattr(arguments, _MARK, True)
    return arguments


class Component(pulumi.ComponentResource):
    """The base of all components. The schema has the outputs of a component, and not its plain attributes."""

    def __init_subclass__(cls, **words: Any) -> None:
        super().__init_subclass__(**words)
        found = inspect.get_annotations(cls, eval_str=True)
        cls.__annotations__ = {name: kind for name, kind in found.items() if _is_output(kind)}
        if "__init__" in vars(cls):
            annotations = inspect.get_annotations(cls.__init__, eval_str=True)
            if "args" in annotations:
                # Where the library itself may give a plan in the place of arguments, these come first.
                kind = annotations["args"]
                annotations["args"] = get_args(kind)[0] if _is_union(kind) else kind
                cls.__init__.__annotations__ = annotations


def _has_default(field: dataclasses.Field[Any]) -> bool:
    missing = dataclasses.MISSING
    return field.default is not missing or field.default_factory is not missing


def _is_output(kind: Any) -> bool:
    return bool(get_origin(kind) == pulumi.Output)


def _is_union(kind: Any) -> bool:
    return get_origin(kind) in (Union, types.UnionType)


def _schema_type(kind: Any) -> Any:
    """The type that the schema has for a Python type; Any for everything that it has no form for."""
    origin, args = get_origin(kind), get_args(kind)
    if kind in _SIMPLE or any(get_origin(arg) is Awaitable for arg in args):
        return kind  # An input keeps its form, also one that may be None.
    if kind is Path:
        return str
    if _is_union(kind) and type(None) in args:
        others = [arg for arg in args if arg is not type(None)]
        return Optional[_schema_type(others[0]) if len(others) == 1 else Any]  # noqa: UP045
    if origin in (Sequence, list, tuple):
        return types.GenericAlias(Sequence, (_schema_type(args[0]),))
    if origin in (Mapping, dict):
        return types.GenericAlias(Mapping, (str, _schema_type(args[1])))
    return kind if isinstance(kind, type) and _MARK in vars(kind) else Any
