"""How a program of one's own is tested: Pulumi's mocks, no host and no CLI."""

from __future__ import annotations

from typing import Any

import pulumi
import pytest
from chat import chat

from habla import ExistingHost


class Recorder(pulumi.runtime.Mocks):
    """Keeps the names of the commands that the program makes. Every resource has its inputs as outputs."""

    def __init__(self) -> None:
        self.commands: set[str] = set()

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        if args.typ == "command:remote:Command":
            self.commands.add(args.name)
        return f"{args.name}-id", {"stdout": "{}", **args.inputs}

    def call(self, args: pulumi.runtime.MockCallArgs) -> tuple[dict[str, Any], None]:
        return {}, None


@pytest.fixture
def recorder() -> Recorder:
    mocks = Recorder()
    pulumi.runtime.set_mocks(mocks, project="chat", stack="test", preview=False)
    return mocks


def machine(address: str) -> ExistingHost:
    return ExistingHost(address=address, host_key="ssh-ed25519 AAAA", private_key="a key")


@pulumi.runtime.test  # type: ignore[untyped-decorator]  # the SDK does not type it
def test_the_jabber_instance_sends_clients_to_the_jabber_machine(recorder: Recorder) -> Any:
    """HAProxy's backend comes from the node that runs Jabber, without an address in the program."""
    service = chat(machine("198.51.100.10"), machine("198.51.100.20"), "198.51.100.10", "cookie")
    config = service.balancer.state.files["/etc/haproxy/jabber.cfg"].text
    assert "server stable1 192.168.2.100:5222" in config
    return service.balancer.report


@pulumi.runtime.test  # type: ignore[untyped-decorator]  # the SDK does not type it
def test_every_host_gets_one_command_per_component(recorder: Recorder) -> Any:
    """A first look, the agent, secrets where there are any, the network, each component; nothing per file."""
    service = chat(machine("198.51.100.10"), machine("198.51.100.20"), "198.51.100.10", "cookie")

    def check(_: Any) -> None:
        front = {"front1-contact", "front1-agent", "internal-front1", "cache-state", "balancer-state"}
        stable = {"stable1-contact", "stable1-agent", "stable1-secrets", "internal-stable1", "jabber-state"}
        watches = {"watch-front1-state", "watch-stable1-state"}
        assert recorder.commands == front | stable | watches

    nodes = (service.balancer, service.cache, service.jabber, service.watch)
    return pulumi.Output.all(*(node.reports for node in nodes)).apply(check)
