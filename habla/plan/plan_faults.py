"""Faults of a plan as a whole, and remarks on settings that may not be meant."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from habla.errors import Fault
from habla.plan.fleet_plan import FleetPlan
from habla.plan.host_plan import HostPlan
from habla.settings.models import Settings

__all__ = ["fleet_notes", "missing_secrets", "needed_secrets", "rule_faults"]


def rule_faults(settings: Settings, hosts: Mapping[str, HostPlan]) -> Iterable[Fault]:
    """Changes to rules that no host has."""
    if not settings.logs.rules:
        return
    known = sorted({rule for host in hosts.values() for rule in host.rules})
    for rule in settings.logs.rules:
        if rule not in known:
            fix = f"one of {', '.join(known)}"
            yield Fault(
                f"logs.rules.{rule}",
                "no host has this rule",
                value=rule,
                rule="it changes a rule that is",
                fix=fix,
            )


def needed_secrets(plan: FleetPlan) -> dict[str, list[str]]:
    """Name -> the hosts that need it, of every secret that a deployment needs."""
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
    return {name: sorted(users) for name, users in sorted(needed.items())}


def missing_secrets(plan: FleetPlan) -> list[Fault]:
    """The secrets that a deployment of a stack needs and that are not set. Rendering needs none."""
    command = "pulumi config set --secret --path 'habla:secrets[\"{}\"]' -s {}"
    return [
        Fault(
            f"secrets.{name}",
            "the secret is not set",
            rule=f"needed on {', '.join(users)}",
            fix=command.format(name, plan.settings.environment),
        )
        for name, users in needed_secrets(plan).items()
        if name not in plan.settings.secrets
    ]


def fleet_notes(settings: Settings) -> Iterator[str]:
    """Remarks on settings that are allowed, but may not be meant; besides those of services."""
    bare = sorted(name for name in settings.hosts if not settings.partitions_of(name))
    if bare:
        yield f"no partitions are declared for {', '.join(bare)}: habla cannot tell whether their logs fit"
    if not settings.alerts.told:
        yield "habla:alerts names nobody: hosts write to their journals only before a partition fills"
