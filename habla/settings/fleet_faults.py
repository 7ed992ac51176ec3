"""The checks across sections of a stack: whether the sections fit together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from habla.errors import Fault, not_one_of
from habla.services.app_spec import AppSpec
from habla.services.catalog import daemons, default_roles, kinds
from habla.settings.fault_words import shared_faults
from habla.settings.models import HostSettings, LabSettings, RoleSettings, SshSettings

__all__ = ["fleet_faults"]


def fleet_faults(
    hosts: Mapping[str, HostSettings],
    roles: Mapping[str, RoleSettings],
    *,
    apps: Mapping[str, AppSpec],
    ssh: SshSettings | None,
    lab: LabSettings | None,
) -> list[Fault]:
    """Faults between sections. Sections with faults of their own are left out."""
    known = sorted({*default_roles(), *roles})
    runnable = (*daemons(), *apps)
    faults = []
    for name, change in roles.items():
        for key, chosen in (("services", change.services), ("defaults", change.defaults)):
            for index, kind in enumerate(chosen or ()):
                if kind not in kinds():
                    path = f"roles.{name}.{key}[{index}]"
                    faults.append(not_one_of(path, "unknown kind of service", value=kind, known=kinds()))
    for name, host in hosts.items():
        if host.role not in known:
            faults.append(not_one_of(f"hosts.{name}.role", "unknown role", value=host.role, known=known))
        for index, service in enumerate(host.services or ()):
            if service not in runnable:
                path = f"hosts.{name}.services[{index}]"
                faults.append(not_one_of(path, "unknown service", value=service, known=runnable))
        faults.extend(_connection_faults(name, host, ssh=ssh, lab=lab))
    faults.extend(_shared_machines(hosts, ssh))
    for name, app in apps.items():
        for index, role in enumerate(app.roles):
            if role not in known:
                faults.append(
                    not_one_of(f"apps.{name}.roles[{index}]", "unknown role", value=role, known=known)
                )
        if app.balanced and app.health is None:
            rule = "an app that gets requests from HAProxy must say how it is checked"
            fix = "add health: {path: /…}"
            faults.append(Fault(f"apps.{name}.health", "missing", rule=rule, fix=fix))
        if (app.balanced or app.health) and app.port is None:
            rule = "an app that gets requests from HAProxy must say on which port"
            faults.append(Fault(f"apps.{name}.port", "missing", rule=rule, fix="add port: NUMBER"))
    return faults


def _shared_machines(hosts: Mapping[str, HostSettings], ssh: SshSettings | None) -> Iterator[Fault]:
    """Machines that two hosts have."""
    default_port = (ssh and ssh.port) or 22
    machines = {
        name: f"{host.ssh.address} port {host.ssh.port or default_port}"
        if host.ssh is not None and host.ssh.address is not None
        else None
        for name, host in hosts.items()
    }
    yield from shared_faults("ssh.address", machines, rule="each host must be a machine of its own")


def _connection_faults(
    name: str, host: HostSettings, *, ssh: SshSettings | None, lab: LabSettings | None
) -> list[Fault]:
    if host.ssh is None and lab is not None:
        return []
    path = f"hosts.{name}.ssh"
    faults = []
    if host.ssh is None or host.ssh.address is None:
        fix = "add ssh: {address: …, host_key: …}, or a habla:lab section to make the hosts on this machine"
        faults.append(
            Fault(
                f"{path}.address",
                "missing",
                rule="habla reaches a host outside the lab by SSH",
                fix=fix,
            )
        )
    if host.ssh is None or host.ssh.host_key is None:
        fix = "add its public host key, as `ssh-keyscan -t ed25519 ADDRESS` prints it after the address"
        faults.append(
            Fault(
                f"{path}.host_key",
                "missing",
                rule="outside a lab, habla connects only to a host whose key it knows",
                fix=fix,
            )
        )
    if ssh is not None and ssh.address is not None:
        rule = "an address belongs to one host"
        faults.append(
            Fault(
                "ssh.address",
                "all hosts cannot have one address",
                value=ssh.address,
                rule=rule,
                fix="move it to hosts.NAME.ssh.address",
            )
        )
    return faults
