"""A host: a machine reached over SSH, or one that the lab makes; with the agent and its secrets on it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import KW_ONLY, dataclass, field

import pulumi
from pulumi_command import remote

from habla.components.agent_bundle import SENT, agent_bundle, install_command
from habla.components.command import (
    Connection,
    agent_command,
    agent_undo,
    host_command,
    owner_of,
    sent_file,
    split_options,
)
from habla.components.component_schema import Component, in_schema
from habla.components.door import name_faults, plain, ssh_faults
from habla.components.first_contact import first_contact
from habla.components.lab_machines import Lab, LabArgs, LabHost, lab_machine
from habla.errors import Fault, SettingsError, raise_faults
from habla.model.names import (
    agent_file_resource,
    agent_resource,
    secrets_resource,
)

__all__ = ["ExistingHost", "Host", "HostArgs", "Lab", "LabArgs", "LabHost"]


@in_schema
@dataclass(frozen=True)
class ExistingHost:
    """A machine that exists. Every field except ``user`` may be an output of another resource."""

    address: pulumi.Input[str]
    """The name or address under which SSH reaches it."""
    host_key: pulumi.Input[str]
    """Its public host key, ``ssh-ed25519 AAAA…``; it is pinned."""
    _: KW_ONLY
    port: pulumi.Input[int] = 22
    """Of SSH."""
    user: str = "root"
    """The user who logs in: root, or one who may ``sudo -n``."""
    private_key: pulumi.Input[str] | None = None
    """The user's; without one the agent at ``agent_socket`` is asked."""
    agent_socket: str | None = None
    """The socket of an SSH agent."""
    proxy: remote.ProxyConnectionArgs | None = None
    """A machine to jump over."""


@in_schema
@dataclass(frozen=True)
class HostArgs:
    """The machine of a host, and the secrets that the host gets."""

    driver: ExistingHost | LabHost
    """Where the machine comes from."""
    outside_address: pulumi.Input[str] | None = None
    """Its public address, if it has one; it may be an output, of an address that the program reserves."""
    _: KW_ONLY
    secrets: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    """Name -> value, of just those secrets that services on this host ask for."""
    unreachable: bool = False
    """Leave the machine alone, because it cannot be reached: see ``habla:hosts.HOST`` in the settings."""
    drained: bool = False
    """HAProxy sends it nothing new."""


class Host(Component):
    """A host that is ready for components: SSH reaches it, and it has the agent and its secrets.

    name: its short DNS name, which is also its name in the fleet. address, port: those of its SSH server.
    forwards: loopback ports of a lab host. secrets: the names of the secrets that it gets.
    """

    name: str
    outside_address: pulumi.Input[str] | None
    drained: bool
    secrets: frozenset[str]
    address: pulumi.Output[str]
    port: pulumi.Output[int]
    forwards: pulumi.Output[dict[str, int]]
    connection: Connection
    ready: pulumi.Resource

    def __init__(self, name: str, args: HostArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        faults = list(name_faults(f"hosts.{name}", name))
        if isinstance(args.driver, ExistingHost):
            faults += _ssh_faults(name, args.driver)
        else:
            plain(args.outside_address, "outside_address", why="the lab gives the machine this address")
        raise_faults(SettingsError, faults)
        own, children = split_options(opts)
        super().__init__("habla:index:Host", name, None, own)
        children = pulumi.ResourceOptions.merge(children, pulumi.ResourceOptions(parent=self))
        self.name = name
        self.outside_address = args.outside_address
        self.drained = args.drained
        self.secrets = frozenset(args.secrets)
        match args.driver:
            case ExistingHost() as driver:
                self._existing(driver, args.unreachable)
            case LabHost() as driver:
                self._made(driver, args.unreachable, opts=children)
        owner = f"--owner={owner_of(agent_resource(name))}"
        install = (f"--host={name}", owner)
        bundle = agent_bundle()
        before = []
        if isinstance(args.driver, ExistingHost) and not args.unreachable:
            digest = bundle.sha256
            before.append(first_contact(name, self.connection, agent=digest, opts=children))
        sent = sent_file(
            agent_file_resource(name),
            self.connection,
            path=bundle.path(),
            to=SENT,
            opts=pulumi.ResourceOptions.merge(children, pulumi.ResourceOptions(depends_on=before)),
        )
        agent = host_command(
            agent_resource(name),
            self.connection,
            create=install_command(*install, "--new"),
            update=install_command(*install),
            stdin=bundle.manifest,
            delete=agent_undo("uninstall", owner),
            opts=children,
            depends_on=[sent],
        )
        self.ready = agent
        if args.secrets:
            document = pulumi.Output.json_dumps({"format": 1, "secrets": dict(sorted(args.secrets.items()))})
            self.ready = host_command(
                secrets_resource(name),
                self.connection,
                create=agent_command("secrets"),
                stdin=pulumi.Output.secret(document),
                delete=None,
                opts=children,
                depends_on=[agent],
            )
        self.register_outputs({"address": self.address, "port": self.port, "forwards": self.forwards})

    def _existing(self, driver: ExistingHost, unreachable: bool) -> None:
        self.address = pulumi.Output.from_input(driver.address)
        self.port = pulumi.Output.from_input(driver.port)
        self.forwards = pulumi.Output.from_input({})
        self.connection = Connection(
            remote.ConnectionArgs(
                host=driver.address,
                port=self.port.apply(float),
                user=driver.user,
                host_key=driver.host_key,
                private_key=driver.private_key,
                agent_socket_path=driver.agent_socket,
                proxy=driver.proxy,
            ),
            driver.user,
            host=self.name,
            machine=pulumi.Output.concat(self.address, ":", self.port.apply(lambda port: str(int(port)))),
            unreachable=unreachable,
        )

    def _made(self, driver: LabHost, unreachable: bool, *, opts: pulumi.ResourceOptions) -> None:
        machine = lab_machine(self.name, driver, outside_address=self.outside_address, opts=opts)
        made = machine.stdout.apply(json.loads)
        self.address = made["address"]
        self.port = made["port"]
        self.forwards = made["forwards"]
        self.connection = Connection(
            remote.ConnectionArgs(
                host=self.address,
                port=self.port.apply(float),
                user=driver.user,
                host_key=made["host_key"],
                private_key=driver.lab.private_key,
            ),
            driver.user,
            host=self.name,
            deleted_with=machine,
            unreachable=unreachable,
        )


def _ssh_faults(name: str, driver: ExistingHost) -> Iterator[Fault]:
    return ssh_faults(
        name,
        key=driver.private_key,
        agent=driver.agent_socket,
        proxy=driver.proxy,
        address=driver.address,
        port=driver.port,
        user=driver.user,
        host_key=driver.host_key,
    )
