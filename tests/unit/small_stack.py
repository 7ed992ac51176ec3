"""A small valid stack for tests, and changes of it by path."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import yaml

from habla.onhost.document import Archive
from habla.plan import FleetPlan, make_plan
from habla.plan.data_places import DataPlace
from habla.settings.loading import load_settings

__all__ = ["STACK", "changed", "planned"]

STACK: dict[str, Any] = yaml.safe_load("""
lab: {}
load_balancer: {dialect: 2.x}
partitions: {/: {size: 20G}, /var/log: {size: 8G}}
apps:
  site:
    roles: [web]
    command: [/usr/bin/site, --port, "8000"]
    port: 8000
    default: true
    health: {path: /health}
    environment: {DATABASE: "${mysql.address}"}
    secrets: {PASSWORD: mysql/habla}
    logs: [{path: /var/log/habla-site/access.log, size: 2M}]
  rpc:
    roles: [stable]
    command: [/usr/bin/rpc]
    port: 8001
    routes: [{path: /rpc}]
    health: {path: /health}
hosts:
  front1: {role: front, outside_address: 203.0.113.10}
  stable1: {role: stable}
  web1: {role: web}
  monitor1: {role: monitor}
secrets: {}
""")


def changed(changes: Mapping[str, Any]) -> dict[str, Any]:
    """The stack with values at paths: ``{"apps|rpc|port": 1}``. A value None takes the key away."""
    raw = copy.deepcopy(STACK)
    for path, value in changes.items():
        *parts, last = path.split("|")
        place = raw
        for part in parts:
            place = place.setdefault(part, {})
        if value is None:
            place.pop(last, None)
        else:
            place[last] = value
    return raw


def planned(raw: Mapping[str, Any], *, data: Mapping[str, DataPlace] | None = None) -> FleetPlan:
    """The plan of a stack, whose archives are all the same. data: where it was last. Raises Faults."""
    settings = load_settings("test", raw)
    return make_plan(settings, {}, read_archive=lambda spec: Archive("0" * 64), data=data)
