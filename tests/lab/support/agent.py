"""The agent on a lab's host: installed as the components install it, driven and observed over SSH."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hosts import Lab

from habla.components.agent_bundle import AGENT_PATH, SENT, agent_bundle, install_command
from habla.components.command import _as_root, agent_command
from habla.onhost.document import Action, Check, Directory, File, Health, HostState, Unit

PAGE = "/etc/demo/page"
SERVER = "/usr/local/lib/demo/serve.py"
UNIT = "/etc/systemd/system/demo.service"
HAPROXY = "/etc/haproxy/haproxy.cfg"

_SERVE = """\
import http.server, sys
page = open(sys.argv[1], "rb").read()
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(page)
    def log_message(self, *words):
        pass
http.server.ThreadingHTTPServer(("127.0.0.1", 8081), Handler).serve_forever()
"""
_UNIT = """\
[Service]
ExecStart=/usr/bin/python3 {server} {page}
[Install]
WantedBy=multi-user.target
"""
_HAPROXY = """\
defaults
    mode http
    timeout client 5s
    timeout server 5s
    timeout connect 5s
frontend www
    bind 127.0.0.1:8080
    http-request return status 200 content-type text/plain string {text}
"""

# Runs on the host; everything a test asks about it in one round trip.
_LOOK = """\
import hashlib, json, os, subprocess, sys, urllib.request
wanted = json.load(sys.stdin)
def page(port):
    try:
        return urllib.request.urlopen("http://127.0.0.1:%d/" % port, timeout=5).read().decode().strip()
    except OSError as error:
        return "error: %s" % error
def file(path):
    if not os.path.lexists(path):
        return None
    status = os.lstat(path)
    content = os.readlink(path) if os.path.islink(path) else ""
    if os.path.isfile(path):
        content = hashlib.sha256(open(path, "rb").read()).hexdigest()
    return [content, oct(status.st_mode), status.st_uid, status.st_gid, status.st_mtime_ns, status.st_ino]
def unit(name):
    names = ["MainPID", "ActiveState", "UnitFileState"]
    text = subprocess.check_output(["systemctl", "show", "--property=" + ",".join(names), name], text=True)
    values = dict(line.split("=", 1) for line in text.split())
    return [values.get(name, "") for name in names]
places = ["/etc", "/usr/local", "/var/lib/habla", "/opt", "/srv"]
found = subprocess.run(["find", *places, "-name", "*.habla-new"], stdout=subprocess.PIPE, text=True)
left = found.stdout.split()
state = "/var/lib/habla/"
left += [p for p in ("/usr/sbin/policy-rc.d", state + "journal.json", state + "backup") if os.path.lexists(p)]
print(json.dumps({
    "pages": [page(port) for port in wanted["ports"]],
    "files": {path: file(path) for path in wanted["files"]},
    "units": {name: unit(name) for name in wanted["units"]},
    "left": left,
}))
"""

# Runs on the host: an apply that ends itself, without a word, at one point.
_KILLED = """\
import json, os, signal, sys
from pathlib import Path
sys.path.insert(0, AGENT)
from onhost.agent import places, system, transaction
def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)
class Killed(transaction.Transaction):
    def steps(self):
        found = []
        for name, step in super().steps():
            found += [(name, step)] + ([("kill", die)] if name == POINT else [])
        return found
if POINT == "in packages":
    run = system.run
    system.run = lambda step, subject, command, **more: (
        die() if command[:2] == ["apt-get", "install"] else run(step, subject, command=command, **more))
if POINT == "in swap":
    swap = Killed.swap
    def half(self):
        rename, done = Path.replace, []
        def counted(path, target):
            if self.journal["paths"] and not str(target).startswith("/var/lib/habla/"):
                done.append(target)
                if len(done) == 3:
                    die()
            return rename(path, target)
        Path.replace = counted
        swap(self)
    Killed.swap = half
if POINT == "in commit":
    unlink = Path.unlink
    Path.unlink = lambda path, **words: die() if path == places.JOURNAL else unlink(path, **words)
with places.lock():
    Killed(json.load(sys.stdin), places.secrets()).run()
"""
POINTS = (
    *("in packages", "begin", "packages", "stage", "check", "in swap"),
    *("swap", "units", "actions", "health", "in commit", "commit"),
)


def demo(text: str, component: str = "demo", **changes: Any) -> HostState:
    """A component that has one of everything; its services answer with ``text`` on ports 8080 and 8081."""
    state = HostState(
        host="front1",
        component=component,
        packages=("haproxy",),
        directories={"/var/lib/demo": Directory("0750", "daemon", "daemon")},
        files={
            PAGE: File(text + "\n"),
            SERVER: File(_SERVE),
            UNIT: File(_UNIT.format(server=SERVER, page=PAGE)),
            HAPROXY: File(_HAPROXY.format(text=text)),
            f"/etc/demo/only-{text}": File("here\n", "0640", "root", "daemon"),
        },
        units={
            "haproxy.service": Unit(reload_on=(HAPROXY,)),
            "demo.service": Unit(restart_on=(PAGE, SERVER)),
        },
        checks={"haproxy": Check(("haproxy", "-c", "-f", f"{{{HAPROXY}}}"), (HAPROXY,))},
        actions={"note": Action(("cp", PAGE, "/var/lib/demo/noted"), inputs=(PAGE,))},
        health={
            "www": Health(unit="haproxy.service", address="127.0.0.1", port=8080, path="/", deadline=15),
            "page": Health(unit="demo.service", address="127.0.0.1", port=8081, path="/", deadline=15),
        },
    )
    return replace(state, **changes)


def with_files(state: HostState, **texts: str | None) -> HostState:
    """The state with other texts of files, or without them; keys are the names of the constants above."""
    paths = {"page": PAGE, "server": SERVER, "unit": UNIT, "haproxy": HAPROXY}
    files = dict(state.files)
    for name, text in texts.items():
        if text is None:
            del files[paths[name]]
        else:
            files[paths[name]] = replace(files[paths[name]], text=text)
    return replace(state, files=files)


@dataclass(frozen=True)
class Look:
    """What a host looks like. files: path -> digest, mode, uid, gid, mtime, inode, or None."""

    pages: list[str]
    files: dict[str, Any]
    units: dict[str, list[str]]
    left: list[str]

    def pid(self, unit: str) -> str:
        """The main process of a unit."""
        return self.units[unit][0]

    def content(self) -> dict[str, Any]:
        """The files without their times and inodes."""
        return {path: found and found[:4] for path, found in self.files.items()}


@dataclass(frozen=True)
class Done:
    """How a run of the agent ended. report: its line of JSON, empty when it failed."""

    status: int
    stdout: str
    stderr: str

    @property
    def report(self) -> dict[str, Any]:
        """The JSON line."""
        found: dict[str, Any] = json.loads(self.stdout) if self.stdout else {}
        return found

    @property
    def changed(self) -> dict[str, list[str]]:
        """What the run changed; it must have succeeded."""
        assert self.status == 0, self.stderr
        found: dict[str, list[str]] = self.report["changed"]
        return found


class AgentHost:
    """A host of a lab, as the components reach it."""

    def __init__(self, lab: Lab, name: str, user: str = "root") -> None:
        self.lab = lab
        self.name = name
        self.user = user
        host = lab.hosts[name]
        known = lab.directory / f"known-agent-{name}"
        known.write_text(f"[127.0.0.1]:{host['port']} {host['host_key']}\n")
        options = ("BatchMode=yes", "IdentitiesOnly=yes", f'UserKnownHostsFile="{known}"', "ConnectTimeout=5")
        self._ssh = [
            *("ssh", "-q", "-F", "/dev/null", "-p", str(host["port"])),
            *("-i", str(lab.directory / "keys/id_ed25519")),
            *(f"-o{option}" for option in options),
            f"{user}@127.0.0.1",
        ]

    def start(self, command: str) -> subprocess.Popen[str]:
        """Start a command on the host; the caller gives it its input and waits."""
        pipe = subprocess.PIPE
        environment = {key: value for key, value in os.environ.items() if key != "SSH_AUTH_SOCK"}
        return subprocess.Popen(
            [*self._ssh, command], stdin=pipe, stdout=pipe, stderr=pipe, text=True, env=environment
        )

    def send(self, command: str, stdin: str = "") -> Done:
        """Run a command on the host with this standard input."""
        with self.start(command) as process:
            try:
                stdout, stderr = process.communicate(stdin, timeout=120)
            finally:
                process.kill()
        return Done(process.returncode, stdout, stderr)

    def run(self, command: str, stdin: str = "") -> str:
        """A command that must succeed; its standard output, stripped."""
        done = self.send(command, stdin)
        assert done.status == 0, f"{command}: {done}"
        return done.stdout.strip()

    def install(self) -> None:
        """Install the agent as a Host does."""
        bundle = agent_bundle()
        self.send_file(SENT, bundle.content)
        self.run(_as_root(install_command(), self.user, host=self.name), bundle.manifest)

    def send_file(self, path: str, content: bytes) -> None:
        """Put a file into the home directory of the user."""
        self.run(f"base64 -d >{path}", base64.b64encode(content).decode())

    def agent(self, *words: str, stdin: str = "") -> Done:
        """Run the agent as a component does."""
        return self.send(_as_root(agent_command(*words), self.user, host=self.name), stdin)

    def apply(self, state: HostState) -> Done:
        """Hand over a state."""
        return self.agent("apply", stdin=state.canonical())

    def secrets(self, **values: str) -> Done:
        """Deliver secrets; ``_`` in a name stands for ``/``."""
        secrets = {name.replace("_", "/"): value for name, value in values.items()}
        return self.agent("secrets", stdin=json.dumps({"format": 1, "secrets": secrets}))

    def killed(self, state: HostState, point: str) -> None:
        """An apply that gets SIGKILL at a point of ``POINTS``."""
        script = f"AGENT, POINT = {AGENT_PATH!r}, {point!r}\n" + _KILLED
        path = "/root/killed.py"
        self.run(f"cat >{path}", script)
        done = self.send(f"python3 {path}; echo status $? >&2", state.canonical())
        assert "status 137" in done.stderr, (point, done)

    def look(self, files: Mapping[str, Any] | tuple[str, ...] = (), units: tuple[str, ...] = ()) -> Look:
        """What is there, on ports 8080 and 8081, in files and units."""
        wanted = {"ports": [8080, 8081], "files": list(files), "units": list(units)}
        self.run("mkdir -p /root && cat >/root/look.py", _LOOK)
        return Look(**json.loads(self.run("python3 /root/look.py", json.dumps(wanted))))


@contextlib.contextmanager
def agent_hosts(directory: Path, *names: str, packages: tuple[str, ...] = ("haproxy",)) -> Iterator[Lab]:
    """A lab with hosts, and the agent on each."""
    lab = Lab(directory / "lab")
    try:
        lab.create(*packages)
        lab.together(*({"name": name, "outside_address": None, "forwards": {}} for name in names))
        for name in names:
            AgentHost(lab, name).install()
        yield lab
    finally:
        lab.ask("lab-delete")
