"""The names of a stack's Pulumi resources, as the components give them, with their owners.

The engine tells two resources of one name apart only by their types, and people not at all.
"""

from __future__ import annotations

from collections.abc import Iterator

from habla.model.names import (
    LAB,
    SUBNET,
    agent_file_resource,
    agent_resource,
    archive_resource,
    contact_resource,
    joined_resource,
    lab_network_resource,
    machine_resource,
    node_resource,
    secrets_resource,
    state_resource,
)
from habla.model.service import Owner
from habla.plan.host_plan import HostPlan
from habla.plan.registry import Claim
from habla.settings.models import Settings

__all__ = ["common_resource_claims", "resource_claims"]


def resource_claims(settings: Settings, host: HostPlan) -> Iterator[Claim]:
    """The resources of a host."""
    owner = Owner(f"the host {host.name}", f"hosts.{host.name}")
    names = [
        host.name,
        agent_resource(host.name),
        agent_file_resource(host.name),
        joined_resource(SUBNET, host.name),
    ]
    if host.secrets:
        names.append(secrets_resource(host.name))
    made = settings.hosts[host.name].ssh is None
    names.append(machine_resource(host.name) if made else contact_resource(host.name))
    yield from (Claim("resource", name, owner=owner) for name in names)
    for component, part in host.parts.items():
        node = node_resource(host.name, component)
        names = [node, state_resource(node)]
        names += [state_resource(node, ahead.component) for ahead in part.ahead]
        archives = {
            archive_resource(node, host.site.fleet.archives[spec].sha256)
            for service in part.services
            for spec in service.archives().values()
            if spec.path is not None and spec in host.site.fleet.archives
        }
        part_owner = Owner(f"the component {component} of the host {host.name}", owner.path)
        yield from (Claim("resource", name, owner=part_owner) for name in (*names, *sorted(archives)))


def common_resource_claims(settings: Settings) -> Iterator[Claim]:
    """The resources that a stack has once."""
    yield Claim("resource", SUBNET, owner=Owner("habla's internal network"))
    if settings.lab is not None:
        for name in (LAB, lab_network_resource(LAB)):
            yield Claim("resource", name, owner=Owner("habla's lab"))
