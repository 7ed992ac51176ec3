"""The roles and the address plan of a stack."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from ipaddress import IPv4Address

from habla.model.roles import Role
from habla.plan.address_ranges import AddressRange, role_ranges
from habla.plan.addressing import AddressPlan, HostRequest, plan_addresses
from habla.services.catalog import default_roles
from habla.settings.models import Settings

__all__ = ["plan_stack_addresses", "stack_ranges", "stack_roles"]


def stack_roles(settings: Settings) -> dict[str, Role]:
    """The default roles with the stack's changes, by name."""
    roles = dict(default_roles())
    for name, change in settings.roles.items():
        base = roles.get(name, Role(name))
        roles[name] = replace(
            base,
            kinds=base.kinds if change.services is None else change.services,
            defaults=base.defaults if change.defaults is None else change.defaults,
            volatile=base.volatile if change.volatile is None else change.volatile,
        )
    return roles


def plan_stack_addresses(settings: Settings, held: Mapping[str, IPv4Address]) -> AddressPlan:
    """The address plan of a stack. Raises AddressError."""
    requests = {name: HostRequest(host.role, host.address) for name, host in settings.hosts.items()}
    network = settings.network
    return plan_addresses(
        network.cidr, stack_ranges(settings), hosts=requests, held=held, reserved=network.reserved
    )


def stack_ranges(settings: Settings) -> dict[str, tuple[AddressRange, ...]]:
    """Which addresses each role of a stack owns. Raises AddressError."""
    given = {name: change.ranges for name, change in settings.roles.items() if change.ranges is not None}
    return role_ranges(settings.network.cidr, stack_roles(settings), given=given)
