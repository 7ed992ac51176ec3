#!/usr/bin/python3
"""Checks a config before ejabberd gets it.

jabber-config check CONFIG   start a node of its own with the config, without listeners and on an empty
database,
                             and see that every module of every domain runs
jabber-config reload         make the running node take in its config, and see the same there

A reload with one bad module stops in the middle and leaves others off, with no more than a line in a log.
Exit status 1, and ejabberd's own words on standard error. Written to each host that runs ejabberd; Python 3.9
and its standard library only.
"""

from __future__ import annotations

import os
import pwd
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Dict, List

CONTROL = Path("/etc/default/ejabberd")
HOME = Path("/var/lib/ejabberd")
USER = "ejabberd"
# Seconds for a node to start or to reload.
DEADLINE = 60
# The lines of a node's log about modules that do not start. The other lines of Erlang do not help.
_COMPLAINT = re.compile(r"\[(critical|error)\]\s*(?:<[^>]*>@\S+ )?(.*)")

# Says which modules are configured and do not run, or "ok"; ejabberd may print other lines.
_MISSING = """
Missing = fun() ->
    [{Host, Module} || Host <- ejabberd_option:hosts(),
                       {Module, _, _} <- ejabberd_option:modules(Host),
                       not gen_mod:is_loaded(Host, Module)]
end,
Tell = fun([]) -> io:format("habla: ok~n");
          (All) -> [io:format("habla: ~ts does not run for ~ts~n", [Module, Host]) || {Host, Module} <- All]
       end,
"""
_CHECK = (
    _MISSING
    + """
application:load(ejabberd),
application:set_env(ejabberd, quiet, true),
case catch application:ensure_all_started(ejabberd) of
    {ok, _} -> Tell(Missing()), halt(0);
    Other -> io:format("~p~n", [Other]), halt(1)
end.
"""
)
# The running node is asked by a node beside it. Erlang 26 remembers the files in its directories, and must
# forget them to find a module that a package has brought since. Erlang 25 does not know the function.
_ASK = (
    _MISSING
    + """
Node = list_to_atom(os:getenv("HABLA_NODE")),
Call = fun(Module, Function, Arguments) -> rpc:call(Node, Module, Function, Arguments, 50000) end,
Call(code, clear_cache, []),
Result = case os:getenv("HABLA_RELOAD") of "yes" -> Call(ejabberd_config, reload, []); _ -> ok end,
case Result of
    ok ->
        Hosts = Call(ejabberd_option, hosts, []),
        Tell([{Host, Module} || Host <- Hosts, {Module, _, _} <- Call(ejabberd_option, modules, [Host]),
                                not Call(gen_mod, is_loaded, [Host, Module])]),
        halt(0);
    {badrpc, nodedown} -> io:format("ejabberd does not answer~n"), halt(1);
    Error -> io:format("~ts~n", [Call(ejabberd_config, format_error, [Error])]), halt(1)
end.
"""
).replace(_MISSING, _MISSING[_MISSING.index("Tell =") :])


def main(words: List[str]) -> int:
    if len(words) == 2 and words[0] == "check":
        return check(Path(words[1]))
    if words == ["reload"]:
        return reload()
    print(__doc__, file=sys.stderr)
    return 2


def check(config: Path) -> int:
    """0 when a node with this config runs all its modules."""
    program = shutil.which("erl")
    code = sorted(Path("/usr/lib").glob("*/ejabberd-*/ebin"))
    if program is None or not code:
        print("ejabberd is not installed, which checks its config", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory)
        # By another ending ejabberd takes it for a config of Erlang terms.
        copied, log = place / "ejabberd.yml", place / "ejabberd.log"
        copied.write_text(without_listeners(config.read_text("utf-8")), "utf-8")
        for path in (place, copied):
            shutil.chown(path, USER)
        environment = {
            **os.environ,
            "EJABBERD_CONFIG_PATH": str(copied),
            "EJABBERD_LOG_PATH": str(log),
            "ERL_CRASH_DUMP": "/dev/null",
            "HOME": directory,
        }
        words = [program, "-noinput", "-pa", str(code[-1]), "-mnesia", "dir", f'"{directory}/db"']
        result = run([*words, "-eval", _CHECK], environment, directory)
        if well(result):
            return 0
        return complain(result, log.read_text("utf-8", "replace") if log.exists() else "")


def without_listeners(text: str) -> str:
    """The config without its ports, which the running node has."""
    return re.sub(r"^listen:\n(?:(?:[ \t-].*)?\n)*", "", text, flags=re.MULTILINE)


def reload() -> int:
    """0 when the running node took its config in and runs all its modules."""
    settings = dict(re.findall(r"^(\w+)=(.*)$", CONTROL.read_text(), re.MULTILINE))
    node = settings["ERLANG_NODE"]
    host = node.partition("@")[2]
    environment = {**os.environ, "HABLA_NODE": node, "HABLA_RELOAD": "yes", "HOME": str(HOME)}
    # As ejabberdctl does: the fixed port in place of epmd, and no port of its own for others.
    words = [
        *("erl", "-sname", f"habla-{os.getpid()}@{host}", "-hidden", "-noinput", "-start_epmd", "false"),
        *("-erl_epmd_port", settings["ERL_DIST_PORT"], "-dist_listen", "false"),
    ]
    log = Path("/var/log/ejabberd/ejabberd.log")
    before = log.stat().st_size if log.exists() else 0
    result = run([*words, "-eval", _ASK], environment, str(HOME))
    if well(result):
        return 0
    new = ""
    if log.exists():
        with log.open("rb") as source:
            source.seek(before if before <= log.stat().st_size else 0)
            new = source.read().decode("utf-8", "replace")
    return complain(result, new)


def run(words: List[str], environment: Dict[str, str], directory: str) -> "subprocess.CompletedProcess[str]":
    """Run a command as ejabberd's user, who has the cookie and all rights of the daemon."""
    account = pwd.getpwnam(USER)
    return subprocess.run(
        words,
        env=environment,
        cwd=directory,
        user=account.pw_uid,
        group=account.pw_gid,
        extra_groups=[],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE,
    )


def well(result: "subprocess.CompletedProcess[str]") -> bool:
    """Whether the node found all modules running."""
    return result.returncode == 0 and "habla: ok" in result.stdout.splitlines()


def complain(result: "subprocess.CompletedProcess[str]", log: str) -> int:
    """Report the modules that do not run, with ejabberd's words about them."""
    lines = [line for line in (result.stdout + result.stderr).splitlines() if line.strip()]
    missing = [line.replace("habla: ", "", 1) for line in lines if line.startswith("habla: ")]
    found = [match for line in log.splitlines() if (match := _COMPLAINT.search(line)) and match[2].strip()]
    # A node that does not start says why in one critical line, and then much that follows from that.
    critical = [match[2] for match in found if match[1] == "critical"]
    words = critical or [match[2] for match in found]
    for line in [*missing[:6], *words[:6]] or lines[:6]:
        print(line[:400], file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
