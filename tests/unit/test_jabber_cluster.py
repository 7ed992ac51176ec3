"""The programs that keep ejabberd's cluster: what they read, and the rule by which a node stops waiting."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from habla.cli import main
from habla.onhost.jabber import contact as contact_module
from habla.onhost.jabber.contact import Contact, contact, contacts
from habla.onhost.jabber.erlang import NodeState, atom, parse_state
from habla.onhost.jabber.merging import parse_report
from habla.onhost.jabber.starting import PATIENCE, SILENT, Wait, may_force

ONE, TWO, THREE = (f"ejabberd@stable{number}" for number in (1, 2, 3))


def test_state_of_a_node_that_waits() -> None:
    """It waits for the holders of its tables that do not run."""
    state = parse_state(f"waits|passwd roster|{TWO} {THREE}|{ONE} {THREE}|{ONE} {TWO} {THREE}||2500")
    assert state.tables == {"passwd", "roster"} and state.seconds == 2.5
    assert state.awaited == {TWO} and state.known == {ONE, TWO, THREE} and not state.outlived


def test_state_of_a_node_that_is_not_there() -> None:
    """Nothing is known of it."""
    assert parse_state("down||||||0") == NodeState()


@pytest.mark.parametrize(
    ("answer", "silent", "seconds", "is_over"),
    [
        (Contact.SILENT, SILENT - 1, SILENT + 2, False),
        (Contact.SILENT, SILENT, SILENT + 3, True),
        (Contact.REFUSES, 0, SILENT + 30, False),
        (Contact.REFUSES, 0, PATIENCE, True),
        (Contact.ANSWERS, 0, PATIENCE - 1, False),
    ],
)
def test_rule_of_waiting(answer: Contact, silent: float, seconds: float, is_over: bool) -> None:
    """A silent host is waited for shortly, and one that answers for longer."""
    wait = Wait({"stable2": answer}, silent, seconds)
    assert wait.is_over is is_over
    assert wait.words == f"waits for the newer data of stable2 ({answer.value})"


def test_one_of_several_waiting_nodes_forces() -> None:
    """It is the one with the first name."""
    state = NodeState("waits", running=frozenset({ONE, TWO}))
    assert may_force(state, ONE) and not may_force(state, TWO)


def test_contact_tells_a_closed_port_from_a_silent_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """A refused connection comes from a host that is up."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert contacts(["127.0.0.1"], port) == {"127.0.0.1": Contact.ANSWERS}
    assert contact("127.0.0.1", port) is Contact.REFUSES
    assert contact("no-such-host.invalid", port) is Contact.SILENT

    def silent(*_: object, **__: object) -> None:
        raise TimeoutError("timed out")

    monkeypatch.setattr(contact_module.socket, "create_connection", silent)
    assert contact("127.0.0.1", port) is Contact.SILENT
    assert contacts([], port) == {}


def test_report_of_a_merge() -> None:
    """Tables with records that were added, and tables with records that differ."""
    report = "roster 2 0;passwd 1 1;pubsub_node 0 3;vcard 0 0;"
    assert parse_report(report) == ({"passwd": 1, "roster": 2}, {"passwd": 1, "pubsub_node": 3})
    assert parse_report("") == ({}, {})


def test_names_in_erlang() -> None:
    """Quoted, so that a dash or a quote is a part of the name."""
    assert atom("ejabberd@stable-2") == "'ejabberd@stable-2'" and atom("a'b\\") == "'a\\'b\\\\'"


def test_only_a_host_with_jabber_can_be_forced(capsys: pytest.CaptureFixture[str]) -> None:
    """Another host is refused before it is asked anything."""
    assert main(["-C", str(Path(__file__).parents[2]), "jabber", "force", "-s", "lab", "front1"]) == 2
    said = capsys.readouterr().err
    assert "the host has no Jabber node" in said and "known: stable1, stable2" in said
