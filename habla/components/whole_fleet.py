"""A whole fleet as one component of a user's own program."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from typing import Any

import pulumi

from habla.components.component_schema import Component, in_schema
from habla.components.fleet import deploy_fleet, fleet_outputs
from habla.components.host import Host
from habla.errors import Fault, SettingsError, raise_faults
from habla.plan import FleetPlan, make_plan
from habla.plan.archive_files import ArchiveFiles
from habla.plan.plan_faults import needed_secrets
from habla.plan.stack_files import load_plan
from habla.settings import load_settings

__all__ = ["Fleet", "FleetArgs"]


@in_schema
@dataclass(frozen=True)
class FleetArgs:
    """The settings of a fleet, and the values that settings cannot contain."""

    settings: Mapping[str, Any] | FleetPlan
    """The sections of a stack file as plain values, without ``habla:`` (docs/settings.md); or a plan."""
    _: KW_ONLY
    secrets: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    """Name -> value, of the secrets that the fleet needs."""
    root: Path = Path()
    """Paths of archives and of a lab are relative to it."""


class Fleet(Component):
    """All hosts and components of a fleet, from the settings of a stack.

    habla raises all faults before it registers a resource.
    """

    plan: FleetPlan
    """Addresses and the state of every host; plain values, known at preview."""
    hosts: Mapping[str, Host]
    """The hosts by name."""
    addresses: pulumi.Output[dict[str, str]]
    """Host -> internal address."""
    services: pulumi.Output[dict[str, list[str]]]
    """Host -> names of its services."""
    ssh: pulumi.Output[dict[str, dict[str, Any]]]
    """Host -> where SSH reaches it: ``address`` and ``port``."""
    forwards: pulumi.Output[dict[str, dict[str, int]]]
    """Host -> name -> port of the loopback address, of the hosts of a lab."""

    def __init__(self, name: str, args: FleetArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        self.plan = args.settings if isinstance(args.settings, FleetPlan) else _plan(args)
        raise_faults(
            SettingsError,
            [
                Fault(
                    f"secrets.{secret}",
                    "the secret is not given",
                    rule=f"needed on {', '.join(hosts)}",
                    fix=f'give it: FleetArgs(…, secrets={{"{secret}": …}})',
                )
                for secret, hosts in needed_secrets(self.plan).items()
                if secret not in args.secrets
            ],
        )
        super().__init__("habla:index:Fleet", name, None, opts)
        parent = pulumi.ResourceOptions(parent=self)
        self.hosts = deploy_fleet(self.plan, args.secrets, root=args.root, opts=parent)
        outputs = fleet_outputs(self.plan, self.hosts)
        self.addresses, self.services = outputs["addresses"], outputs["services"]
        self.ssh, self.forwards = outputs["ssh"], outputs["forwards"]
        self.register_outputs(outputs)

    @classmethod
    def from_stack(
        cls,
        name: str,
        environment: str,
        *,
        root: Path,
        secrets: Mapping[str, pulumi.Input[str]],
        opts: pulumi.ResourceOptions | None = None,
    ) -> Fleet:
        """The fleet of ``stacks/Pulumi.ENVIRONMENT.yaml`` in the project at ``root``. Raises Faults."""
        return cls(name, FleetArgs(load_plan(root, environment), secrets=secrets, root=root), opts)


def _plan(args: FleetArgs) -> FleetPlan:
    assert not isinstance(args.settings, FleetPlan)
    raw = {**args.settings, "secrets": dict.fromkeys(args.secrets)}
    settings = load_settings(pulumi.get_stack(), raw)
    return make_plan(settings, {}, read_archive=ArchiveFiles(args.root).archive)
