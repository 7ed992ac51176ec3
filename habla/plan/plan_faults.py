"""Faults of a plan as a whole, and remarks on settings that may not be meant."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from habla.errors import Fault, not_one_of
from habla.model.service import Service
from habla.onhost.made_secrets import base_secret
from habla.plan.data_places import DataPlace
from habla.plan.fleet_plan import FleetPlan
from habla.plan.host_plan import HostPlan
from habla.settings.fault_words import shared_faults
from habla.settings.models import Settings

__all__ = [
    "fleet_notes",
    "lab_faults",
    "missing_secrets",
    "needed_secrets",
    "outside_faults",
    "repeated_faults",
    "rule_faults",
    "secret_command",
    "unserved_faults",
]


def rule_faults(settings: Settings, hosts: Mapping[str, HostPlan]) -> Iterable[Fault]:
    """Changes to rules that no host has."""
    if not settings.logs.rules:
        return
    known = sorted({rule for host in hosts.values() for rule in host.rules})
    for rule in settings.logs.rules:
        if rule not in known:
            fix = f"choose one of {', '.join(known)}"
            yield Fault(
                f"logs.rules.{rule}",
                "no host has this rule",
                value=rule,
                rule="logs.rules changes only rules that a host has",
                fix=fix,
            )


def outside_faults(settings: Settings) -> Iterator[Fault]:
    """Public addresses that two hosts have, or that are in the internal network."""
    rule = "a public address belongs to one host; for an address that hosts share, use load_balancer.vrrp"
    outside = {
        name: str(host.outside_address) if host.outside_address else None
        for name, host in settings.hosts.items()
    }
    yield from shared_faults("outside_address", outside, rule=rule)
    for name, host in settings.hosts.items():
        if host.outside_address is not None and host.outside_address in settings.network.cidr:
            rule = f"the public address of a host is not in the internal network {settings.network.cidr}"
            fix = "set the public address, or change network.cidr"
            value = str(host.outside_address)
            yield Fault(
                f"hosts.{name}.outside_address", "an internal address", value=value, rule=rule, fix=fix
            )


def unserved_faults(settings: Settings, placed: Mapping[str, Iterable[Service]]) -> Iterator[Fault]:
    """The website without a server, although HAProxy runs: every visitor would get 503."""
    running = {service.name: service for services in placed.values() for service in services}
    if not any(service.balances for service in running.values()):
        return
    for name, app in settings.apps.items():
        if app.default and name not in running:
            rule = "HAProxy sends the visitors of the website to this app, and they would all get status 503"
            fix = f"add a host of the role {' or '.join(app.roles)}, or remove default: true"
            yield Fault(
                f"apps.{name}", "no host runs the app", value=", ".join(app.roles), rule=rule, fix=fix
            )


def repeated_faults(
    placed: Mapping[str, Iterable[Service]], data: Mapping[str, DataPlace]
) -> Iterator[Fault]:
    """Services that a fleet has once, on several hosts. data: where it was last, which stays."""
    names = {host: [service.name for service in services] for host, services in sorted(placed.items())}
    found: dict[str, list[str]] = {}
    for host in names:
        for service in placed[host]:
            if service.one_per_fleet:
                found.setdefault(service.name, []).append(host)
    repeated: dict[tuple[str, ...], list[str]] = {}
    for name, where in sorted(found.items()):
        if len(where) > 1:
            repeated.setdefault(tuple(where), []).append(name)
    for hosts, services in repeated.items():
        had = [host for name in services if name in data for host in hosts if host in data[name].hosts]
        keeper = (had or hosts)[0]
        for host in hosts:
            if host != keeper:
                value = ", ".join(services)
                rest = ", ".join(name for name in names[host] if name not in services)
                yield Fault(
                    f"hosts.{host}.services",
                    f"{keeper} runs the same services, of which a fleet has one",
                    value=value,
                    rule="two of them would not share their data, and a program gets the address of one",
                    fix=f"set hosts.{host}.services to [{rest}]; "
                    f"or remove {value} from hosts.{keeper}.services",
                )


def lab_faults(settings: Settings, hosts: Mapping[str, HostPlan]) -> Iterator[Fault]:
    """Ports of the lab that lead nowhere or to two places, and releases of hosts that are not the lab's."""
    for name, host in settings.hosts.items():
        if host.release and (settings.lab is None or host.ssh is not None):
            rule = "habla chooses the release only of hosts that the lab makes"
            path = f"hosts.{name}.release"
            yield Fault(path, "not a host of the lab", value=host.release, rule=rule, fix="remove it")
    if settings.lab is None:
        return
    services = [(host.site, service) for host in hosts.values() for service in host.services]
    known = sorted({name for site, service in services for name in service.forwards(site)})
    ports: dict[int, str] = {}
    for name, port in settings.lab.ports.items():
        path = f"lab.ports.{name}"
        if name not in known:
            yield not_one_of(path, "no such port of the fleet", value=name, known=known)
        if port in ports:
            rule = "a port of this machine leads to one port of the fleet"
            fix = f"give one of them another port than {ports[port]}"
            yield Fault(path, f"lab.ports.{ports[port]} has it too", value=str(port), rule=rule, fix=fix)
        ports.setdefault(port, name)


def needed_secrets(plan: FleetPlan) -> dict[str, list[str]]:
    """Name -> the hosts that need it, or one made from it, of every secret that the user must give."""
    settings = plan.settings
    needed: dict[str, set[str]] = {}
    for host in plan.hosts.values():
        for name in host.secrets:
            needed.setdefault(base_secret(name), set()).add(host.name)
    if settings.lab is None:
        for name, host_settings in settings.hosts.items():
            key = (host_settings.ssh and host_settings.ssh.private_key) or settings.ssh.private_key
            if key:
                needed.setdefault(key, set()).add(name)
    return {name: sorted(users) for name, users in sorted(needed.items())}


def secret_command(name: str, environment: str, *, pulumi: str = "pulumi") -> str:
    """The command line with which a user sets a secret of a stack. pulumi: the path of the CLI."""
    return f"{pulumi} config set --secret --path 'habla:secrets[\"{name}\"]' -s {environment}"


def missing_secrets(plan: FleetPlan) -> list[Fault]:
    """The secrets that a deployment of a stack needs and that are not set. Rendering needs none."""
    return [
        Fault(
            f"secrets.{name}",
            "the secret is not set",
            rule=f"needed on {', '.join(users)}",
            fix=secret_command(name, plan.settings.environment),
        )
        for name, users in needed_secrets(plan).items()
        if name not in plan.settings.secrets
    ]


def fleet_notes(settings: Settings, placed: Mapping[str, Iterable[Service]]) -> Iterator[str]:
    """Remarks on settings that are allowed, but may not be meant; besides those of services."""
    running = {service.name for services in placed.values() for service in services}
    unused = sorted(name for name in settings.apps if name not in running)
    if unused:
        yield f"no host runs {', '.join(unused)}: an environment may leave an app out, but is it meant?"
    bare = sorted(name for name in settings.hosts if not settings.partitions_of(name))
    if bare:
        yield f"no partitions are declared for {', '.join(bare)}: habla cannot tell whether their logs fit"
    if not settings.alerts.told:
        yield "habla:alerts names nobody: hosts write to their journals only before a partition fills"
