"""``stacks/Pulumi.ENV.yaml`` as plain values, for commands that run without Pulumi."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from habla.errors import Fault, SettingsError, raise_faults
from habla.settings.config_keys import PREFIX, file_faults
from habla.settings.loading import load_settings
from habla.settings.models import Settings
from habla.settings.section_merging import merged_sections
from habla.settings.yaml_reader import read_mapping

__all__ = [
    "data_places_path",
    "file_sections",
    "held_addresses_path",
    "project_sections",
    "read_stack",
    "section_value",
    "stack_path",
]


def stack_path(root: Path, environment: str) -> Path:
    """The file with the settings of ``environment`` in the project at ``root``."""
    return root / "stacks" / f"Pulumi.{environment}.yaml"


def held_addresses_path(root: Path, environment: str) -> Path:
    """The file with the addresses of the hosts of ``environment``."""
    return root / "stacks" / f"addresses.{environment}.yaml"


def data_places_path(root: Path, environment: str) -> Path:
    """The file with the hosts that have the data of each service of ``environment``."""
    return root / "stacks" / f"data.{environment}.yaml"


def read_stack(root: Path, environment: str) -> Settings:
    """Read and check the settings of a stack. Raises SettingsError; needs no passphrase.

    Only ``habla:secrets`` may have encrypted values. Anywhere else they would hide settings from a reviewer.
    """
    path = stack_path(root, environment)
    if not path.is_file():
        there = sorted(item.name.split(".")[1] for item in path.parent.glob("Pulumi.*.yaml"))
        fix = f"create {path}" if not there else "choose one of these"
        rule = f"the stacks are {', '.join(there) or 'none'}"
        raise SettingsError([Fault(str(path), "no such stack", value=environment, rule=rule, fix=fix)])
    project, stack = project_sections(root), file_sections(path)
    faults: list[Fault] = []
    raw = merged_sections(project, stack, faults=faults)
    raise_faults(SettingsError, faults)
    return load_settings(environment, raw)


def project_sections(root: Path) -> dict[str, Any]:
    """The sections in ``Pulumi.yaml``, which hold for every stack. Raises SettingsError."""
    return _sections(root / "Pulumi.yaml", is_project=True)


def file_sections(path: Path) -> dict[str, Any]:
    """The sections in a stack's file; none without the file. Raises SettingsError."""
    return _sections(path, is_project=False)


def section_value(text: str) -> Any:
    """The value of a section that arrives as text, as Pulumi hands them over: JSON, or the text itself.

    The empty text is null: Pulumi makes that of a section without a value.
    """
    try:
        return json.loads(text)
    except ValueError:
        return text or None


def _sections(path: Path, *, is_project: bool) -> dict[str, Any]:
    """Section -> value, of the part ``config`` of a project or stack file."""
    document = read_mapping(path) if path.is_file() else {}
    faults = list(file_faults(path.name, document, is_project=is_project))
    config = document.get("config")
    found = {}
    for key, value in (config if isinstance(config, dict) else {}).items():
        section = key.removeprefix(PREFIX)
        if section == key:
            continue
        is_declared = is_project and isinstance(value, Mapping)
        given = value.get("value", value.get("default")) if is_declared else value
        found[section] = section_value(given) if isinstance(given, str) else given
        if section != "secrets":
            faults += [_encrypted_fault(where) for where in _encrypted(section, found[section])]
    raise_faults(SettingsError, faults)
    return found


def _encrypted_fault(path: str) -> Fault:
    rule = "only habla:secrets has encrypted values; all other settings have the name of a secret"
    return Fault(path, "encrypted", rule=rule, fix="move the value to habla:secrets, and write its name here")


def _encrypted(path: str, value: Any) -> list[str]:
    if isinstance(value, Mapping):
        if set(value) == {"secure"}:
            return [path]
        return [found for key, item in value.items() for found in _encrypted(f"{path}.{key}", item)]
    if isinstance(value, list):
        return [found for index, item in enumerate(value) for found in _encrypted(f"{path}[{index}]", item)]
    return []
