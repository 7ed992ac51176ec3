"""A load balancer of the library alone, with a release that its host builds: what depends on what."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pulumi
import pytest
from pulumi.runtime.mocks import MockMonitor, MockResourceArgs, Mocks

from habla import ExistingHost, Host, HostArgs, InternalSubnet, InternalSubnetArgs, LoadBalancerPair
from habla.components import LoadBalancerPairArgs, Member
from habla.onhost.document_text import read_document
from habla.services.haproxy.haproxy_spec import HaproxyInstanceSpec, HaproxySpec, ReleaseSpec

STATE = "balancer-state"


class Machines(Mocks):
    """Every command succeeds."""

    def new_resource(self, args: MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        return f"{args.name}-id", {"stdout": "{}", **args.inputs}

    def call(self, args: Any) -> dict[str, Any]:
        return {}


class Dependencies(MockMonitor):
    """Keeps the input of each command, and the commands that come before it."""

    def __init__(self) -> None:
        super().__init__(Machines())
        self.inputs: dict[str, dict[str, Any]] = {}
        self.before: dict[str, set[str]] = {}

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802, the engine calls it so
        self.before[request.name] = {urn.rpartition("::")[2] for urn in request.dependencies}
        self.inputs[request.name] = pulumi.runtime.rpc.deserialize_properties(request.object)
        return super().RegisterResource(request)


@pytest.fixture
def declared(tmp_path: Path) -> Iterator[Dependencies]:
    """The www instance runs a release whose archive lies beside the program."""
    (tmp_path / "haproxy.tar.gz").write_bytes(b"an archive")
    monitor = Dependencies()
    pulumi.runtime.set_mocks(Machines(), project="chat", stack="test", preview=False, monitor=monitor)

    @pulumi.runtime.test
    def declare() -> Any:
        machine = ExistingHost("198.51.100.10", host_key="ssh-ed25519 AAAA", private_key="a key")
        front = Host("front1", HostArgs(machine, "198.51.100.10"))
        subnet = InternalSubnet("internal", InternalSubnetArgs([Member(front, "front")]))
        haproxy = HaproxySpec(
            dialect="2.x",
            releases={"2.6.12": ReleaseSpec(path="haproxy.tar.gz"), "2.8.0": ReleaseSpec(path="not used")},
            www=HaproxyInstanceSpec(version="2.6.12"),
        )
        args = LoadBalancerPairArgs(front, subnet, haproxy=haproxy, root=tmp_path)
        return LoadBalancerPair("balancer", args).report

    declare()
    yield monitor


def test_a_release_is_there_before_the_balancer_and_goes_after_it(declared: Dependencies) -> None:
    """Its archive, the release, the balancer: so the engine makes them, and removes them the other way."""
    (release,) = (name for name in declared.before if name.startswith("balancer-haproxy-"))
    assert release.startswith("balancer-haproxy-2-6-12-")
    (archive,) = (name for name in declared.before if name.startswith("balancer-archive-"))
    assert archive in declared.before[release]
    assert {archive, release} <= declared.before[STATE]
    assert STATE not in declared.before[release]


def test_a_release_is_a_component_of_its_own(declared: Dependencies) -> None:
    """It is applied and deleted under its own name, and its archive is the one that was handed over."""
    (release,) = (name for name in declared.before if name.startswith("balancer-haproxy-"))
    inputs = declared.inputs[release]
    state = read_document(inputs["stdin"])
    assert release == f"balancer-{state['component']}"
    owner = f"--owner=chat/test/{release}"
    assert inputs["create"].endswith(f"agent.pyz apply {owner} --new")
    assert inputs["update"].endswith(f"agent.pyz apply {owner}")
    assert f"delete {state['component']} {owner}" in inputs["delete"]
    (archive,) = state["archives"].values()
    sent = declared.inputs[f"balancer-archive-{archive['sha256'][:8]}"]
    assert sent["remotePath"] == f".habla-archive-{archive['sha256']}"
