"""The base of all components that put services on hosts: one host state each, handed over in one command."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pulumi
from pulumi_command import remote

from habla.components.archive_delivery import deliver_archives
from habla.components.command import agent_command, agent_undo, host_command
from habla.components.host import Host
from habla.components.subnet import InternalSubnet
from habla.errors import Fault, PlacementError, collected, raise_faults
from habla.model.service import Endpoint, Endpoints, Service
from habla.onhost.document import HostState
from habla.plan.component import Standing, composed
from habla.plan.placement import placement_faults

__all__ = ["Node"]


class Node(pulumi.ComponentResource):
    """Services on one host, as one component of it; or the same services on several.

    endpoints: what it offers to others; plain values, known at preview. state: what it makes of the host.
    report: what the last apply changed, as JSON. states, reports: the same of each host, where there are
    several; then ``state`` and ``report`` are the first one's. standing: what it keeps on each host.
    ahead: components that it stands on, by host.
    """

    endpoints: Endpoints
    state: HostState
    states: Mapping[str, HostState]
    standing: Mapping[str, Standing]
    report: pulumi.Output[str]
    reports: pulumi.Output[dict[str, str]]

    def __init__(
        self,
        token: str,
        name: str,
        component: str,
        host: Host | Sequence[Host],
        subnet: InternalSubnet,
        services: Sequence[Service],
        known: Endpoints,
        archives: Mapping[str, bytes],
        opts: pulumi.ResourceOptions | None,
        ahead: Callable[[str], Sequence[HostState]] = lambda host: (),
    ) -> None:
        hosts = [host] if isinstance(host, Host) else list(host)
        if not hosts:
            rule = "a component stands on a host"
            raise PlacementError([Fault(name, "no host", "", rule, "give at least one host")])
        placement = {item.name: (subnet.role(item), services) for item in hosts}
        raise_faults(PlacementError, placement_faults(placement))
        self.endpoints = Endpoints.of(
            Endpoint(offer, item.name, subnet.plan.hosts[item.name])
            for item in hosts
            for service in services
            for offer in service.offers()
        )
        known += self.endpoints
        faults: list[Fault] = []
        self.states, self.standing = {}, {}
        for item in hosts:
            with collected(faults):
                self.states[item.name], self.standing[item.name] = composed(
                    component, subnet.site(item, known), services
                )
        raise_faults(PlacementError, faults)
        super().__init__(token, name, None, opts)
        reports: dict[str, pulumi.Output[str]] = {}
        last: list[pulumi.Resource] = []
        for item in hosts:
            child, former = _child_names(name, item, host)
            own = pulumi.ResourceOptions(parent=self)
            # One host after the other, so that a change never takes all of them down.
            before = [subnet.joined(item), *last]
            if archives:
                before.append(deliver_archives(f"{child}-archives", item, archives, own, before))
            # When one of these is no longer asked for, Pulumi removes it after this component has left it.
            before += [
                _applied((child, *former), state.component, item, state, own, list(before))
                for state in ahead(item.name)
            ]
            command = _applied((child, *former), "state", item, self.states[item.name], own, before)
            last = [command]
            reports[item.name] = command.stdout
        self.state, self.report = self.states[hosts[0].name], reports[hosts[0].name]
        self.reports = pulumi.Output.all(**reports)
        self.register_outputs({"report": self.report, "reports": self.reports})


def _child_names(name: str, host: Host, hosts: Host | Sequence[Host]) -> tuple[str, list[str]]:
    """The name of a component's part on ``host``, and what it was called when there was one host, or several.

    Without the latter a second host would make the part on the first one a new resource, and the end of the
    old one would undo it.
    """
    single, one_of_several = name, f"{name}-{host.name}"
    if isinstance(hosts, Host):
        return single, [one_of_several]
    return one_of_several, [single] if host is hosts[0] else []


def _applied(
    names: Sequence[str],
    suffix: str,
    host: Host,
    state: HostState,
    opts: pulumi.ResourceOptions,
    depends_on: Sequence[pulumi.Resource],
) -> remote.Command:
    """A host state as a resource: handed over, and undone when the resource goes.

    names: of the component's part on this host, the first as it is now, the others as it has been called.
    """
    name, *aliases = [f"{each}-{suffix}" for each in names]
    return host_command(
        name,
        host.connection,
        agent_command("apply"),
        state.canonical(),
        agent_undo("delete", state.component),
        pulumi.ResourceOptions.merge(
            opts,
            pulumi.ResourceOptions(aliases=[pulumi.Alias(name=each) for each in aliases]),
        ),
        depends_on,
    )
