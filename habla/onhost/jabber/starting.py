"""Sees a start of ejabberd through: it waits for the tables of other nodes, but not for ever.

Mnesia does not start with tables of which another node may have newer ones: it waits for every node that this
one has not outlived. The rule by which this node stops waiting and takes its own tables (it *forces* them):

- No host that it waits for has answered for ``SILENT`` seconds, not even with a refused connection: these
  hosts are off or lost. It forces.
- One of these hosts answers, so an ejabberd may start there at any moment. It waits until ``PATIENCE``
  seconds after its own start and forces then.
- The operator says ``jabber-cluster force``. It forces at once.

Of several nodes that wait, only the one with the first name forces. The others take its tables.
"""

from __future__ import annotations

import subprocess
import time
from dataclasses import dataclass
from typing import Dict, Iterable, Mapping

from .contact import Contact, contacts
from .erlang import Erlang, ErlangFault, NodeState, atom
from .own_node import EJABBERD, FORCED_MARK, OwnNode, host_of, mark_words, write_mark

SILENT = 12.0
PATIENCE = 120.0
# Seconds within which the Erlang node must be there, and Mnesia in it.
_UP = 60.0
_PAUSE = 0.5


class NotServing(Exception):
    """ejabberd does not serve. The message says why."""


@dataclass(frozen=True)
class Wait:
    """The hosts that a node waits for, and their answers. silent: seconds for which none has answered."""

    contacts: Mapping[str, Contact]
    silent: float
    seconds: float

    @property
    def is_over(self) -> bool:
        """Whether the node may stop waiting."""
        return bool(self.contacts) and (self.silent >= SILENT or self.seconds >= PATIENCE)

    @property
    def words(self) -> str:
        """The hosts that the node waits for, as the operator reads it."""
        hosts = [f"{host} ({contact.value})" for host, contact in sorted(self.contacts.items())]
        return f"waits for the newer data of {', '.join(hosts)}"


def may_force(state: NodeState, node: str) -> bool:
    """Whether this node is the one of all waiting nodes that forces its tables. Pure."""
    return node == min({*state.running, node})


class Start:
    """One start of this host's node, watched until it serves. peers: the other hosts of the cluster."""

    def __init__(self, erlang: Erlang, node: OwnNode, *, peers: Iterable[str] = ()) -> None:
        self._erlang, self._node, self._peers = erlang, node, peers
        self._begun = time.monotonic()
        # When each host has answered for the last time.
        self._heard: Dict[str, float] = {}
        self._said = ""

    def look(self) -> tuple[NodeState, Wait]:
        """The state of the node, and the hosts that it waits for."""
        state = self._erlang.state(self._node.name)
        awaited = set(map(host_of, state.awaited)) if state.phase == "waits" else set()
        # Before Mnesia has started, the node may still wait for any of its peers.
        asked = self._peers if state.phase in ("down", "starting") else awaited
        found = contacts(asked, self._node.port)
        now = time.monotonic()
        self._heard.update({host: now for host, answer in found.items() if answer is not Contact.SILENT})
        last = max((self._heard.get(host, self._begun) for host in awaited), default=now)
        answers = {host: answer for host, answer in found.items() if host in awaited}
        return state, Wait(answers, now - last, state.seconds)

    def serve(self) -> NodeState:
        """Wait until the node serves, and force its tables when the rule says so. Raises NotServing."""
        while True:
            state, wait = self.look()
            if state.phase == "serves":
                return state
            if state.phase == "waits":
                self._say(wait)
                if wait.is_over and may_force(state, self._node.name):
                    force(self._erlang, self._node, state=state, why=_why(wait))
            elif unit_failed():
                raise NotServing(f"{EJABBERD} has failed")
            elif time.monotonic() - self._begun > _UP:
                raise NotServing(f"ejabberd does not run after {_UP:.0f} s: its Erlang node is {state.phase}")
            time.sleep(_PAUSE)

    def _say(self, wait: Wait) -> None:
        if wait.contacts and wait.words != self._said:
            self._said = wait.words
            print(f"{self._node.name} {wait.words}", flush=True)


def _why(wait: Wait) -> str:
    hosts = ", ".join(sorted(wait.contacts)) or "another node"
    if wait.silent >= SILENT:
        return f"{hosts} has not answered for {wait.silent:.0f} s"
    return f"after {wait.seconds:.0f} s no ejabberd runs on {hosts}"


def force(erlang: Erlang, node: OwnNode, *, state: NodeState, why: str) -> None:
    """Let the node use its own tables, and remember the missing nodes. Raises ErlangFault."""
    absent = state.known - state.running - {node.name}
    print(f"{why}: {node.name} goes on with its own data", flush=True)
    write_mark(FORCED_MARK, sorted({*mark_words(FORCED_MARK), *absent}))
    for table in sorted(state.tables):
        erlang.ask(_FORCE % (atom(node.name), atom(table)))
    for other in sorted(absent):
        # As if this node had seen the other one go: its next start alone does not wait again.
        erlang.ask(_OUTLIVE % (atom(node.name), atom(other)))


_FORCE = 'case rpc:call(%s, mnesia, force_load_table, [%s]) of yes -> ""; Fault -> throw(Fault) end.'
_OUTLIVE = 'case rpc:call(%s, mnesia_recover, log_mnesia_down, [%s]) of ok -> ""; Fault -> throw(Fault) end.'


def force_now(erlang: Erlang, node: OwnNode) -> str:
    """Stop waiting at once, as the operator commands. Returns the result in words. Raises NotServing."""
    state = erlang.state(node.name)
    if state.phase == "serves":
        return f"{node.name} serves already; nothing was changed"
    if state.phase != "waits":
        raise NotServing(
            f"{node.name} is {state.phase}; start {EJABBERD} first, as only a running node can be forced"
        )
    try:
        force(erlang, node, state=state, why="the operator says so")
    except ErlangFault as fault:
        raise NotServing(f"{node.name} cannot load its tables: {fault}") from None
    return f"{node.name} serves with its own data, without {', '.join(sorted(state.awaited)) or 'waiting'}"


def unit_failed() -> bool:
    """Whether systemd no longer starts ejabberd."""
    done = subprocess.run(["systemctl", "is-failed", "--quiet", EJABBERD], check=False)
    return done.returncode == 0
