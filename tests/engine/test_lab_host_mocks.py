"""What a lab host asks the lab for, under Pulumi's mocks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pulumi
from mocks import Recorder

from habla.components.host import Host, HostArgs, Lab, LabArgs, LabHost


def test_partitions_are_asked_for_only_when_there_are_any() -> None:
    """A host asks for nothing that its settings do not have, so that a new setting changes no stack."""
    mocks = Recorder()
    pulumi.runtime.set_mocks(mocks, project="habla", stack="lab", preview=False)

    @pulumi.runtime.test
    def declare() -> Any:
        lab = Lab("lab", LabArgs(Path("/nowhere")))
        plain = Host("a1", HostArgs(LabHost(lab)))
        parted = Host("b1", HostArgs(LabHost(lab, partitions={"/var/log": "512M", "/": "4G"})))
        return pulumi.Output.all(plain.address, parted.address)

    declare()
    wanted = {name: json.loads(mocks.inputs[f"{name}-machine"]["stdin"]) for name in ("a1", "b1")}
    assert wanted["a1"].keys() == {"name", "outside_address", "forwards", "user", "machine_id"}
    assert wanted["b1"]["partitions"] == {"/": "4G", "/var/log": "512M"}
