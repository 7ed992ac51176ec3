"""Which hosts are looked at before anything is sent to them, under Pulumi's mocks."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pulumi
import pytest
from mocks import Recorder

from habla.components.first_contact import contact_command, contact_script
from habla.components.host import ExistingHost, Host, HostArgs, Lab, LabArgs, LabHost

_KEY = "ssh-ed25519 AAAA"


def test_a_host_of_the_users_own_is_looked_at_first() -> None:
    """A machine that the lab has just made is not, nor one that is to be left alone."""
    mocks = Recorder()
    pulumi.runtime.set_mocks(mocks, project="habla", stack="test", preview=False)

    @pulumi.runtime.test
    def declare() -> Any:
        way = ExistingHost("198.51.100.1", _KEY, private_key="key", user="jane.doe")
        own = Host("own", HostArgs(way))
        gone = Host("gone", HostArgs(way, unreachable=True))
        made = Host("made", HostArgs(LabHost(Lab("lab", LabArgs(Path("/nowhere"))))))
        return pulumi.Output.all(own.address, gone.address, made.address)

    declare()
    assert [name for name in mocks.types if name.endswith("-contact")] == ["own-contact"]
    contact = mocks.inputs["own-contact"]
    assert contact["create"] == contact["update"] == contact_command("own", "jane.doe")
    assert "delete" not in contact
    assert len(contact["create"]) + len(contact["stdin"]) < 2500
    # The agent that is sent afterwards is a reason to look again.
    assert contact["stdin"].splitlines()[0].startswith("# agent ")
    assert list(mocks.types).index("own-contact") < list(mocks.types).index("own-agent-file")


@pytest.mark.parametrize("user", ["root", "jane.doe"])
def test_the_script_is_posix_shell(user: str) -> None:
    """Debian's sh reads it without a complaint."""
    script = contact_script("web1", user, agent="abc")
    done = subprocess.run(["sh", "-n"], input=script, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
