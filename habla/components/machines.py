"""The machines of a plan: those that are there, and those that the lab makes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import pulumi
from pulumi_command import remote

from habla.components.host import ExistingHost, Host, HostArgs, Lab, LabArgs, LabHost
from habla.errors import Fault, SettingsError
from habla.model.names import LAB
from habla.onhost.made_secrets import base_secret, made_value
from habla.plan import FleetPlan, HostPlan
from habla.settings.models import SshSettings

__all__ = ["make_hosts"]


def make_hosts(
    plan: FleetPlan,
    secrets: Mapping[str, pulumi.Input[str]],
    *,
    root: Path,
    opts: pulumi.ResourceOptions | None = None,
) -> dict[str, Host]:
    """Name -> host. secrets: each host gets those that its files ask for."""
    settings = plan.settings
    lab = None
    if settings.lab is not None:
        packages = {package for host in plan.hosts.values() for package in host.packages}
        wanted = (settings.hosts[name].release or settings.lab.release for name in plan.hosts)
        releases = tuple(sorted({release for release in wanted if release}))
        directory = root / settings.lab.directory
        lab = Lab(LAB, LabArgs(directory, tuple(sorted(packages)), releases=releases), opts)
    hosts = {}
    for name, host in plan.hosts.items():
        mine = settings.hosts[name]
        driver: ExistingHost | LabHost
        if mine.ssh is None and lab is not None and settings.lab is not None:
            sizes = {mount: spec.size for mount, spec in host.site.partitions.items()}
            forwards = _forwards(host)
            driver = LabHost(
                lab,
                forwards=forwards,
                ports={forward: port for forward, port in settings.lab.ports.items() if forward in forwards},
                partitions=sizes,
                release=mine.release or settings.lab.release,
            )
        else:
            driver = _existing(mine.ssh or SshSettings(), settings.ssh, secrets=secrets)
        needed = {secret: _value(secret, secrets) for secret in host.secrets}
        outside = str(host.site.outside) if host.site.outside else None
        args = HostArgs(driver, outside, secrets=needed, unreachable=mine.unreachable, drained=mine.drained)
        hosts[name] = Host(name, args, opts)
    return hosts


def _value(name: str, secrets: Mapping[str, pulumi.Input[str]]) -> pulumi.Input[str]:
    base = base_secret(name)
    if base == name:
        return secrets[name]
    return pulumi.Output.secret(secrets[base]).apply(partial(made_value, name))


def _existing(
    own: SshSettings, common: SshSettings, *, secrets: Mapping[str, pulumi.Input[str]]
) -> ExistingHost:
    key = own.private_key or common.private_key
    socket = os.environ.get("SSH_AUTH_SOCK")
    if key is None and not (socket and Path(socket).is_socket()):
        rule = "SSH needs a private key, or an agent that has one"
        fix = "set ssh.private_key to the name of a secret, or start an agent: eval $(ssh-agent) && ssh-add"
        raise SettingsError(
            [Fault("ssh.private_key", "missing, and no SSH agent", value=socket or "", rule=rule, fix=fix)]
        )
    bastion = own.bastion or common.bastion
    private_key = secrets[key] if key else None
    return ExistingHost(
        address=str(own.address),
        host_key=str(own.host_key),
        port=own.port or common.port or 22,
        user=own.user or common.user or "root",
        private_key=private_key,
        agent_socket=None if key else socket,
        proxy=remote.ProxyConnectionArgs(
            host=bastion.address,
            port=float(bastion.port),
            user=bastion.user,
            host_key=bastion.host_key,
            private_key=private_key,
            agent_socket_path=None if key else socket,
        )
        if bastion
        else None,
    )


def _forwards(host: HostPlan) -> dict[str, int | str]:
    """The forwards of a host: see ``LabHost.forwards``."""
    found: dict[str, int | str] = {}
    for service in host.services:
        found |= {name: forward.target for name, forward in service.forwards(host.site).items()}
    return found
