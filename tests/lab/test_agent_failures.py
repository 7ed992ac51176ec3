"""An apply that fails because of a program shows what the program said in this run, and how it ended."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import IPv4Address

import pytest
from agent import AgentHost, agent_hosts

from habla.model.site import Site
from habla.onhost.document import Action, File, Health, HostState, Unit
from habla.plan.component import plan_component
from habla.services.app import App
from habla.services.app_spec import AppSpec, HealthSpec

pytestmark = pytest.mark.lab

_SITE = Site("front1", IPv4Address("127.0.0.1"))
_PROGRAM = "/usr/local/lib/demo/talk.py"
_LOG = "/var/log/habla-talk/output.log"
_UNIT = "habla-talk.service"
_DEADLINE = 4
# Hidden by its name; with what an environment file escapes, and longer than a terminal is wide.
_POISON = "poison'Pa\"ss$w0rd" + "-7" * 60
# Its first argument, or MODE in its environment, says what it does.
_TALK = """\
import http.server, os, signal, sys, time
mode = sys.argv[1] if len(sys.argv) > 1 else os.environ["MODE"]
key = os.environ.get("KEY", "")
def say(text):
    print(text, flush=True)
def ends(*_):
    say("old: I was told to end")
    sys.exit(0)
def lookup(name):
    return {}[name]
def loses(*_):
    lookup("chat/rooms")
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
    def log_message(self, *words):
        pass
if mode == "well":
    signal.signal(signal.SIGTERM, ends)
    for number in range(50):
        say("old: line %d" % number)
if mode == "traceback":
    loses()
if mode == "silent":
    sys.exit(1)
if mode == "ends":
    sys.exit(0)
if mode == "long":
    say("x" * 1000000)
    sys.exit(1)
if mode == "long secret":
    # Wherever a line is cut, the cut may be in the secret.
    say((key + " ") * (1000000 // (len(key) + 1)))
    sys.exit(1)
if mode == "secret":
    say("cannot log in with " + key)
    say("cannot log in with \\033[31m" + key[:4] + "\\033[0m" + key[4:])
    sys.exit(1)
if mode == "many":
    for number in range(100000):
        say("line %d " % number + "\\u00e9" * 300)
    sys.exit(1)
if mode == "two hundred":
    for number in range(200):
        say("line %d" % number)
    sys.exit(1)
if mode == "odd":
    sys.stdout.buffer.write(b"\\033[31mred\\033[0m\\tbell\\007 ")
    sys.stdout.buffer.write(b"\\377\\xc3\\xa9 \\033]0;title\\007end\\r\\n")
    sys.stdout.flush()
    sys.exit(1)
if mode == "killed":
    say("about to die")
    os.kill(os.getpid(), signal.SIGKILL)
if mode in ("late", "mute"):
    say("loading the rooms") if mode == "late" else None
    time.sleep(300)
http.server.ThreadingHTTPServer(("127.0.0.1", 8090), Handler).serve_forever()
"""


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AgentHost]:
    """A host with the agent and a secret."""
    with agent_hosts(tmp_path_factory.mktemp("agent"), "front1") as lab:
        found = AgentHost(lab, "front1")
        assert found.secrets(talk_key=_POISON).status == 0
        yield found


def _app(mode: str, **more: object) -> HostState:
    """The component of an app, as the library deploys it."""
    spec = AppSpec(
        roles=("stable",),
        command=("/usr/bin/python3", _PROGRAM),
        port=8090,
        environment={"MODE": mode},
        secrets={"KEY": "talk/key"},
        health=HealthSpec(path="/", deadline=_DEADLINE),
    ).model_copy(update=more)
    state = plan_component("apps", _SITE, services=[App("talk", spec)]).state
    return replace(state, packages=(), files={**state.files, _PROGRAM: File(_TALK)})


def _plain(mode: str) -> HostState:
    """The same program in a unit that writes to the journal."""
    text = (
        f"[Service]\nExecStart=/usr/bin/python3 {_PROGRAM} '{mode}'\n[Install]\nWantedBy=multi-user.target\n"
    )
    path = "/etc/systemd/system/plain.service"
    check = Health("plain.service", address="127.0.0.1", port=8090, path="/", deadline=_DEADLINE)
    return HostState(
        host="front1",
        component="plain",
        files={path: File(text), _PROGRAM: File(_TALK)},
        units={"plain.service": Unit()},
        health={"plain": check},
    )


@pytest.fixture(params=["app", "journal"])
def kind(request: pytest.FixtureRequest, host: AgentHost) -> Iterator[str]:
    """A program that runs well and has said much, to a file of its own or to the journal."""
    state = _app("well") if request.param == "app" else _plain("well")
    assert host.apply(state).status == 0
    yield request.param
    assert host.agent("delete", state.component).status == 0


def _failure(host: AgentHost, state: HostState, *words: str) -> str:
    """The failure of an apply, which is short, in readable characters, and not about an earlier run."""
    done = host.apply(state)
    assert (done.status, done.stdout) == (1, ""), done
    text = done.stderr
    assert text.startswith("habla: front1: step ") and text.endswith("the earlier state is back\n"), text
    assert len(text.encode()) < 4000
    assert all(len(line) <= 500 and line.isprintable() for line in text.splitlines()), text
    assert "old:" not in text, text
    assert "poison" not in text and "-7-7" not in text, text
    for word in words:
        assert word in text, text
    return text


def _fails(host: AgentHost, kind: str, mode: str, *words: str) -> list[str]:
    """The last lines that the failure of a mode shows."""
    state = _app(mode) if kind == "app" else _plain(mode)
    unit, source = (_UNIT, _LOG) if kind == "app" else ("plain.service", "the journal")
    name = "talk" if kind == "app" else "plain"
    ends = f"step health: {name} of {unit}: not healthy after {_DEADLINE} s: "
    text = _failure(host, state, ends, f"\n{unit} ", *words)
    head = f"; its last lines in {source}:"
    if head not in text:
        assert f"; it wrote nothing to {source}" in text
        return []
    shown = [line[2:] for line in text.partition(head)[2].splitlines()[1:-1]]
    assert 0 < len(shown) <= 5
    return shown


def test_traceback_is_shown(host: AgentHost, kind: str) -> None:
    """A program that dies of an exception is shown with the end of its traceback and its exit status."""
    shown = _fails(host, kind, "traceback", " ended with exit status 1")
    assert shown[-1] == "KeyError: 'chat/rooms'"
    assert f'  File "{_PROGRAM}", line 10, in lookup' in shown


def test_program_that_says_nothing_is_said_to_have_written_nothing(host: AgentHost, kind: str) -> None:
    """A unit that wrote nothing is reported so, with its exit status and no line of the run before."""
    assert _fails(host, kind, "silent", " ended with exit status 1") == []
    assert _fails(host, kind, "ends", " ended with exit status 0") == []


def test_line_of_a_megabyte_is_cut(host: AgentHost, kind: str) -> None:
    """The failure shows a small part of a very long line."""
    shown = _fails(host, kind, "long")
    assert all(set(line) <= {"x", "…"} and len(line) <= 200 for line in shown)


def test_last_lines_of_a_run_are_shown(host: AgentHost, kind: str) -> None:
    """Of 200 lines of this run the last five are shown.

    Ahead of the test with very many lines, after which journald takes no line of the unit for half a minute.
    """
    assert _fails(host, kind, "two hundred") == [f"line {number}" for number in range(195, 200)]


def test_last_of_very_many_lines_are_shown(host: AgentHost, kind: str) -> None:
    """Of 100,000 long lines the last few are shown, each cut."""
    shown = _fails(host, kind, "many")
    assert all(re.fullmatch("line [0-9]+ é+…", line) for line in shown), shown


@pytest.mark.parametrize("mode", ["secret", "long secret"])
def test_secret_of_the_host_is_hidden(host: AgentHost, mode: str) -> None:
    """A program that prints its secret does not publish it, wherever its lines are cut."""
    assert host.apply(_app("well")).status == 0
    shown = _fails(host, "app", mode)
    assert any("[secret]" in line or "…" in line for line in shown)
    # To the journal too, as a program without a log of its own would.
    text = _app(mode).files[f"/etc/systemd/system/{_UNIT}"].text
    lines = [line for line in text.splitlines() if not line.startswith(("StandardOutput", "StandardError"))]
    path = f"/etc/systemd/system/{_UNIT}"
    state = _app(mode)
    state = replace(state, files={**state.files, path: File("\n".join(lines) + "\n")})
    _failure(host, state, "[secret]", "in the journal")
    assert host.agent("delete", "apps").status == 0


def test_odd_bytes_become_readable_characters(host: AgentHost, kind: str) -> None:
    """Colours, titles and control characters of a terminal do not reach the operator's."""
    (line, *_) = _fails(host, kind, "odd")
    assert line.startswith("red ") and "bell? " in line and line.endswith("é end"), line


def test_program_that_listens_too_late_is_said_to_run(host: AgentHost, kind: str) -> None:
    """A program that runs but does not answer in time is shown with its lines of this run."""
    words = (f"{_UNIT if kind == 'app' else 'plain.service'} runs", "refused")
    assert _fails(host, kind, "late", *words) == ["loading the rooms"]
    assert _fails(host, kind, "mute", *words) == []


def test_signal_that_killed_the_program_is_named(host: AgentHost, kind: str) -> None:
    """A program that a signal ended is said to be killed by it."""
    assert _fails(host, kind, "killed", " was killed by SIGKILL")[-1] == "about to die"


def test_program_that_cannot_be_started_is_named_in_systemds_words(host: AgentHost) -> None:
    """A command that is not there fails the apply with systemd's reason, although the app has its own log."""
    assert host.apply(_app("well")).status == 0
    state = _app("well", command=("/usr/bin/no-such-program",))
    _failure(host, state, _UNIT, "exit status 203", "/usr/bin/no-such-program", "No such file or directory")
    assert host.agent("delete", "apps").status == 0


def test_unit_that_does_not_start_shows_its_lines(host: AgentHost) -> None:
    """A unit whose start job fails is named with the lines of the command that failed."""
    unit = _plain("well")
    path = "/etc/systemd/system/plain.service"
    failing = "ExecStartPre=/bin/sh -c 'echo no database; exit 7'\nExecStart="
    state = replace(
        unit, files={**unit.files, path: File(unit.files[path].text.replace("ExecStart=", failing))}
    )
    text = _failure(host, state, "step units: plain.service: ", "\n  no database\n")
    assert "plain.service failed: its ExecStartPre ended with exit status 7" in text


@pytest.mark.parametrize(
    "command", [("systemctl", "start", "once.service"), ("/bin/sh", "-c", "systemctl restart once.service")]
)
def test_action_that_starts_a_unit_shows_its_lines(host: AgentHost, command: tuple[str, ...]) -> None:
    """A unit that an action starts, itself or in a script, is shown with its lines and not with advice."""

    def state(words: str) -> HostState:
        text = f"[Service]\nType=oneshot\nExecStart=/bin/sh -c '{words}'\n"
        path = "/etc/systemd/system/once.service"
        actions = {"once": Action(command, inputs=(path,))}
        return HostState(host="front1", component="once", files={path: File(text)}, actions=actions)

    assert host.apply(state("echo old: all is well")).status == 0
    text = _failure(host, state("echo no peer; exit 3"), "step actions: once: Job for once.service failed")
    assert "once.service ended with exit status 3; its last lines in the journal:\n  no peer\n" in text
    assert "journalctl" not in text and "systemctl status" not in text
    assert host.agent("delete", "once").status == 0


def test_unit_that_dies_without_a_health_check_shows_its_lines(host: AgentHost) -> None:
    """A unit that nothing asks for its health is shown with its lines when it dies at once."""
    words = ("step units: plain.service: the unit does not keep running", "\n  KeyError: 'chat/rooms'\n")
    _failure(host, replace(_plain("traceback"), health={}), *words)


def test_log_that_is_not_a_file_is_not_read(host: AgentHost) -> None:
    """The app's user may put a link to any file in place of its log: the failure does not show that file."""
    assert host.apply(_app("well")).status == 0
    host.run(f"echo private words >/root/private; chmod 600 /root/private; ln -sf /root/private {_LOG}")
    text = _failure(host, _app("silent"), f"it wrote nothing to {_LOG}")
    assert "private words" not in text
    assert host.agent("delete", "apps").status == 0
