"""A whole fleet as one component, under Pulumi's mocks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pulumi
import pytest
from mocks import Recorder

from habla import Fleet, FleetArgs
from habla.components.agent_bundle import short_document
from habla.errors import Faults
from habla.plan.stack_files import load_plan

ROOT = Path(__file__).parents[2]
SSH = {"address": "198.51.100.1", "host_key": "ssh-ed25519 AAAA"}
SETTINGS: dict[str, Any] = {
    "load_balancer": {"dialect": "2.x"},
    "ssh": {"private_key": "ssh/key"},
    "hosts": {
        "front1": {"role": "front", "outside_address": "198.51.100.1", "ssh": SSH},
        "stable1": {"role": "stable", "ssh": {**SSH, "address": "198.51.100.2"}},
    },
}
SECRETS = dict.fromkeys(("ssh/key", "mysql/habla", "jabber/cookie"), "a secret")


@pytest.fixture
def recorder() -> Recorder:
    mocks = Recorder()
    pulumi.runtime.set_mocks(mocks, project="chat", stack="test", preview=False)
    return mocks


def test_a_fleet_of_settings_has_the_states_of_its_plan(recorder: Recorder) -> None:
    """What a stack of these settings would deploy."""
    made: list[Fleet] = []

    @pulumi.runtime.test
    def declare() -> Any:
        made.append(Fleet("chat", FleetArgs(SETTINGS, secrets=SECRETS)))
        return made[0].addresses.apply(
            lambda found: (
                pytest.fail(str(found))
                if found != {"front1": "192.168.2.10", "stable1": "192.168.2.100"}
                else found
            )
        )

    declare()
    for host in made[0].plan.hosts.values():
        for component, part in host.parts.items():
            stdin = recorder.inputs[f"{host.name}-{component}-state"]["stdin"]
            assert stdin == short_document(part.state)


@pulumi.runtime.test
def test_a_fleet_of_a_stack_file_is_that_of_the_stack(recorder: Recorder) -> Any:
    """The same plan, as a component of another program."""
    plan = load_plan(ROOT, "lab")
    secrets = dict.fromkeys(plan.settings.secrets, "a secret")
    fleet = Fleet.from_stack("lab", "lab", root=ROOT, secrets=secrets)
    assert {name: host.states for name, host in fleet.plan.hosts.items()} == {
        name: host.states for name, host in plan.hosts.items()
    }
    return fleet.services


def test_secrets_that_are_not_given_are_named_before_any_resource(recorder: Recorder) -> None:
    """All of them at once."""
    with pytest.raises(Faults) as caught:
        Fleet("chat", FleetArgs(SETTINGS))
    paths = [fault.path for fault in caught.value.faults]
    assert paths == ["secrets.jabber/cookie", "secrets.mysql/habla", "secrets.ssh/key"]
    assert not recorder.types
