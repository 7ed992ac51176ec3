"""What is wrong with a plan as a whole, and what is allowed but worth saying."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from habla.errors import Fault
from habla.model.service import Endpoints
from habla.plan.fleet_plan import FleetPlan, HostPlan
from habla.services.keepalived import FRONT
from habla.services.keepalived import vrrp_faults as shared_address_faults
from habla.settings.models import Settings

__all__ = ["missing_secrets", "notes", "rule_faults", "vrrp_faults"]


def rule_faults(settings: Settings, hosts: Mapping[str, HostPlan]) -> Iterable[Fault]:
    """Changes to rules that no host has. Where a host has faults of its own, not all rules are known."""
    if len(hosts) < len(settings.hosts):
        return
    known = sorted({rule for host in hosts.values() for rule in host.rules})
    for rule in settings.logs.rules:
        if rule not in known:
            fix = f"one of {', '.join(known)}"
            yield Fault(f"logs.rules.{rule}", "no host has this rule", rule, "it changes a rule that is", fix)


def vrrp_faults(settings: Settings, endpoints: Endpoints) -> Iterable[Fault]:
    """A shared address that its front hosts cannot have."""
    spec = settings.load_balancer.vrrp
    if spec is None:
        return ()
    fronts = {end.host for end in endpoints.named(FRONT)}
    outside = {name: host.outside_address for name, host in settings.hosts.items()}
    return shared_address_faults(spec, settings.network.cidr, settings.network.interface, fronts, outside)


def missing_secrets(plan: FleetPlan) -> list[Fault]:
    """The secrets that a deployment needs and that are not set. Rendering needs none."""
    settings = plan.settings
    needed: dict[str, set[str]] = {}
    for host in plan.hosts.values():
        for name in host.secrets:
            needed.setdefault(name, set()).add(host.name)
    if settings.lab is None:
        for name, host_settings in settings.hosts.items():
            key = (host_settings.ssh and host_settings.ssh.private_key) or settings.ssh.private_key
            if key:
                needed.setdefault(key, set()).add(name)
    return [
        Fault(
            f"secrets.{name}",
            "the secret is not set",
            "",
            f"needed on {', '.join(sorted(users))}",
            f"pulumi config set --secret --path 'habla:secrets[\"{name}\"]' -s {settings.environment}",
        )
        for name, users in sorted(needed.items())
        if name not in settings.secrets
    ]


def notes(settings: Settings, endpoints: Endpoints) -> Iterator[str]:
    """What is allowed, but worth saying."""
    nodes = endpoints.named("c2s")
    if len(nodes) == 1:
        yield f"the Jabber cluster has one node, {nodes[0].host}: nobody can log in while it is down"
    open_ended = sorted(
        set(settings.hosts) - {name for name in settings.hosts if settings.partitions_of(name)}
    )
    if open_ended:
        yield f"no partitions are declared for {', '.join(open_ended)}: nobody knows whether their logs fit"
    if not settings.alerts.told:
        yield "nobody is told before a partition fills (habla:alerts); hosts write it to their journals only"
    vrrp, fronts = settings.load_balancer.vrrp, endpoints.named(FRONT)
    if vrrp is not None and len(fronts) == 1:
        yield f"one host, {fronts[0].host}, has the shared address {vrrp.address.ip}: nobody takes it over"
