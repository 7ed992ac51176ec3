"""The whole fleet under Pulumi's mocks: what is declared, in which order, and where secrets go."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pulumi
import pytest
from mocks import Recorder

from habla.components.agent_bundle import short_document
from habla.components.fleet import deploy_fleet
from habla.plan import FleetPlan, missing_secrets
from habla.plan.stack_files import load_plan

ROOT = Path(__file__).parents[2]
POISON = "poison-7c1d"
# How a secret value is wrapped on its way to a mock (a constant of the engine's protocol).
SECRET_KEY = "4dabf18193072939515e22adb298388d"


@pytest.fixture(scope="module")
def plan() -> FleetPlan:
    return load_plan(ROOT, "lab")


@pytest.fixture(scope="module")
def recorder(plan: FleetPlan) -> Iterator[Recorder]:
    """The lab's fleet, declared once, every secret of it poisoned."""
    mocks = Recorder(private_key=POISON)
    pulumi.runtime.set_mocks(mocks, project="habla", stack="lab", preview=False)

    @pulumi.runtime.test
    def declare() -> Any:
        secrets = {name: pulumi.Output.secret(POISON) for name in plan.settings.secrets}
        hosts = deploy_fleet(plan, secrets, root=ROOT)
        return pulumi.Output.all(*(host.address for host in hosts.values()))

    declare()
    yield mocks


def plain(value: Any) -> Iterator[str]:
    """All texts in a resource's inputs that are not wrapped as a secret."""
    if isinstance(value, dict):
        if SECRET_KEY not in value:
            for item in value.values():
                yield from plain(item)
    elif isinstance(value, list):
        for item in value:
            yield from plain(item)
    else:
        yield str(value)


def test_every_component_of_the_plan_becomes_one_command_with_its_state(
    recorder: Recorder, plan: FleetPlan
) -> None:
    """What ``habla render`` shows is what a host is handed."""
    for host in plan.hosts.values():
        for component, state in host.states.items():
            name = f"internal-{host.name}" if component == "network" else f"{host.name}-{component}-state"
            assert recorder.types[name] == "command:remote:Command"
            assert recorder.inputs[name]["stdin"] == short_document(state)


def test_no_secret_is_in_any_input_that_is_not_secret(recorder: Recorder) -> None:
    """The poison is found nowhere but inside values that the engine keeps secret."""
    for name, inputs in recorder.inputs.items():
        assert not [text for text in plain(inputs) if POISON in text], name


def test_the_search_for_the_poison_can_find_it(recorder: Recorder) -> None:
    """The poison did reach the commands that deliver secrets, and the search sees into plain values."""
    wrapped = recorder.inputs["front1-secrets"]["stdin"]
    assert POISON in str(wrapped)
    assert [text for text in plain({"a": [{"b": POISON}]}) if POISON in text]


def test_each_host_is_given_only_the_secrets_it_needs(recorder: Recorder) -> None:
    """web1 has no use for the Jabber cookie."""
    assert "jabber/cookie" in str(recorder.inputs["stable1-secrets"]["stdin"])
    assert "jabber/cookie" not in str(recorder.inputs["web1-secrets"]["stdin"])


def test_every_command_has_the_defaults_of_the_wrapper(recorder: Recorder) -> None:
    """Every remote command has an update, no logging, no triggers in a lab, and no environment."""
    commands = [
        recorder.inputs[name] for name, kind in recorder.types.items() if kind == "command:remote:Command"
    ]
    assert commands
    for inputs in commands:
        # Only what is new tells the agent so.
        assert inputs["update"] == inputs["create"].removesuffix(" --new")
        assert inputs["logging"] == "none"
        assert inputs["addPreviousOutputInEnv"] is False
        assert "triggers" not in inputs
        assert "environment" not in inputs


def test_secrets_that_are_not_set_are_named_with_the_command_that_sets_them(plan: FleetPlan) -> None:
    """A deployment is refused before any host is touched; rendering is not."""
    production = load_plan(ROOT, "production")
    faults = missing_secrets(production)
    assert [fault.path for fault in faults] == [
        "secrets.cacti/admin",
        "secrets.cacti/database",
        "secrets.jabber/certificate",
        "secrets.jabber/cookie",
        "secrets.mysql/habla",
        "secrets.smtp/password",
        "secrets.snmp/auth",
        "secrets.snmp/privacy",
        "secrets.ssh/private_key",
    ]
    assert "pulumi config set --secret" in faults[0].fix
    assert missing_secrets(plan) == []
