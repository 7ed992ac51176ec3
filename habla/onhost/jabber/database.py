"""The files of ejabberd's database while ejabberd does not run: it finds their owner, and copies them."""

from __future__ import annotations

import shutil
import socket
import sys
import tempfile
import time
from pathlib import Path
from typing import Callable

from .contact import Contact, contacts
from .erlang import Erlang, ErlangFault, evaluate, text_of
from .own_node import (
    CLUSTER_MARK,
    DATA,
    FORCED_MARK,
    MERGE_MARK,
    NODE_MARK,
    OwnNode,
    control_setting,
    mark_words,
    node_of,
    write_mark,
)

# In this order: a later line about a node counts more.
_LOGS = ("DECISION_TAB.LOG", "PREVIOUS.LOG", "LATEST.LOG")
_TABLES = (".DAT", ".DCD", ".DCL", ".LOG")
# The beginning of the name of a copy.
COPY = "before-joining-"
# Seconds: until another node serves whose data this node takes, and until one that starts with this one does.
_SERVES = 45.0
_NETWORK = 30.0
_PAUSE = 0.3
_STARTS = 4.0


def put_foreign_aside(node: OwnNode) -> None:
    """Move the database of another node aside. Never deletes."""
    owner = NODE_MARK.read_text().strip() if NODE_MARK.exists() else ""
    if owner == node.name:
        return
    database = [path for path in DATA.iterdir() if path.name != ".erlang.cookie"]
    if any(path.suffix == ".DAT" for path in database):
        aside = DATA / f"before-{node.name}-{int(time.time())}"
        aside.mkdir(mode=0o700)
        for path in database:
            if not path.name.startswith("before-"):
                path.rename(aside / path.name)
    CLUSTER_MARK.unlink(missing_ok=True)
    NODE_MARK.write_text(node.name + "\n")


def keep_what_would_be_lost(node: OwnNode, peers: list[str]) -> None:
    """Copy the database if this start may overwrite something in it that no other node has.

    Mnesia takes each table from a node that serves, and drops this node's records. That loses something when
    the two have gone on without each other: this node has outlived the other one, or the tables of the other
    one were forced without this node. ``merging`` brings it into the cluster afterwards.
    """
    if not (DATA / "schema.DAT").exists():
        return
    newer_than = {*outlived_nodes(), *mark_words(FORCED_MARK)}
    # At boot the network may be late. Without it no peer is seen here, and one would be joined all the same.
    _until(_has_address, _NETWORK)
    found = contacts(peers, node.port)
    begun = time.monotonic()
    # Both may be newer than the other one and start at this moment; then the earlier name goes first.
    while (
        any(node_of(peer) in newer_than and peer < node.host for peer in peers)
        and Contact.ANSWERS not in found.values()
        and time.monotonic() - begun < _STARTS
    ):
        time.sleep(_PAUSE)
        found = contacts(peers, node.port)
    answering = [peer for peer, contact in found.items() if contact is Contact.ANSWERS]
    if not answering:
        return
    try:
        with Erlang(node) as erlang:
            apart = [
                peer
                for peer in answering
                if _goes_on_apart(erlang, node_of(peer), node=node, mine=node_of(peer) in newer_than)
            ]
    except ErlangFault as fault:
        print(f"whether {', '.join(answering)} has newer data cannot be found out, so it is copied: {fault}")
        apart = answering
    if apart:
        copy(node, apart)


def _has_address() -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((control_setting(r"^INET_DIST_INTERFACE=(\S+)$"), 0))
        except OSError:
            return False
    return True


def _goes_on_apart(erlang: Erlang, peer: str, *, node: OwnNode, mine: bool) -> bool:
    """Whether a running node has data of its own and will not wait for that of this node.

    mine: this node has data that the peer may lack.
    """
    was_forced = node.name in erlang.ask(_FORCED % (peer, text_of(FORCED_MARK))).split()
    if not mine and not was_forced:
        return False
    waits = erlang.state(peer)
    if waits.phase != "serves" and node.name in waits.holders:
        # It waits for this node and takes its tables.
        return False
    return _until(lambda: erlang.state(peer).phase == "serves", _SERVES)


def copy(node: OwnNode, peers: list[str]) -> None:
    """Copy the database aside, and mark the copy as due for ``merging``."""
    files = [path for path in DATA.iterdir() if path.is_file() and path.suffix in _TABLES]
    size = sum(path.stat().st_size for path in files)
    if size > shutil.disk_usage(DATA).free // 2:
        sys.exit(
            f"{node.name} has data that {', '.join(peers)} may lack, and {DATA} has no room for a copy of it"
            f" ({size >> 20} MB): free some, then start ejabberd again"
        )
    new = DATA / f"{COPY}{int(time.time())}"
    new.mkdir(mode=0o700)
    for path in files:
        shutil.copy2(path, new / path.name)
    for path in (new, *new.iterdir()):
        shutil.chown(path, "ejabberd", "ejabberd")
    write_mark(MERGE_MARK, [*mark_words(MERGE_MARK), new.name])
    print(
        f"{node.name} was apart from {', '.join(peers)}: its data is copied to {new} before it takes theirs"
    )


def outlived_nodes() -> set[str]:
    """The nodes that went down while this node ran, as its database notes. Empty when it cannot be read."""
    with tempfile.TemporaryDirectory(dir=DATA, prefix=".habla-read-") as name:
        # Copies: to read a log that was not closed is to repair it.
        directory = Path(name)
        for log in _LOGS:
            if (DATA / log).exists():
                shutil.copy(DATA / log, directory / log)
        for path in (directory, *directory.iterdir()):
            shutil.chown(path, "ejabberd", "ejabberd")
        logs = ", ".join(text_of(directory / log) for log in _LOGS)
        try:
            return set(evaluate([], _READ % logs, seconds=30).split())
        except ErlangFault as fault:
            print(f"the log of the database cannot be read: {fault}")
            return set()


def _until(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(_PAUSE)
    return True


_FORCED = """
case rpc:call('%s', file, read_file, [%s], 5000) of {ok, Text} -> Text; _ -> "" end.
"""

# mnesia_down and mnesia_up of Mnesia's logs, in their order: the nodes that are down at the end.
_READ = """
Terms = fun(File) ->
    case filelib:is_file(File) of
        false -> [];
        true ->
            Opened = disk_log:open([{name, File}, {file, File}, {repair, true}]),
            case element(1, Opened) of error -> throw(Opened); _ -> ok end,
            All = fun Next(At, Found) ->
                case disk_log:chunk(File, At) of
                    eof -> Found;
                    {error, _} -> Found;
                    Chunk -> Next(element(1, Chunk), Found ++ element(2, Chunk))
                end
            end,
            Found = All(start, []),
            disk_log:close(File),
            lists:flatmap(fun({decision_list, List}) -> List; (Term) -> [Term] end, Found)
    end
end,
Step = fun({mnesia_down, Node, _, _}, Down) -> [Node | Down -- [Node]];
          ({mnesia_up, Node, _, _}, Down) -> Down -- [Node];
          (_, Down) -> Down end,
Down = lists:foldl(Step, [], lists:flatmap(Terms, [%s])),
io:format("~ts", [lists:join(" ", [atom_to_list(Node) || Node <- Down])]),
halt(0).
"""
