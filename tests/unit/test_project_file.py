"""Keys of Pulumi.yaml that Pulumi takes for something else are faults."""

from __future__ import annotations

from pathlib import Path

import pytest

from habla.errors import SettingsError
from habla.settings import read_stack
from habla.settings.stackfile import project_sections


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ("apps: {value: {}}", "Pulumi.yaml: config.apps: a key without its prefix"),
        ("apps: {value: {}}", "did you mean habla:apps?"),
        ("aps: {value: {}}", "did you mean habla:apps?"),
        ("colour: blue", "remove it, or write habla:SECTION"),
        ("Habla:apps: {value: {}}", "did you mean habla:apps?"),
        ("habla:apps: {rpc: {roles: [web]}}", "write habla:apps: {value: …}"),
        ("habla:apps: {value: {key: {secure: v1:abc}}}", "apps.key: encrypted"),
    ],
)
def test_a_key_that_would_not_be_read_is_a_fault(config: str, words: str, tmp_path: Path) -> None:
    """With the key that was meant."""
    (tmp_path / "Pulumi.yaml").write_text(f"name: habla\nruntime: python\nconfig:\n  {config}\n", "utf-8")
    with pytest.raises(SettingsError) as caught:
        project_sections(tmp_path)
    assert words in str(caught.value)


def test_keys_of_others_are_left_to_them(tmp_path: Path) -> None:
    """Providers have settings in the same files, and Pulumi has keys of its own."""
    (tmp_path / "stacks").mkdir()
    (tmp_path / "Pulumi.yaml").write_text(
        "name: habla\nruntime: python\nconfig: {'aws:region': {value: a}, 'habla:lab': {value: {}}}\n",
        "utf-8",
    )
    (tmp_path / "stacks" / "Pulumi.a.yaml").write_text(
        "encryptionsalt: v1:x\nconfig:\n  cloud:apps: {a: 1}\n  habla:hosts: {web1: {role: web}}\n", "utf-8"
    )
    assert [*read_stack(tmp_path, "a").hosts] == ["web1"]


def test_a_default_is_a_value_too(tmp_path: Path) -> None:
    """Pulumi knows both words."""
    (tmp_path / "Pulumi.yaml").write_text("config: {'habla:domain': {default: a.example}}\n", "utf-8")
    assert project_sections(tmp_path) == {"domain": "a.example"}
