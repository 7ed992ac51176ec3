"""The sections of the lab's stack for tests, as one mapping and with the domain hab.la."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from hosts import RELEASE

from habla.errors import Fault
from habla.settings.section_merging import merged_sections

__all__ = ["lab_sections"]

#: The operator's account and the names that need no DNS are for people who try the lab.
_CHANGES = {"domain": "hab.la", "apps": {}, "services": {}}


def lab_sections(project: Path, *, ports: Mapping[str, int] | None = None) -> dict[str, Any]:
    """Section -> value, of Pulumi.yaml and stacks/Pulumi.lab.yaml in a directory. Secrets stay encrypted.

    ports: those of this machine for the fleet as it is. Without them it is one of hab.la, at any ports,
    because another lab may run on this machine.
    """
    shared = yaml.safe_load((project / "Pulumi.yaml").read_text())["config"]
    stack = yaml.safe_load((project / "stacks" / "Pulumi.lab.yaml").read_text())["config"]
    release = {"release": RELEASE} if RELEASE else {}
    if ports is None:
        changes: dict[str, Any] = {**_CHANGES, "lab": release}
    else:
        changes = {"lab": {**stack["habla:lab"], **release, "ports": dict(ports)}}
    faults: list[Fault] = []
    found = merged_sections(
        {name.removeprefix("habla:"): value["value"] for name, value in shared.items()},
        {name.removeprefix("habla:"): value for name, value in stack.items()} | changes,
        faults=faults,
    )
    assert not faults, faults
    return found
