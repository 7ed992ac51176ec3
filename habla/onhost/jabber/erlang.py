"""Questions to running Erlang nodes, also to an ejabberd that still waits for its tables.

Such an ejabberd answers no ejabberdctl.
A hidden Erlang node of our own asks them. It reads the cookie from the file that ejabberd reads, so that the
cookie is in no argument and in no environment.
"""

from __future__ import annotations

import base64
import os
import select
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .own_node import DATA, OwnNode, control_setting

# Seconds for one question, unless the caller expects a longer answer.
_ANSWER = 20.0
_TICK = r"-kernel net_ticktime (\d+)"


class ErlangFault(Exception):
    """Erlang could not answer. The message is Erlang's."""


@dataclass(frozen=True)
class NodeState:
    """The state of a node.

    phase: ``down``, ``starting`` (no Mnesia yet), ``waits`` for tables, or ``serves``.
    tables: the tables that it waits for. holders: the other nodes with a copy of these on disk, except those
    that this node has outlived. running, known: the nodes of the cluster that run, and all of them. outlived:
    the nodes that went down while this one ran. seconds: since the node started.
    """

    phase: str = "down"
    tables: frozenset[str] = frozenset()
    holders: frozenset[str] = frozenset()
    running: frozenset[str] = frozenset()
    known: frozenset[str] = frozenset()
    outlived: frozenset[str] = frozenset()
    seconds: float = 0.0

    @property
    def awaited(self) -> frozenset[str]:
        """The nodes that have newer tables, or may have them, and do not run."""
        return self.holders - self.running


def parse_state(text: str) -> NodeState:
    """The state in the answer to ``_LOOK``. Pure."""
    phase, *parts, milliseconds = text.split("|")
    tables, holders, running, known, outlived = (frozenset(part.split()) for part in parts)
    return NodeState(phase, tables, holders, running, known, outlived, int(milliseconds) / 1000)


class Erlang:
    """A hidden node that evaluates expressions and returns their text. It ends with the block."""

    def __init__(self, node: OwnNode) -> None:
        words = f"-hidden -sname habla-{os.getpid()}@{node.host} -start_epmd false -erl_epmd_port {node.port}"
        self._process = subprocess.Popen(
            ["erl", "-noshell", *words.split(), "-dist_listen", "false", *_tick(), "-eval", _SERVE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            **as_ejabberd(),
        )
        self._rest = b""

    def __enter__(self) -> Erlang:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    def ask(self, expression: str, seconds: float = _ANSWER) -> str:
        """The text that an expression evaluates to. Raises ErlangFault."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(base64.b64encode(expression.encode()) + b"\n")
            self._process.stdin.flush()
        except OSError:
            raise ErlangFault(
                "Erlang does not start; check that the user ejabberd can read the cookie"
            ) from None
        answer = self._line(seconds)
        if not answer.startswith("+"):
            raise ErlangFault(answer[1:])
        return answer[1:]

    def state(self, node: str) -> NodeState:
        """The state of a node, which is ``down`` also when it cannot be reached."""
        return parse_state(self.ask(_LOOK % node))

    def _line(self, seconds: float) -> str:
        assert self._process.stdout is not None
        deadline = time.monotonic() + seconds
        while b"\n" not in self._rest:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self._process.stdout], [], [], left)[0]:
                raise ErlangFault(f"Erlang did not answer within {seconds:.0f} s")
            part = os.read(self._process.stdout.fileno(), 1 << 16)
            if not part:
                raise ErlangFault("Erlang ended; check that the user ejabberd can read the cookie")
            self._rest += part
        line, _, self._rest = self._rest.partition(b"\n")
        return base64.b64decode(line).decode(errors="replace")


def evaluate(words: list[str], expression: str, *, seconds: float) -> str:
    """The output of one program in a node of its own. Raises ErlangFault."""
    try:
        done = subprocess.run(
            ["erl", "-noinput", "-kernel", "logger_level", "none", *words, "-eval", expression],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=seconds,
            check=False,
            **as_ejabberd(),
        )
    except subprocess.TimeoutExpired:
        raise ErlangFault(f"Erlang did not end within {seconds:.0f} s") from None
    text = str(done.stdout.decode(errors="replace")).strip()
    if done.returncode:
        raise ErlangFault(text or f"erl ended with exit status {done.returncode}")
    return text


def as_ejabberd() -> dict[str, Any]:
    """The options to run a program as ejabberd's user, who owns the cookie and the database."""
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "LANG")}
    home = {"HOME": str(DATA), "ERL_CRASH_DUMP": "/dev/null", "ERL_CRASH_DUMP_BYTES": "0"}
    who = {"user": "ejabberd", "group": "ejabberd", "extra_groups": []} if os.geteuid() == 0 else {}
    return {"env": {**kept, **home}, "cwd": str(DATA), **who}


def atom(name: str) -> str:
    """A name as Erlang writes it."""
    return "'" + name.replace("\\", "\\\\").replace("'", "\\'") + "'"


def text_of(path: Path) -> str:
    """A path as an Erlang string."""
    return '"' + str(path).replace("\\", "\\\\").replace('"', '\\"') + '"'


def _tick() -> list[str]:
    # With Erlang's own 60 s ejabberd takes this node for lost while a long answer is under way.
    seconds = control_setting(_TICK)
    return ["-kernel", "net_ticktime", seconds] if seconds else []


# Reads an expression a line, in base64, and answers in the same way: + and the text, or - and the fault.
_SERVE = """
Loop = fun Next() ->
    case io:get_line("") of
        Line when is_list(Line) ->
            Answer = try
                {ok, Tokens, _} = erl_scan:string(base64:decode_to_string(string:trim(Line))),
                {ok, Parsed} = erl_parse:parse_exprs(Tokens),
                {value, Value, _} = erl_eval:exprs(Parsed, []),
                [$+, Value]
            catch Class:Reason -> [$-, io_lib:format("~0p", [{Class, Reason}])] end,
            io:put_chars([base64:encode(unicode:characters_to_binary(Answer)), $\\n]),
            Next();
        _ -> halt(0)
    end
end,
Loop().
"""

_LOOK = """
Node = '%s',
Call = fun(Module, Name, Arguments) -> rpc:call(Node, Module, Name, Arguments, 5000) end,
Words = fun(Terms) -> lists:join(" ", [io_lib:format("~ts", [Term]) || Term <- Terms]) end,
try case Call(mnesia, system_info, [is_running]) of
    {badrpc, nodedown} -> "down||||||0";
    yes ->
        Tables = Call(mnesia, system_info, [local_tables]),
        Waiting = [Table || Table <- Tables, Call(mnesia, table_info, [Table, where_to_read]) =:= nowhere],
        Outlived = Call(mnesia_recover, get_mnesia_downs, []),
        Holders = [Holder || Table <- Waiting, Kind <- [disc_copies, disc_only_copies],
                   Holder <- Call(mnesia, table_info, [Table, Kind])],
        Serves = lists:keymember(ejabberd, 1, Call(application, which_applications, [])),
        Phase = if Waiting =/= [] -> "waits"; Serves -> "serves"; true -> "starting" end,
        {Milliseconds, _} = Call(erlang, statistics, [wall_clock]),
        lists:join("|", [Phase, Words(Waiting), Words((lists:usort(Holders) -- [Node]) -- Outlived),
            Words(Call(mnesia, system_info, [running_db_nodes])),
            Words(Call(mnesia, system_info, [db_nodes])), Words(Outlived),
            integer_to_list(Milliseconds)]);
    _ -> "starting||||||0"
end catch _:_ -> "starting||||||0" end.
"""
