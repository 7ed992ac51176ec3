"""docs/settings.md has every setting, as the models have it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from habla.model.spec import Spec
from habla.settings.sections import section_names, section_types, services_model
from habla.settings.shape import ENTRY, ITEM, Shape, Steps, stack_shape
from habla.settings.unknown_keys import path_text
from toolchain.settings_docs import PATH, field_docs, models_below, page

TEXT = PATH.read_text("utf-8")


def models(kinds: Iterator[Any]) -> set[type[Spec]]:
    """The models that types name, and all that these have in them."""
    found = {model for kind in kinds for model in models_below(kind)}
    fields = [field.annotation for model in found for field in model.model_fields.values()]
    return found | models(iter(fields)) if fields else found


def test_the_page_is_what_the_models_say() -> None:
    """After a change: ``python -m toolchain.settings_docs``."""
    assert page() == TEXT


@pytest.mark.parametrize(
    "model",
    sorted(models(iter(section_types().values())) - {services_model()}, key=lambda model: model.__name__),
)
def test_every_field_has_a_docstring(model: type[Spec]) -> None:
    """One sentence or more, under the field."""
    docs = field_docs(model)
    assert set(docs) >= set(model.model_fields)
    assert [text for text in docs.values() if not text.endswith(".")] == []


def test_every_section_is_in_the_first_table() -> None:
    """Those of services included."""
    first = re.findall(r"^\| \[`(\w+)`\]", TEXT.split("\n## ")[0], flags=re.M)
    assert sorted(first) == sorted(section_names())


def ways(value: Any, shape: Shape, way: Steps = ()) -> Iterator[Steps]:
    """The way to each key of a value, with names of the user's own as ``NAME``."""
    if isinstance(value, dict):
        for key, inner in value.items():
            step = key if key in shape.keys else ENTRY
            yield (*way, step)
            yield from ways(inner, shape.at(key), (*way, step))
    elif isinstance(value, list):
        for inner in value:
            yield from ways(inner, shape.at(0), (*way, ITEM))


def shown() -> set[str]:
    """The keys in the YAML examples of all pages, by their way."""
    pages = [path.read_text("utf-8") for path in PATH.parent.glob("*.md")]
    texts = [text for page in pages for text in re.findall(r"^```yaml\n(.*?)^```$", page, flags=re.M | re.S)]
    parts = [
        {key.removeprefix("habla:"): part for key, part in yaml.safe_load(text).items()} for text in texts
    ]
    return {path_text(way) for part in parts for way in ways(part, stack_shape())}


def test_an_example_shows_each_table() -> None:
    """On any page of the documentation: one key of each table, and every key that is required."""
    examples, missing = shown(), set()
    for heading, table in re.findall(r"^### `(\S+)`\n(.*?)(?=^##)", TEXT, flags=re.M | re.S):
        keys = dict(re.findall(r"^\| `(\w+)` \| [^|]+ \| ([^|]*) \|", table, flags=re.M))
        given = {key for key in keys if f"{heading}.{key}" in examples}
        required = {key for key, default in keys.items() if default == "required"}
        missing |= {f"{heading}.{key}" for key in (required or {*keys} if not given else required - given)}
    assert sorted(missing) == []
