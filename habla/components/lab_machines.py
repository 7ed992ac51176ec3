"""The lab on this machine and the machines that it makes, as resources."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path

import pulumi
from pulumi_command import local

from habla.components.component_schema import Component, in_schema
from habla.lab.records import machine_identity
from habla.model.names import lab_network_resource, machine_resource

__all__ = ["Lab", "LabArgs", "LabHost", "lab_machine"]


@in_schema
@dataclass(frozen=True)
class LabArgs:
    """The settings of a lab."""

    directory: Path
    """Its files go there."""
    packages: tuple[str, ...] = ()
    """The Debian packages that its hosts may install."""
    _: KW_ONLY
    releases: tuple[str, ...] = ()
    """The releases of Debian that its hosts have, such as ``trixie``; by default the machine's own."""


class Lab(Component):
    """A lab on this machine: a base image, a pool of packages, and networks for its hosts."""

    directory: Path
    private_key: pulumi.Output[str]

    def __init__(self, name: str, args: LabArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("habla:index:Lab", name, None, opts)
        self.directory = args.directory
        self.command = _lab_command(
            lab_network_resource(name),
            args.directory,
            create="lab-create",
            delete="lab-delete",
            wanted={"packages": sorted(args.packages)}
            | ({"releases": sorted(args.releases)} if args.releases else {}),
            opts=pulumi.ResourceOptions(parent=self, additional_secret_outputs=["stdout"]),
        )
        self.private_key = pulumi.Output.secret(
            self.command.stdout.apply(lambda text: str(json.loads(text)["private_key"]))
        )
        self.register_outputs({"private_key": self.private_key})


@in_schema
@dataclass(frozen=True)
class LabHost:
    """A machine that the lab makes for a host."""

    lab: Lab
    """The lab."""
    user: str = "root"
    """The user who logs in: root, or one who may ``sudo -n``."""
    _: KW_ONLY
    forwards: Mapping[str, int | str] = field(default_factory=dict)
    """Ways from the loopback address: name -> port of its outside address, or ``ADDRESS:PORT`` of one that it
    shares with other hosts, or ``itself:ADDRESS:PORT`` of one that only it can reach."""
    ports: Mapping[str, int] = field(default_factory=dict)
    """Forward -> its port on the loopback address, for those that must be known beforehand."""
    partitions: Mapping[str, str] = field(default_factory=dict)
    """File systems of its own: mount point -> size such as ``512M``; without any its ``/`` is an overlay."""
    release: str | None = None
    """Its release of Debian, one of the lab's; by default the first of them."""


def lab_machine(
    name: str,
    driver: LabHost,
    *,
    outside_address: pulumi.Input[str] | None,
    opts: pulumi.ResourceOptions,
) -> local.Command:
    """The machine of a lab host. Its stdout is what ``host-create`` prints.

    Settings that are not given are left out, so that a new setting changes no older stack.
    """
    wanted: dict[str, object] = {
        "name": name,
        "outside_address": outside_address,
        "forwards": dict(sorted(driver.forwards.items())),
        "user": driver.user,
        # A machine that was lost gets another identity, and so everything is deployed on it again.
        "machine_id": machine_identity(driver.lab.directory, name),
    }
    optional = {
        "ports": dict(sorted(driver.ports.items())),
        "partitions": dict(sorted(driver.partitions.items())),
        "release": driver.release,
    }
    return _lab_command(
        machine_resource(name),
        driver.lab.directory,
        create="host-create",
        delete=f"host-delete {name}",
        wanted=wanted | {key: value for key, value in optional.items() if value},
        opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=[driver.lab.command])),
    )


def _lab_command(
    name: str,
    directory: Path,
    *,
    create: str,
    delete: str,
    wanted: Mapping[str, object],
    opts: pulumi.ResourceOptions,
) -> local.Command:
    """A verb of the lab's own command line, run by this very Python."""

    def line(verb: str) -> str:
        first, *rest = verb.split()
        return " ".join([sys.executable, "-m", "habla.lab", first, "--dir", str(directory), *rest])

    return local.Command(
        name,
        create=line(create),
        update=line(create),
        delete=line(delete),
        stdin=json.dumps(wanted, sort_keys=True),
        # Progress is on stderr; stdout is the result, and may hold a key.
        logging=local.Logging.STDERR,
        add_previous_output_in_env=False,
        opts=opts,
    )
