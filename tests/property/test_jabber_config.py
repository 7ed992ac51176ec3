"""Whatever the settings say, ejabberd's config holds it: a YAML reader gets the same values back."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from habla.onhost.document import File, secret, secret_names
from habla.onhost.made_secrets import base_secret, made_secret, made_value
from habla.services.jabber.yaml_config import merged, with_secrets, yaml_config

texts = st.text(st.characters(exclude_categories=("Cs",)))
scalars = texts | st.integers(-(2**63), 2**63) | st.booleans()
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, min_size=1, max_size=3)
        | st.dictionaries(st.from_regex(r"[a-z][a-z_]{0,8}", fullmatch=True), inner, min_size=1, max_size=3)
    ),
    max_leaves=12,
)
configs = st.dictionaries(st.from_regex(r"[a-z][a-z_]{0,8}", fullmatch=True), values, min_size=1, max_size=4)


@given(configs)
def test_every_value_comes_back(config: dict[str, Any]) -> None:
    """Texts that look like numbers, dates or truth values stay texts."""
    assert yaml.safe_load(yaml_config(config)) == config


@given(texts.filter(lambda text: "@{secret" not in text), texts)
def test_a_secret_comes_back_whatever_is_in_it(before: str, value: str) -> None:
    """The agent fills it in with the escapes of JSON, which are those of YAML's double quotes."""
    text = yaml_config({"password": f"{before}{secret('a/b', 'json')}"})
    filled = File(text).content({"a/b": value}).decode()
    assert yaml.safe_load(filled) == {"password": before + value}


@given(configs)
def test_nothing_merged_in_changes_nothing(config: dict[str, Any]) -> None:
    """And what is merged in twice is there once."""
    assert merged(config, {}) == config
    assert merged(merged(config, config), config) == merged(config, config)


@pytest.mark.parametrize(
    ("base", "extra", "expected"),
    [
        ({"a": 1}, {"a": None}, {}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": None, "d": 3}}, {"a": {"c": 2, "d": 3}}),
        ({"a": [1, 2]}, {"a": [2, 3]}, {"a": [1, 2, 3]}),
        ({"a": [1]}, {"a": "all"}, {"a": "all"}),
        ({}, {"a": {"b": 1}}, {"a": {"b": 1}}),
    ],
)
def test_mappings_are_merged_by_key(base: Any, extra: Any, expected: Any) -> None:
    """null removes a key, lists are joined, anything else is replaced."""
    assert merged(base, extra) == expected


def test_a_text_of_the_user_may_name_a_secret_at_any_depth() -> None:
    """The value is not there, its name is."""
    given = {"a": [{"b": "x ${secret:redis/password} y"}], "c": 1}
    text = yaml_config(with_secrets(given))
    assert secret_names(text) == ("redis/password",)
    assert yaml.safe_load(File(text).content({"redis/password": '"\\'}).decode())["a"] == [{"b": 'x "\\ y'}]


@given(st.from_regex(r"[a-z0-9-]{1,20}", fullmatch=True), texts)
def test_a_made_secret_follows_from_its_base_and_its_purpose(purpose: str, value: str) -> None:
    """It is 64 hexadecimal digits, which every format can carry, and another purpose has another one."""
    name, other = made_secret(purpose, base="jabber/cookie"), made_secret(f"{purpose}x", base="jabber/cookie")
    assert base_secret(name) == "jabber/cookie" and secret_names(secret(name, "json")) == (name,)
    assert made_value(name, value) == made_value(name, value) != made_value(other, value)
    assert len(made_value(name, value)) == 64 and int(made_value(name, value), 16) >= 0
    assert base_secret("jabber/cookie") == "jabber/cookie"
    assert made_value("jabber/cookie", value) == value
    assert json.loads(f'"{made_value(name, value)}"') == made_value(name, value)
