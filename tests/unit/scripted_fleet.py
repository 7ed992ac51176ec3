"""Hosts that answer over SSH as a script says: the whole way of a command, without a machine being changed.

A real ``ssh`` client reaches them. They keep what the commands change: the flags of drained hosts and of
maintenance.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncssh
import yaml
from habla_command import habla

from habla.model.drain_flags import BY_HAND, BY_SETTING
from habla.onhost.haproxy.instances import flag
from habla.services.jabber.jabber_units import CLUSTER_TOOL

FRONT, STABLE, WEB = "front1", ("stable1", "stable2"), "web1"
HOSTS = {FRONT: "front", STABLE[0]: "stable", STABLE[1]: "stable", WEB: "web"}
_CSV = "# pxname,svname,qcur,scur,status,check_status,check_code,check_duration\n"
_BACKENDS = {"www": {"static": STABLE, "web": (WEB,)}, "jabber": {"c2s": STABLE}}
_MAINTENANCE = flag("www")
_RELOAD = "systemctl reload haproxy@www.service"
WATCHED: dict[str, Any] = {"faults": [], "uncovered": [], "covered": {"/var/log/syslog": 1024}}


@dataclass
class ScriptedFleet:
    """Four hosts, and a project with the stack ``remote`` that leads to them."""

    root: Path
    identity: Path
    by_hand: set[str] = field(default_factory=set)
    """Hosts that somebody has drained."""
    by_setting: set[str] = field(default_factory=set)
    """Hosts that are drained because their settings say so."""
    down: set[str] = field(default_factory=set)
    """Hosts whose servers HAProxy finds down."""
    sessions: dict[str, int] = field(default_factory=dict)
    """Host -> connections that each of its servers has."""
    old_processes: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """HAProxy instance -> its old processes, as the program on the host describes them."""
    left_out: dict[str, dict[str, str]] = field(default_factory=dict)
    """HAProxy instance -> BACKEND/SERVER -> why its config leaves the server out."""
    turns: list[Callable[[], object]] = field(default_factory=list)
    """Functions that are called ahead of the next answers about HAProxy, one ahead of each answer."""
    missing: set[str] = field(default_factory=set)
    """BACKEND/SERVER of those that a process does not have, and that its next config has again."""
    maintenance: bool = False
    """Whether the config of www leaves out every server."""
    reloading: int = 0
    """The number of answers that still come from the old process of www after a reload."""
    watched: dict[str, Any] = field(default_factory=dict)
    """Host -> the answer of its watcher (a document, or a text) where it is not that all is well."""
    asked: list[tuple[str, str]] = field(default_factory=list)
    """Host and command, of all that came."""

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run ``habla`` in the project, with the key of the hosts."""
        return habla(*words, "-i", str(self.identity), cwd=self.root)

    def answer(self, host: str, command: str) -> tuple[str, int]:
        """The output and the exit status of a command."""
        self.asked.append((host, command))
        if command.startswith("python3 - "):
            return json.dumps(self._look([word.partition("=")[0] for word in command.split()[2:]])), 0
        if command == f"touch {BY_HAND}":
            self.by_hand.add(host)
            return "", 0
        if command.startswith(f"rm -f {BY_HAND}; test ! -e {BY_SETTING}"):
            self.by_hand.discard(host)
            return "yes\n" if host in self.by_setting else "", 0
        if command == f"touch {_MAINTENANCE} && {_RELOAD}":
            self.maintenance = True
            return "", 0
        if command.endswith(f"; rm -f {_MAINTENANCE} && {_RELOAD}"):
            before = json.dumps(self._left_out("www"))
            self.maintenance = False
            return before, 0
        if "--logs" in command:
            document = self.watched.get(host, WATCHED)
            return document if isinstance(document, str) else json.dumps(document), 0
        if command == f"{CLUSTER_TOOL} force":
            return f"{host} serves with its own data\n", 0
        return f"sh: unexpected: {command}\n", 127

    def _look(self, instances: Sequence[str]) -> dict[str, Any]:
        if self.turns:
            self.turns.pop(0)()
        document: dict[str, Any] = {
            "left_out": {name: self._left_out(name) for name in instances},
            "old_processes": {name: self.old_processes.get(name, []) for name in instances},
            "addresses": [],
        }
        in_maintenance = self.maintenance
        if self.reloading:
            self.reloading -= 1
            in_maintenance = not in_maintenance
        for name in instances:
            gone = in_maintenance and name == "www"
            document.setdefault("stats", {})[name] = _CSV if gone else self._stats(name)
        return document

    def _left_out(self, instance: str) -> dict[str, str]:
        if self.maintenance and instance == "www":
            return dict.fromkeys(self._labels(instance), "maintenance")
        return self.left_out.get(instance, {})

    def _labels(self, instance: str) -> list[str]:
        backends = _BACKENDS[instance].items()
        return [f"{backend}/{server}" for backend, servers in backends for server in servers]

    def _stats(self, instance: str) -> str:
        rows = []
        for label in self._labels(instance):
            backend, _, server = label.partition("/")
            if label in self.missing or label in self.left_out.get(instance, {}):
                continue
            drained = server in self.by_hand | self.by_setting
            state = "DOWN" if server in self.down else "DRAIN (agent)" if drained else "UP"
            rows.append(f"{backend},{server},0,{self.sessions.get(server, 0)},{state},L7OK,200,1\n")
        return _CSV + "".join(rows)


@contextmanager
def scripted_fleet(directory: Path) -> Iterator[ScriptedFleet]:
    """The fleet, for as long as the block runs."""
    key = asyncssh.generate_private_key("ssh-ed25519")
    identity = directory / "identity"
    identity.write_bytes(key.export_private_key())
    identity.chmod(0o600)
    fleet = ScriptedFleet(directory / "project", identity)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        starting = asyncio.run_coroutine_threadsafe(_listen(fleet, key), loop)
        ports, host_key = starting.result(timeout=10)
        _write_project(fleet.root, ports, host_key=host_key)
        yield fleet
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(timeout=10)
        loop.close()


async def _listen(fleet: ScriptedFleet, key: asyncssh.SSHKey) -> tuple[dict[str, int], str]:
    """Host -> port, and the key that all hosts have."""
    host_key = asyncssh.generate_private_key("ssh-ed25519")
    public = key.export_public_key().decode()
    ports = {}
    for host in HOSTS:

        async def handle(process: asyncssh.SSHServerProcess[str], host: str = host) -> None:
            await process.stdin.read()
            output, status = fleet.answer(host, process.command or "")
            (process.stderr if status else process.stdout).write(output)
            process.exit(status)

        server = await asyncssh.listen(
            "127.0.0.1",
            0,
            server_host_keys=[host_key],
            authorized_client_keys=asyncssh.import_authorized_keys(public),
            process_factory=handle,
        )
        ports[host] = server.get_port()
    return ports, host_key.export_public_key().decode().strip()


def _write_project(root: Path, ports: dict[str, int], *, host_key: str) -> None:
    hosts = {
        name: {"role": role, "ssh": {"address": "127.0.0.1", "port": ports[name], "host_key": host_key}}
        for name, role in HOSTS.items()
    }
    hosts[FRONT]["outside_address"] = "203.0.113.10"
    config = {"habla:load_balancer": {"dialect": "2.x"}, "habla:hosts": hosts}
    (root / "stacks").mkdir(parents=True)
    (root / "Pulumi.yaml").write_text("name: habla\nruntime: python\nstackConfigDir: stacks\n")
    (root / "stacks" / "Pulumi.remote.yaml").write_text(yaml.safe_dump({"config": config}))
