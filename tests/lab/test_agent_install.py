"""How the agent comes onto a host."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from agent import AgentHost, agent_hosts

from habla.components.agent_bundle import AGENT_PATH, SENT, agent_bundle, install_command, short_document
from habla.model.programs import program_text
from habla.onhost.document import File, HostState

_WANTED = agent_bundle().manifest
_OTHER = json.dumps({"sha256": "0" * 64})


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AgentHost]:
    """One host with the agent."""
    with agent_hosts(tmp_path_factory.mktemp("install"), "front1") as lab:
        yield AgentHost(lab, "front1")


def test_the_installed_agent_needs_no_file_in_the_home_directory(host: AgentHost) -> None:
    """An update of the same version works after somebody has tidied the home directory."""
    host.run(f"rm {SENT}")
    done = host.send(install_command(), _WANTED)
    assert done.status == 0 and done.report["agent"] == AGENT_PATH


@pytest.mark.parametrize("sent", [True, False])
def test_an_agent_other_than_the_one_that_was_sent_is_not_installed(host: AgentHost, sent: bool) -> None:
    """The failure says how to send it again, and the agent in place stays."""
    if sent:
        host.send_file(SENT, agent_bundle().content)
    else:
        host.run(f"rm -f {SENT}")
    done = host.send(install_command(), _OTHER)
    assert done.status == 1
    assert (
        "front1: step install: ~/.habla-agent.pyz: this file is missing or is not the agent that was sent"
        in done.stderr
    )
    assert "pulumi up --replace" in done.stderr
    assert host.run(f"sha256sum {AGENT_PATH}").split()[0] == agent_bundle().sha256


def test_the_agent_names_a_host_by_its_name_in_the_stack(host: AgentHost) -> None:
    """A machine may have another name until it has joined the network; errors name it as the settings do."""
    host.send_file(SENT, agent_bundle().content)
    assert host.send(install_command("--host=shop7"), _WANTED).status == 0
    assert host.agent("apply", stdin="{}").stderr.startswith("habla: shop7: step read: ")
    done = host.send(install_command("--host=shop8"), _OTHER)
    assert done.stderr.startswith("habla: shop8: step install: ")
    # An install by hand changes nothing of that.
    assert host.send(install_command(), _WANTED).status == 0
    assert host.agent("apply", stdin="{}").stderr.startswith("habla: shop7: step read: ")


def test_a_program_that_the_agent_brings_along_is_put_in_place(host: AgentHost) -> None:
    """A document that names the text by digest makes the same file as one that has the text."""
    text = program_text("drain_responder")
    state = HostState(host="front1", component="brought", files={"/opt/responder": File(text, "0755")})
    done = host.agent("apply", stdin=short_document(state))
    assert done.changed == {"files": ["/opt/responder"]}
    assert host.run("cat /opt/responder") == text.strip()
    assert host.apply(state).changed == {}
    assert host.agent("delete", "brought").report["deleted"]
