"""A stack on disk -> its plan: settings, held addresses and archives read, nothing else touched."""

from __future__ import annotations

import os
from collections.abc import Mapping
from ipaddress import AddressValueError, IPv4Address
from pathlib import Path

import yaml

from habla.errors import AddressError, Fault
from habla.plan import FleetPlan, make_plan
from habla.plan.archive_files import ArchiveFiles
from habla.settings import held_addresses_path, read_stack

__all__ = ["find_root", "load_plan", "read_held", "write_held"]

_HEAD = """\
# Which address each host holds, kept by `pulumi up` and by `habla addresses --write`. Commit it: a host
# keeps its address for as long as it stands here, whichever others come and go.
"""


def find_root(start: Path) -> Path:
    """The project that ``start`` lies in: the nearest directory with a Pulumi.yaml and stacks/."""
    for directory in (start, *start.parents):
        if (directory / "Pulumi.yaml").is_file() and (directory / "stacks").is_dir():
            return directory
    raise FileNotFoundError(f"no Pulumi.yaml beside stacks/ in {start} or above: run it in a project")


def load_plan(root: Path, environment: str) -> FleetPlan:
    """The plan of a stack. Raises Faults."""
    settings = read_stack(root, environment)
    return make_plan(settings, read_held(root, environment), read_archive=ArchiveFiles(root).archive)


def read_held(root: Path, environment: str) -> dict[str, IPv4Address]:
    """host -> the address it holds; empty before the first deployment. Raises AddressError."""
    path = held_addresses_path(root, environment)
    if not path.is_file():
        return {}
    try:
        raw = yaml.safe_load(path.read_text("utf-8")) or {}
        return {str(name): IPv4Address(value) for name, value in raw.items()}
    except (yaml.YAMLError, AddressValueError, AttributeError) as error:
        rule = "HOST: ADDRESS, one a line"
        fault = Fault(str(path), "cannot be read", value=str(error), rule=rule, fix="restore the file")
        raise AddressError([fault]) from error


def write_held(root: Path, environment: str, *, addresses: Mapping[str, IPv4Address]) -> bool:
    """Write down which host holds which address; whether that changed the file. In one step."""
    path = held_addresses_path(root, environment)
    text = _HEAD + "".join(f"{name}: {address}\n" for name, address in sorted(addresses.items()))
    if path.is_file() and path.read_text("utf-8") == text:
        return False
    new = path.with_name(f".{path.name}.{os.getpid()}")
    new.write_text(text, "utf-8")
    new.replace(path)
    return True
