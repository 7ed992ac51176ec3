"""What a lab host asks the lab for, under Pulumi's mocks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pulumi

from habla.components.host import Host, HostArgs, Lab, LabArgs, LabHost


class Recorder(pulumi.runtime.Mocks):
    """Keeps what each lab host asks for, and answers as the lab would."""

    def __init__(self) -> None:
        self.wanted: dict[str, dict[str, Any]] = {}

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        answer: dict[str, Any] = {"private_key": "key"}
        if args.name.endswith("-machine"):
            self.wanted[args.name] = json.loads(args.inputs["stdin"])
            answer = {"address": "127.0.0.1", "port": 22, "host_key": "ssh-ed25519 A", "forwards": {}}
        return f"{args.name}-id", {**args.inputs, "stdout": json.dumps(answer)}

    def call(self, args: pulumi.runtime.MockCallArgs) -> dict[str, Any]:
        return {}


def test_partitions_are_asked_for_only_when_there_are_any() -> None:
    """A host without partitions asks for what it always did, so that stacks that exist do not change."""
    mocks = Recorder()
    pulumi.runtime.set_mocks(mocks, project="habla", stack="lab", preview=False)

    @pulumi.runtime.test
    def declare() -> Any:
        lab = Lab("lab", LabArgs(Path("/nowhere")))
        plain = Host("a1", HostArgs(LabHost(lab)))
        parted = Host("b1", HostArgs(LabHost(lab, partitions={"/var/log": "512M", "/": "4G"})))
        return pulumi.Output.all(plain.address, parted.address)

    declare()
    assert mocks.wanted["a1-machine"].keys() == {"name", "outside_address", "forwards", "user"}
    assert mocks.wanted["b1-machine"]["partitions"] == {"/": "4G", "/var/log": "512M"}
