"""The base of all components that put services on hosts: one host state each, handed over in one command."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from pathlib import Path

import pulumi
from pulumi_command import remote

from habla.components.archive_delivery import sent_archives
from habla.components.command import applied_state, split_options
from habla.components.component_schema import Component
from habla.components.door import claim, component_owner, outside_stand_in
from habla.components.host import Host
from habla.components.subnet import InternalSubnet
from habla.errors import Fault, PlacementError, SettingsError, raise_faults
from habla.model.names import state_resource
from habla.model.service import HostFacts, Service
from habla.model.site import Endpoints, FleetFacts
from habla.onhost.document import HostState
from habla.onhost.made_secrets import base_secret
from habla.plan.archive_files import ArchiveFiles
from habla.plan.component import ComponentPlan
from habla.plan.node_plan import NodePlan, plan_node
from habla.plan.registry import Claim

__all__ = ["Node", "PlannedNode", "planned_node"]


_NOTHING = Endpoints()


@dataclass(frozen=True)
class PlannedNode:
    """A component with its plan. Every class of components takes it in the place of its ``Args``.

    on: the host, or several hosts in the order in which they are changed. plan: of these hosts.
    contents: sha256 -> archive, of those that the hosts are handed.
    """

    on: Host | Sequence[Host]
    subnet: InternalSubnet
    _: KW_ONLY
    plan: NodePlan
    contents: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def hosts(self) -> list[Host]:
        """The hosts as a list."""
        return hosts_of(self.on)


def hosts_of(on: Host | Sequence[Host]) -> list[Host]:
    """One host or several as a list."""
    return [on] if isinstance(on, Host) else list(on)


def offered_by(nodes: Sequence[Node]) -> Endpoints:
    """The offers of all these nodes."""
    return sum((node.endpoints for node in nodes), Endpoints())


def after(opts: pulumi.ResourceOptions | None, nodes: Sequence[pulumi.Resource]) -> pulumi.ResourceOptions:
    """The options of a component that is deployed after these nodes."""
    return pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=list(nodes)))


def planned_node(
    component: str,
    on: Host | Sequence[Host],
    *,
    subnet: InternalSubnet,
    services: Sequence[Service],
    known: Endpoints = _NOTHING,
    fleet: FleetFacts | None = None,
    root: Path = Path(),
) -> PlannedNode:
    """Plan services on the hosts of a user's own program. Raises Faults.

    component: its name on the hosts. known: the offers of other components. fleet: the facts that all hosts
    share, if they are not those of the subnet. root: paths of archives are relative to it.
    """
    machines = hosts_of(on)
    for machine in machines:
        subnet.role(machine)
    hosts = [machine.name for machine in machines]
    if not hosts:
        rule = "a component runs on at least one host"
        raise PlacementError(
            [Fault("on", f"component {component} has no host", rule=rule, fix="name a host")]
        )
    files = ArchiveFiles(root)
    specs = [spec for service in services for spec in service.archives().values()]
    facts = replace(
        fleet or subnet.fleet, endpoints=known, archives={spec: files.archive(spec) for spec in specs}
    )
    plan = plan_node(component, hosts, sites=subnet.sites, roles=subnet.roles, services=services, fleet=facts)
    return PlannedNode(on, subnet, plan=plan, contents=files.contents(services))


class Node(Component):
    """Services on one host, as one component of the host; or the same services on several hosts.

    endpoints: the offers of the services, as plain values that are known at preview. state: the state of the
    host. report: the changes of the last apply, as JSON. states, reports: the same for each of several hosts;
    ``state`` and ``report`` are then those of the first. facts: the facts that a watcher of each host needs.
    """

    endpoints: Endpoints
    state: HostState
    states: Mapping[str, HostState]
    facts: Mapping[str, HostFacts]
    report: pulumi.Output[str]
    reports: pulumi.Output[dict[str, str]]

    def __init__(
        self, token: str, name: str, *, planned: PlannedNode, opts: pulumi.ResourceOptions | None
    ) -> None:
        parts = planned.plan.parts
        raise_faults(SettingsError, _missing_secrets(planned))
        claim(_claims(type(self).__name__, name, planned=planned))
        self.endpoints = planned.plan.endpoints
        self.states = {host: part.state for host, part in parts.items()}
        self.facts = {host: part.facts for host, part in parts.items()}
        own, children = split_options(opts)
        super().__init__(token, name, None, own)
        children = pulumi.ResourceOptions.merge(children, pulumi.ResourceOptions(parent=self))
        reports: dict[str, pulumi.Output[str]] = {}
        last: list[pulumi.Resource] = []
        for host in planned.hosts:
            child, former = _child_names(name, host, hosts=planned.on)
            # One host after the other, so that a change never takes all of them down.
            before = [planned.subnet.joined(host), *last]
            before += sent_archives(
                child, host, archives=planned.contents, opts=children, depends_on=list(before)
            )
            # When one of these is no longer asked for, Pulumi removes it after this component has left it.
            names = (child, *former)
            before += [
                _applied(
                    names, ahead.component, host=host, state=ahead, opts=children, depends_on=list(before)
                )
                for ahead in parts[host.name].ahead
            ]
            state = self.states[host.name]
            command = _applied(names, "state", host=host, state=state, opts=children, depends_on=before)
            last = [command]
            reports[host.name] = command.stdout
        first = planned.hosts[0].name
        self.state, self.report = self.states[first], reports[first]
        self.reports = pulumi.Output.all(**reports)
        # Reports are outputs of the commands already, and the state need not hold them twice.
        self.register_outputs({})


def _missing_secrets(planned: PlannedNode) -> Iterator[Fault]:
    """Secrets that services need and that the host is not given."""
    for host in planned.hosts:
        part = planned.plan.parts[host.name]
        needed = {name for state in (part.state, *part.ahead) for name in state.secrets}
        for name in sorted({base_secret(name) for name in needed - host.secrets} - host.secrets):
            rule = f"component {planned.plan.component} of host {host.name} needs it"
            fix = f'give it to the host: HostArgs(…, secrets={{"{name}": …}})'
            yield Fault(f"secrets.{name}", "the secret is not given", rule=rule, fix=fix)


def _claims(kind: str, name: str, *, planned: PlannedNode) -> dict[str, list[Claim]]:
    owner = component_owner(kind, name)
    return {
        host: [
            *part.claims,
            *(Claim("component", each, owner=owner) for each in (planned.plan.component, *_ahead(part))),
        ]
        for host, part in planned.plan.parts.items()
    }


def _ahead(part: ComponentPlan) -> list[str]:
    return [state.component for state in part.ahead]


def _child_names(name: str, host: Host, *, hosts: Host | Sequence[Host]) -> tuple[str, list[str]]:
    """The name of a component's part on ``host``, and its name when there was one host, or were several.

    Without the latter a second host would make the part on the first one a new resource, and the end of the
    old one would undo it.
    """
    single, one_of_several = name, f"{name}-{host.name}"
    if isinstance(hosts, Host):
        return single, [one_of_several]
    return one_of_several, [single] if host is hosts[0] else []


def _outside(host: Host) -> tuple[str, pulumi.Output[str]] | None:
    if isinstance(host.outside_address, pulumi.Output):
        return str(outside_stand_in(host.name)), host.outside_address
    return None


def _applied(
    names: Sequence[str],
    part: str,
    *,
    host: Host,
    state: HostState,
    opts: pulumi.ResourceOptions,
    depends_on: Sequence[pulumi.Resource],
) -> remote.Command:
    """A host state as a resource: handed over, and undone when the resource goes.

    names: of the component's part on this host, the first as it is now, the others as it has been called.
    """
    name, *aliases = [state_resource(each, part) for each in names]
    return applied_state(
        name,
        host.connection,
        state=state,
        outside=_outside(host),
        opts=pulumi.ResourceOptions.merge(
            opts,
            pulumi.ResourceOptions(aliases=[pulumi.Alias(name=each) for each in aliases]),
        ),
        depends_on=depends_on,
    )
