"""The stack that Pulumi works on: its config, its plan, its resources."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pulumi
import pulumi.runtime.config

from habla.components.fleet import deploy_fleet, fleet_outputs
from habla.errors import Fault, SettingsError, raise_faults
from habla.plan import make_plan, missing_secrets
from habla.plan.archive_files import ArchiveFiles
from habla.plan.stack_files import read_data, read_held, write_data, write_held
from habla.settings import Settings
from habla.settings.config_keys import PREFIX
from habla.settings.loading import load_settings
from habla.settings.section_merging import merged_sections
from habla.settings.stackfile import file_sections, project_sections, section_value, stack_path

__all__ = ["deploy_stack", "stack_settings"]


def deploy_stack(root: Path) -> None:
    """Deploy the stack that Pulumi works on, from its config. Faults come before any host is touched."""
    settings, secrets = stack_settings(root)
    environment = settings.environment
    held = read_held(root, environment)
    plan = make_plan(
        settings, held, read_archive=ArchiveFiles(root).archive, data=read_data(root, environment)
    )
    raise_faults(SettingsError, missing_secrets(plan))
    for note in plan.notes:
        pulumi.log.info(note)
    if not pulumi.runtime.is_dry_run():
        write_held(root, environment, addresses=plan.addresses.hosts)
        write_data(root, environment, places=plan.data)
    values = {name: pulumi.Output.secret(value) for name, value in secrets.items()}
    hosts = deploy_fleet(plan, values, root=root)
    for name, output in fleet_outputs(plan, hosts).items():
        pulumi.export(name, output)


def stack_settings(root: Path) -> tuple[Settings, dict[str, str]]:
    """The settings of the stack that Pulumi works on, and the values of its secrets. Raises SettingsError.

    They are those that ``read_stack`` finds in the files: the engine replaces a section of the project whole
    where the stack has it too, so the project's sections are read here. The stack's file is read for its
    faults, because the engine hands on keys without a prefix, and decrypts a value wherever it is.
    """
    environment = pulumi.get_stack()
    given, secrets = _config()
    file_sections(stack_path(root, environment))
    faults: list[Fault] = []
    raw = merged_sections(project_sections(root), given, faults=faults)
    raise_faults(SettingsError, faults)
    return load_settings(environment, raw), secrets


def _config() -> tuple[dict[str, Any], dict[str, str]]:
    """The stack's sections as plain values, and the secrets apart from them.

    Pulumi hands a config of objects over as JSON text.
    """
    raw: dict[str, Any] = {}
    values = {**pulumi.runtime.config.get_config_env(), **pulumi.runtime.config.CONFIG.get()}
    for key, text in values.items():
        if key.startswith(PREFIX):
            raw[key.removeprefix(PREFIX)] = section_value(text)
    secrets = raw.get("secrets") or {}
    if not isinstance(secrets, dict):
        return raw, {}
    raw["secrets"] = dict.fromkeys(secrets)
    return raw, {str(name): str(value) for name, value in secrets.items()}
