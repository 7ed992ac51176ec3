"""Roles of a user's own under Pulumi's mocks: what is planned for their hosts is deployed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pulumi
from mocks import Recorder

from habla.components.agent_bundle import short_document
from habla.components.fleet import deploy_fleet
from habla.model.spec import ArchiveSpec
from habla.onhost.document import Archive
from habla.plan import make_plan
from habla.settings.loading import load_settings


def no_archive(spec: ArchiveSpec) -> Archive:
    raise OSError("none is needed")


def test_jabber_and_cacti_are_deployed_on_roles_of_any_name() -> None:
    """Each component is handed the very state that the plan shows."""
    roles = {
        "chat": {"ranges": ["192.168.2.50-192.168.2.59"], "services": ["jabber"], "defaults": ["jabber"]},
        "eyes": {"ranges": ["192.168.2.60-192.168.2.69"], "services": ["cacti"], "defaults": ["cacti"]},
    }
    hosts = {"chat1": {"role": "chat"}, "eyes1": {"role": "eyes"}}
    settings = load_settings("lab", {"lab": {}, "roles": roles, "hosts": hosts})
    plan = make_plan(settings, {}, read_archive=no_archive)
    mocks = Recorder()
    pulumi.runtime.set_mocks(mocks, project="habla", stack="lab", preview=False)

    @pulumi.runtime.test
    def declare() -> Any:
        names = {name for host in plan.hosts.values() for name in host.secrets}
        made = deploy_fleet(plan, dict.fromkeys(names, "x"), root=Path("/nowhere"))
        return pulumi.Output.all(*(host.address for host in made.values()))

    declare()
    for host in plan.hosts.values():
        for component, state in host.states.items():
            name = f"internal-{host.name}" if component == "network" else f"{host.name}-{component}-state"
            assert mocks.inputs[name]["stdin"] == short_document(state), name
    assert "ejabberd" in plan.hosts["chat1"].packages
