"""``stacks/Pulumi.ENV.yaml`` as plain values: what ``habla`` reads where Pulumi itself is not at work."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from habla.errors import Fault, SettingsError, raise_faults
from habla.settings.loading import load_settings
from habla.settings.models import Settings
from habla.settings.yaml_reader import read_mapping

__all__ = ["PROJECT", "data_places_path", "held_addresses_path", "read_stack", "section_value", "stack_path"]

PROJECT = "habla"


def stack_path(root: Path, environment: str) -> Path:
    """Where the settings of ``environment`` stand in the project at ``root``."""
    return root / "stacks" / f"Pulumi.{environment}.yaml"


def held_addresses_path(root: Path, environment: str) -> Path:
    """Where the addresses that the hosts of ``environment`` hold are written down."""
    return root / "stacks" / f"addresses.{environment}.yaml"


def data_places_path(root: Path, environment: str) -> Path:
    """Where it is written down on which hosts the data of ``environment`` is."""
    return root / "stacks" / f"data.{environment}.yaml"


def read_stack(root: Path, environment: str) -> Settings:
    """Read and check the settings of a stack. Raises SettingsError; needs no passphrase.

    Encrypted values may stand under ``habla:secrets`` only: anywhere else they would hide from a reviewer
    what reaches a host.
    """
    path = stack_path(root, environment)
    if not path.is_file():
        there = sorted(item.name.split(".")[1] for item in path.parent.glob("Pulumi.*.yaml"))
        fix = f"create {path}" if not there else "choose one of these"
        rule = f"environments here: {', '.join(there) or 'none'}"
        raise SettingsError([Fault(str(path), "no such stack", value=environment, rule=rule, fix=fix)])
    # As in Pulumi: what the project says holds for every stack that does not say otherwise.
    project = {key: _project_value(value) for key, value in _config(root / "Pulumi.yaml").items()}
    config = {**project, **_config(path)}
    raw = {key.removeprefix(f"{PROJECT}:"): value for key, value in config.items() if _ours(key)}
    faults = [
        Fault(
            where,
            "encrypted",
            rule="secrets stand under habla:secrets and are named elsewhere",
            fix="move it",
        )
        for section, value in raw.items()
        if section != "secrets"
        for where in _encrypted(section, value)
    ]
    raise_faults(SettingsError, faults)
    return load_settings(environment, raw)


def section_value(text: str) -> Any:
    """The value of a section that arrives as text, as Pulumi hands them over: JSON, or the text itself."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _config(path: Path) -> dict[str, Any]:
    """The part ``config`` of a stack or project file, as Pulumi reads it."""
    config = read_mapping(path).get("config")
    if config is None:
        return {}
    if not isinstance(config, dict):
        rule = "config is a mapping of habla:SECTION to its settings"
        shown = type(config).__name__
        fault = Fault(
            f"{path}: config", "not a mapping", value=shown, rule=rule, fix="write habla:SECTION: …"
        )
        raise SettingsError([fault])
    return {key: section_value(value) if isinstance(value, str) else value for key, value in config.items()}


def _project_value(value: Any) -> Any:
    """A key of the project's config is a value, or says what its value or default is."""
    if isinstance(value, Mapping):
        return value.get("value", value.get("default"))
    return value


def _ours(key: str) -> bool:
    return key.startswith(f"{PROJECT}:")


def _encrypted(path: str, value: Any) -> list[str]:
    if isinstance(value, Mapping):
        if set(value) == {"secure"}:
            return [path]
        return [found for key, item in value.items() for found in _encrypted(f"{path}.{key}", item)]
    if isinstance(value, list):
        return [found for index, item in enumerate(value) for found in _encrypted(f"{path}[{index}]", item)]
    return []
