"""A stack on disk -> its plan: settings, held addresses and archives read, nothing else touched."""

from __future__ import annotations

import os
from collections.abc import Mapping
from ipaddress import AddressValueError, IPv4Address
from pathlib import Path

import yaml

from habla.errors import AddressError, Fault, SettingsError, raise_faults
from habla.plan import FleetPlan, make_plan
from habla.plan.archive_files import ArchiveFiles
from habla.plan.data_places import DataPlace
from habla.settings import data_places_path, held_addresses_path, read_stack
from habla.settings.yaml_reader import read_mapping

__all__ = ["load_plan", "read_data", "read_held", "write_data", "write_held"]

_HEAD = """\
# Which address each host holds, kept by `pulumi up` and by `habla addresses --write`. Commit it: a host
# keeps its address for as long as it stands here, whichever others come and go.
"""
_DATA_HEAD = """\
# On which hosts the data of each service is, kept by `pulumi up`. Commit it: with it habla refuses a change
# that would start a service with empty data, while its data is elsewhere.
"""


def load_plan(root: Path, environment: str) -> FleetPlan:
    """The plan of a stack. Raises Faults."""
    return make_plan(
        read_stack(root, environment),
        read_held(root, environment),
        read_archive=ArchiveFiles(root).archive,
        data=read_data(root, environment),
    )


def read_held(root: Path, environment: str) -> dict[str, IPv4Address]:
    """host -> the address it holds; empty before the first deployment. Raises Faults."""
    path = held_addresses_path(root, environment)
    if not path.is_file():
        return {}
    held, faults = {}, []
    for name, value in read_mapping(path).items():
        try:
            held[name] = IPv4Address(str(value))
        except AddressValueError:
            rule = "the file has a line HOST: ADDRESS for each host"
            fix = "restore the file from version control"
            faults.append(Fault(f"{path}: {name}", "not an address", value=str(value), rule=rule, fix=fix))
    raise_faults(AddressError, faults)
    return held


def write_held(root: Path, environment: str, *, addresses: Mapping[str, IPv4Address]) -> bool:
    """Write down which host holds which address; whether that changed the file. In one step."""
    text = _HEAD + "".join(f"{name}: {address}\n" for name, address in sorted(addresses.items()))
    return _written(held_addresses_path(root, environment), text)


def read_data(root: Path, environment: str) -> dict[str, DataPlace]:
    """Service -> where its data is; empty before the first deployment. Raises Faults."""
    path = data_places_path(root, environment)
    if not path.is_file():
        return {}
    try:
        return {
            str(service): DataPlace(
                str(place["name"]),
                tuple(map(str, place["paths"])),
                {str(host): str(machine) for host, machine in place["hosts"].items()},
                needs_host_name=bool(place.get("needs_host_name", False)),
            )
            for service, place in read_mapping(path).items()
        }
    except (AttributeError, KeyError, TypeError) as error:
        rule = "SERVICE: {name: …, paths: […], hosts: {…}}, as `pulumi up` writes it"
        fault = Fault(
            str(path),
            "cannot be read",
            value=str(error),
            rule=rule,
            fix="restore the file from version control",
        )
        raise SettingsError([fault]) from error


def write_data(root: Path, environment: str, *, places: Mapping[str, DataPlace]) -> bool:
    """Write down where the data of services is; whether that changed the file. In one step."""
    raw = {
        service: {
            "name": place.name,
            "paths": list(place.paths),
            "hosts": dict(sorted(place.hosts.items())),
            **({"needs_host_name": True} if place.needs_host_name else {}),
        }
        for service, place in sorted(places.items())
    }
    text = _DATA_HEAD + (yaml.safe_dump(raw, sort_keys=False, default_flow_style=None) if raw else "")
    return _written(data_places_path(root, environment), text)


def _written(path: Path, text: str) -> bool:
    if path.is_file() and path.read_text("utf-8") == text:
        return False
    new = path.with_name(f".{path.name}.{os.getpid()}")
    new.write_text(text, "utf-8")
    new.replace(path)
    return True
