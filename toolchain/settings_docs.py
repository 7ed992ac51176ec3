"""``python -m toolchain.settings_docs`` writes docs/settings.md from the models of the settings.

The prose around the tables is in settings_template.md. The tables of a section replace a line
``{{ SECTION }}`` there. The meaning of a field is the docstring under it, which this module reads from the
source. pydantic can read it too (``use_attribute_docstrings``), but would do so at each start of ``habla``,
and the models would take twice as long to load.
"""

from __future__ import annotations

import ast
import functools
import importlib
import inspect
import itertools
import pkgutil
import re
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import AfterValidator
from pydantic.fields import FieldInfo

import habla
from habla.model.spec import Spec
from habla.services.catalog import default_roles
from habla.settings.models import RoleSettings
from habla.settings.sections import SERVICES, section_types

__all__ = ["PATH", "field_docs", "models_below", "page"]

PATH = Path(__file__).parents[1] / "docs" / "settings.md"
_TEMPLATE = Path(__file__).with_name("settings_template.md")
_KINDS = "kinds-of-text"
_UNITS = {"_mb": "MB", "_seconds": "seconds", "_minutes": "minutes", "_hours": "hours", "_percent": "percent"}
_UNITS |= {"_days": "days", "days": "days", "_bytes": "bytes"}
_PROPER = {"Debian": "Debian", "Dns": "DNS", "Jid": "Jabber address", "Sha256": "SHA-256", "Snmp": "SNMP"}
_PROPER |= {"Ssh": "SSH", "Url": "URL"}
_PLAIN = {"str": "text", "bool": "true or false", "IPv4Address": "IPv4 address", "Any": "anything"}
_PLAIN |= {"IPv4Interface": "IPv4 address with its prefix length"}


def page() -> str:
    """The text of docs/settings.md."""
    text = _TEMPLATE.read_text("utf-8")
    tables = _Tables()
    sections = {name for name, kind in section_types().items() if models_below(kind)}
    places = re.findall(r"^\{\{ (\w+) \}\}$", text, flags=re.M)
    wrong = sections ^ {*places} - {"default_roles", "kinds"}
    if wrong:
        raise SystemExit(f"{_TEMPLATE.name}: sections without tables, or tables without a section: {wrong}")
    for name in places:
        rows = tables.section(name) if name in sections else _roles() if name != "kinds" else tables.kinds()
        text = text.replace(f"{{{{ {name} }}}}\n", "\n".join(rows).strip("\n") + "\n")
    return text


def models_below(kind: Any) -> tuple[type[Spec], ...]:
    """The models that a type names, itself included, but not those that their fields name."""
    if isinstance(kind, type) and issubclass(kind, Spec):
        return (kind,)
    return tuple(model for argument in get_args(kind) for model in models_below(argument))


def field_docs(model: type[Spec]) -> dict[str, str]:
    """Field -> the docstring under it, on one line."""
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(model))).body
    assert isinstance(tree, ast.ClassDef)
    return {
        ast.unparse(field.target): " ".join(str(text.value.value).split())
        for field, text in itertools.pairwise(tree.body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
    }


class _Tables:
    """The tables, in the order of the sections. A model has one table, and its other places link there."""

    def __init__(self) -> None:
        self.links: dict[type[Spec], str] = {}
        self.used: dict[str, str] = {}
        for name, kind in section_types().items():
            for model in models_below(kind):
                self.links[model] = f"[`{name}`](#{name.replace('_', '-')})"
                for key, field in model.model_fields.items() if name == SERVICES else ():
                    self.links[models_below(field.annotation)[0]] = _link(f"{name}.{key}")

    def section(self, name: str) -> Iterator[str]:
        """The tables of a section, the first one without a heading."""
        kind = section_types()[name]
        (model,) = models_below(kind)
        if name == SERVICES:
            for key, field in model.model_fields.items():
                yield f"\n### `{name}.{key}`"
                yield from self._model(f"{name}.{key}", models_below(field.annotation)[0])
        else:
            yield from self._model(name + _step(kind), model)

    def kinds(self) -> Iterator[str]:
        """The kinds of text that the tables name, with their rules."""
        yield "| kind | rule |"
        yield "| --- | --- |"
        for words, rule in sorted(self.used.items()):
            yield f"| {words} | {_cell(rule)} |"

    def _model(self, path: str, model: type[Spec]) -> Iterator[str]:
        """The table of a model, and those of the models in it that have none yet."""
        inner: dict[str, type[Spec]] = {}
        docs = field_docs(model)
        yield f"{_cell(inspect.getdoc(model) or '')}\n"
        yield "| key | value | default | meaning |"
        yield "| --- | --- | --- | --- |"
        for key, field in model.model_fields.items():
            place = f"{path}.{key}{_step(field.annotation)}"
            for kind in models_below(field.annotation):
                if kind not in self.links:
                    inner[place], self.links[kind] = kind, _link(place)
            value = self._value(field.annotation, field.metadata, key=key)
            # A null without a default is only another way to leave the key out.
            if field.default is not None and NoneType in get_args(field.annotation):
                value += ", or null"
            yield f"| `{key}` | {value} | {_default(field)} | {_cell(docs[key])} |"
        for place, kind in inner.items():
            yield f"\n### `{place}`"
            yield from self._model(place, kind)

    def _value(self, kind: Any, metadata: Sequence[Any], *, key: str = "") -> str:
        """The values of a type, in words."""
        origin, arguments = get_origin(kind), get_args(kind)
        if origin is Annotated:
            return self._value(arguments[0], [*arguments[1:], *metadata], key=key)
        if origin in (Union, UnionType):
            (one,) = (argument for argument in arguments if argument is not NoneType)
            return self._value(one, metadata, key=key)
        if origin is Literal:
            return _either([f"`{value}`" for value in arguments])
        if origin is tuple or origin is list:
            return f"list: {self._value(arguments[0], ())}"
        if origin is dict:
            name = self._value(arguments[0], ())
            return f"mapping: {name} → {self._value(arguments[1], ())}"
        if isinstance(kind, type) and issubclass(kind, Spec):
            return self.links[kind]
        if kind is int:
            return _number(key, metadata)
        return self._text(metadata) or _PLAIN[getattr(kind, "__name__", "Any")]

    def _text(self, metadata: Sequence[Any]) -> str:
        """The kind of a text with a rule, as a link; "" without a rule."""
        validators = tuple(entry for entry in metadata if isinstance(entry, AfterValidator))
        for length in range(len(validators), 0, -1):
            words = _aliases().get(validators[:length])
            if words:
                self.used[words] = "; ".join(_rule(entry) for entry in validators[:length])
                return f"[{words}](#{_KINDS})"
        return ""


@functools.cache
def _aliases() -> dict[tuple[AfterValidator, ...], str]:
    """The validators of a kind of text -> the name of its type as words: ``SecretName`` is a secret name."""
    found: dict[tuple[AfterValidator, ...], str] = {}
    for module in pkgutil.walk_packages(habla.__path__, "habla."):
        if module.name.split(".")[1] not in ("model", "services", "settings"):
            continue
        for name, value in vars(importlib.import_module(module.name)).items():
            if get_origin(value) is Annotated:
                validators = tuple(entry for entry in value.__metadata__ if isinstance(entry, AfterValidator))
                if validators and not name.startswith("_"):
                    found.setdefault(validators, _words(name))
    return found


def _words(name: str) -> str:
    """The name of a type as words: ``DnsName`` is a DNS name."""
    words = re.findall("[A-Z][a-z0-9]*", name)
    return " ".join(_PROPER.get(word, word.lower()) for word in words)


def _link(place: str) -> str:
    """A link to the heading of a place, by the rule of GitHub and of MkDocs for anchors."""
    return f"[`{place}`](#{re.sub(r'[^a-z0-9_-]', '', place.lower())})"


def _rule(validator: AfterValidator) -> str:
    return getattr(validator.func, "rule", None) or inspect.getdoc(validator.func) or ""


def _number(key: str, metadata: Sequence[Any]) -> str:
    bounds = {
        name: getattr(entry, name)
        for entry in _flat(metadata)
        for name in ("ge", "le")
        if hasattr(entry, name)
    }
    unit = next((unit for suffix, unit in _UNITS.items() if key.endswith(suffix)), "")
    words = f"{bounds['ge']:,} to {bounds['le']:,}" if len(bounds) == 2 else "whole number"
    return f"{words} {unit}".strip()


def _flat(metadata: Sequence[Any]) -> Iterator[Any]:
    for entry in metadata:
        yield from entry.metadata if isinstance(entry, FieldInfo) else (entry,)


def _either(words: Sequence[str]) -> str:
    return " or ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def _step(kind: Any) -> str:
    """The part between a key and the keys below it: a name that the user chooses, or a position in a list."""
    origin = get_origin(kind)
    if origin in (Union, UnionType, Annotated):
        return _step(get_args(kind)[0])
    return ".NAME" + _step(get_args(kind)[1]) if origin is dict else "[]" if origin in (tuple, list) else ""


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if value is None or isinstance(value, Spec) or value in ((), {}, ""):
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ", ".join(f"`{item}`" for item in value)
    return f"`{value}`"


def _cell(text: str) -> str:
    return " ".join(text.replace("``", "`").split()).replace("|", "\\|")


def _roles() -> Iterator[str]:
    """The table of the default roles."""
    yield "| role | addresses in a /24 | services that it may run | services that it runs by default |"
    yield "| --- | --- | --- | --- |"
    for role in default_roles().values():
        assert set(RoleSettings.model_fields) == {"ranges", "services", "defaults", "volatile"}
        ranges = ", ".join(f".{first} to .{last}" for first, last in role.offsets)
        defaults = "all of these" if role.kinds == role.defaults else ", ".join(role.defaults)
        allowed = ", ".join(role.kinds) + (", also with `stability: volatile`" if role.volatile else "")
        yield f"| `{role.name}` | {ranges} | {allowed} | {defaults} |"


if __name__ == "__main__":
    PATH.write_text(page(), "utf-8")
