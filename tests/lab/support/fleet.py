"""A whole fleet for tests: the real engine, a copy of the project, a lab of its own."""

from __future__ import annotations

import contextlib
import copy
import http.client
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from clients import Program
from hosts import REPOSITORY, SUPPORT, Lab
from lab_stack import lab_sections
from pace import Pace

from habla.onhost.document_text import read_document
from toolchain.setup import npm

PULUMI = REPOSITORY / ".toolchain" / "bin" / "pulumi"
STABLE = ("stable1", "stable2")
# Connections a second. Each of them keeps its port for a minute, and there are 28,000.
MOST_A_SECOND = 400

# An archive of HAProxy 1.3.14.10: with it the fleet's tests are about that dialect. Debian does not have one.
OLD_ARCHIVE = os.environ.get("HABLA_LAB_1_3", "")
_UP = ("up", "--stack", "lab", "--yes", "--skip-preview", "--suppress-permalink")
_UP_SECONDS = 900
_HABLA = "import sys; from habla.cli import main; sys.exit(main())"
# Tries to connect to all of those at once; prints what it could connect to.
_PROBE = """
import socket, sys
from concurrent.futures import ThreadPoolExecutor
from habla.onhost.document_text import read_document
def reach(target):
    host, port = target.split(":")
    try:
        socket.create_connection((host, int(port)), 2).close()
        return target
    except OSError:
        return ""
with ThreadPoolExecutor(32) as pool:
    print(*filter(None, pool.map(reach, sys.argv[1:])))
"""
_COUNT = re.compile(r"^ +[-+~]* *(\d+) (created|updated|replaced|deleted|unchanged)$", re.MULTILINE)


@dataclass(frozen=True)
class Done:
    """A `pulumi up`. counts: created, updated, replaced, deleted, unchanged -> resources."""

    output: str
    seconds: float
    counts: Mapping[str, int]

    @property
    def changed(self) -> int:
        """How many resources were not left as they were."""
        return sum(count for what, count in self.counts.items() if what != "unchanged")


class Fleet:
    """The fleet of stacks/Pulumi.lab.yaml under ``root``, which is removed with `close`.

    ports: those of this machine that the stack has, instead of its own. Without them the fleet is one of the
    domain hab.la at ports that the lab chooses.
    """

    def __init__(self, root: Path, *, ports: Mapping[str, int] | None = None) -> None:
        self.project = root / "project"
        self.lab = Lab(self.project / ".lab")
        self._state = root / "state"
        self._state.mkdir(parents=True)
        copy_project(self.project)
        self._stack = self.project / "stacks" / "Pulumi.lab.yaml"
        self._write_one_stack(ports)
        if OLD_ARCHIVE:
            self._speak_1_3(Path(OLD_ARCHIVE))
        self._leave_out("monitor1")
        self._settings = self._stack.read_text()
        self._environment = {
            name: value for name, value in os.environ.items() if name not in ("SSH_AUTH_SOCK", "PULUMI_STACK")
        } | {"PULUMI_BACKEND_URL": f"file://{self._state}", "PULUMI_CONFIG_PASSPHRASE": "lab"}
        self.pulumi("stack", "init", "lab", "--no-select")

    def close(self) -> None:
        """End the hosts; the state of the engine goes with the directory."""
        self.lab.ask("lab-delete")

    def pulumi(self, *arguments: str) -> str:
        """Run the CLI, which must succeed; what it printed."""
        done = self._run(arguments)
        assert done.returncode == 0, f"pulumi {' '.join(arguments)}:\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def up(self, changes: Mapping[str, Any] | None = None) -> Done:
        """Deploy the lab's stack with these changes and no others: {"apps.rpc.maxconn": 10}."""
        self._configure(changes or {})
        started = time.monotonic()
        output = self.pulumi(*_UP)
        seconds = time.monotonic() - started
        self.lab.hosts = {host["name"]: host for host in self.lab.ask("status")["hosts"]}
        return Done(output, seconds, {what: int(count) for count, what in _COUNT.findall(output)})

    def refused(self, changes: Mapping[str, Any]) -> str:
        """Deploy with these changes as `make up` does, which must fail; what was printed."""
        self._configure(changes)
        done = self._run((*_UP, "--continue-on-error"))
        assert done.returncode != 0, done.stdout
        return done.stdout + done.stderr

    def preview(self, changes: Mapping[str, Any]) -> dict[str, set[str]]:
        """What `up` with these changes would change: resource -> files of its host state that differ.

        A resource that has no host state has no files; what it would change is not said.
        """
        self._configure(changes)
        steps = json.loads(self.pulumi("preview", "--stack", "lab", "--json"))["steps"]
        return {
            step["urn"].rsplit("::", 1)[1]: _differing(step.get("oldState"), step.get("newState"))
            for step in steps
            if step["op"] != "same"
        }

    def habla(self, verb: str, *words: str, stack: str = "lab") -> subprocess.CompletedProcess[str]:
        """The ``habla`` command, on the fleet's project."""
        return subprocess.run(
            [sys.executable, "-c", _HABLA, "-C", str(self.project), *verb.split(), "-s", stack, *words],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def ssh(self, host: str, command: str) -> str:
        """Run a shell command on a host as root, which must succeed; its stdout, stripped."""
        return self.lab.run(host, command)

    def outside(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a program where the internet is, as the fleet sees it."""
        return self.lab.outside(*command)

    def reach(self, *targets: str) -> set[str]:
        """Which of these, ADDRESS:PORT, accept a connection from the outside."""
        done = self.outside("python3", "-c", _PROBE, *targets)
        assert done.returncode == 0, done.stderr
        return set(done.stdout.split())

    def kill(self, host: str) -> None:
        """Power cut."""
        self.lab.ask("host-kill", host)

    def start(self, host: str) -> None:
        """Boot a host that does not run."""
        self.lab.ask("host-start", host)

    def http(
        self,
        path: str,
        host: str = "www.hab.la",
        body: object = None,
        method: str | None = None,
        forward: str = "www",
    ) -> tuple[int, bytes, http.client.HTTPMessage]:
        """Status, body and headers of what the outside client gets. body: sent as JSON, by POST."""
        data = None if body is None else json.dumps(body)
        port = self.lab.hosts["front1"]["forwards"][forward]
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        try:
            connection.request(method or ("GET" if data is None else "POST"), path, data, {"Host": host})
            answer = connection.getresponse()
            return answer.status, answer.read(), answer.headers
        finally:
            connection.close()

    def rpc(self, method: str, **params: Any) -> Any:
        """The result of an RPC through HAProxy."""
        status, body, _ = self.http(
            "/rpc", body={"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        )
        document = json.loads(body)
        assert status == 200 and "result" in document, document
        return document["result"]

    def served_by(self, path: str, host: str = "www.hab.la", tries: int = 40) -> set[str]:
        """The hosts that answer a path with 200, in so many tries or until both stable hosts did.

        It asks 50 times a second.
        """
        servers = set()
        for _ in Pace(rate=50, most=tries):
            status, body, headers = self.http(path, host)
            assert status == 200, f"{path}: {status} {body[:200]!r}"
            servers.add(headers["X-Served-By"])
            if servers >= set(STABLE):
                break
        return servers

    def uses(self, host: str) -> bool:
        """Whether HAProxy uses a host for everything that it offers."""
        lines = self.habla("status", "--host", host).stdout.splitlines()
        return len(lines) > 1 and all(" UP " in line for line in lines if line.startswith("front1"))

    @contextlib.contextmanager
    def program(self, script: str, *arguments: str) -> Iterator[Program]:
        """One of the programs beside this file, in the outside network, until the end of the block.

        Raises AssertionError at the end when the program has reported an error.
        """
        started = self._start(script, *arguments)
        try:
            yield started
        finally:
            started.end()
        started.check()

    @contextlib.contextmanager
    def visitors(
        self, *paths: str, workers: int, rate: float, most: int, burst: int = 1, seconds: float = 0
    ) -> Iterator[Program]:
        """Visitors of www.hab.la who ask for these paths in turn, until the end of the block.

        workers: requests at the same time, at most. rate: requests a second. most: requests in all; to need
        more of them is an error. burst: this many requests are due at the same time. seconds: stop after so
        many seconds of answers; 0 when the test tells them to stop.
        """
        assert rate <= MOST_A_SECOND, f"{rate} connections a second use up all ports"
        bounds = {"workers": workers, "rate": rate, "most": most, "burst": burst, "seconds": seconds}
        options = [f"--{name}={value}" for name, value in bounds.items()]
        with self.program("visitor.py", "ask", *options, "www.hab.la", *paths) as visitors:
            yield visitors

    @contextlib.contextmanager
    def changed(self, changes: Mapping[str, Any]) -> Iterator[None]:
        """Deployed with these changes, which are taken back at the end of the block."""
        try:
            self.up(changes)
            yield
        finally:
            self.up()

    @contextlib.contextmanager
    def mail_server(self) -> Iterator[Program]:
        """Where the stack's alerts go; each mail is an event."""
        server = self._start("mails.py", "10.213.0.1", "2525", network="inside")
        try:
            server.expect(10, event="started")
            yield server
        finally:
            server.end()

    def _start(self, script: str, *arguments: str, network: str = "outside") -> Program:
        lab = [sys.executable, "-m", "habla.lab", network, "--dir", str(self.lab.directory), "--"]
        return Program(*lab, sys.executable, str(SUPPORT / script), *arguments)

    def _write_one_stack(self, ports: Mapping[str, int] | None) -> None:
        """Have all sections in the stack file, so that a test that changes one replaces it whole."""
        stack = yaml.safe_load(self._stack.read_text())
        sections = lab_sections(self.project, ports=ports)
        stack["config"] = {f"habla:{name}": value for name, value in sections.items()}
        self._stack.write_text(yaml.safe_dump(stack, sort_keys=False))
        project = yaml.safe_load((self.project / "Pulumi.yaml").read_text())
        del project["config"]
        (self.project / "Pulumi.yaml").write_text(yaml.safe_dump(project, sort_keys=False))

    def _leave_out(self, host: str) -> None:
        """Cacti takes minutes to install: the tests of the monitor add it."""
        stack = yaml.safe_load(self._stack.read_text())
        del stack["config"]["habla:hosts"][host]
        self._stack.write_text(yaml.safe_dump(stack, sort_keys=False))

    def _speak_1_3(self, archive: Path) -> None:
        """The same fleet, with HAProxy 1.3.14.10 built from this archive."""
        shutil.copy(archive, self.project / archive.name)
        stack = yaml.safe_load(self._stack.read_text())
        stack["config"]["habla:load_balancer"] |= {
            "dialect": "1.3.14",
            "releases": {"1.3.14.10": {"path": archive.name}},
        }
        stack["config"]["habla:services"]["jabber"]["proxy_protocol"] = False
        self._stack.write_text(yaml.safe_dump(stack, sort_keys=False))

    def _configure(self, changes: Mapping[str, Any]) -> None:
        stack = yaml.safe_load(self._settings)
        # A later change may go into the value of an earlier one, which is the caller's.
        for path, value in copy.deepcopy(dict(changes)).items():
            section, *keys = path.split(".")
            name = f"habla:{section}"
            if not keys:
                stack["config"][name] = value
                continue
            at = stack["config"].setdefault(name, {})
            for key in keys[:-1]:
                at = at.setdefault(key, {})
            at[keys[-1]] = value
        self._stack.write_text(yaml.safe_dump(stack, sort_keys=False) if changes else self._settings)

    def _run(self, arguments: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
        command = [str(PULUMI), "--non-interactive", *arguments]
        return subprocess.run(
            command,
            cwd=self.project,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_UP_SECONDS,
            check=False,
        )


@contextlib.contextmanager
def deployed_fleet(root: Path, *, ports: Mapping[str, int] | None = None) -> Iterator[Fleet]:
    """A fleet until the end of the block, deployed; skips the test where there is no CLI. See ``Fleet``."""
    if not PULUMI.exists():
        pytest.skip("no pulumi CLI: make toolchain")
    fleet = Fleet(root, ports=ports)
    try:
        fleet.up()
        yield fleet
    finally:
        fleet.close()


def copy_project(to: Path) -> None:
    """The project's files as they are, without those that git ignores, and the browser's libraries."""
    listed = subprocess.check_output(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=REPOSITORY, text=True
    )
    for name in listed.split("\0"):
        if name and (REPOSITORY / name).is_file() and not name.startswith(("tests/", "benchmarks/")):
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(REPOSITORY / name, to / name)
    shutil.copytree(REPOSITORY / npm.TARGET, to / npm.TARGET, dirs_exist_ok=True)


def _differing(old: dict[str, Any] | None, new: dict[str, Any] | None) -> set[str]:
    def files(state: dict[str, Any] | None) -> dict[str, Any]:
        text = (state or {}).get("inputs", {}).get("stdin", "")
        try:
            document = read_document(text)
        except (AttributeError, TypeError, ValueError):
            return {}
        return document.get("files", {}) if isinstance(document, dict) else {}

    before, after = files(old), files(new)
    return {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
