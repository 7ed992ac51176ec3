"""Hosts that answer over SSH as a script says: the whole way of a command, without a machine being changed.

A real ``ssh`` client reaches them. They keep what the commands change: the flags of drained hosts.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncssh
import yaml

from habla.model.drain_flags import BY_HAND, BY_SETTING
from habla.services.jabber.jabber_units import CLUSTER_TOOL

FRONT, STABLE, WEB = "front1", ("stable1", "stable2"), "web1"
HOSTS = {FRONT: "front", STABLE[0]: "stable", STABLE[1]: "stable", WEB: "web"}
_CSV = "# pxname,svname,qcur,scur,status,check_status,check_code,check_duration\n"
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
    watched: dict[str, Any] = field(default_factory=dict)
    """Host -> the answer of its watcher (a document, or a text) where it is not that all is well."""
    asked: list[tuple[str, str]] = field(default_factory=list)
    """Host and command, of all that came."""

    def answer(self, host: str, command: str) -> tuple[str, int]:
        """The output and the exit status of a command."""
        self.asked.append((host, command))
        if command.startswith("python3 - "):
            pages = [word.partition("=")[0] for word in command.split()[2:]]
            document: dict[str, Any] = {"stats": {page: self._stats(page) for page in pages}}
            old = {page: self.old_processes.get(page, []) for page in pages}
            return json.dumps({**document, "addresses": [], "old_processes": old}), 0
        if command == f"touch {BY_HAND}":
            self.by_hand.add(host)
            return "", 0
        if command.startswith(f"rm -f {BY_HAND}; test ! -e {BY_SETTING}"):
            self.by_hand.discard(host)
            return "yes\n" if host in self.by_setting else "", 0
        if "--logs" in command:
            document = self.watched.get(host, WATCHED)
            return document if isinstance(document, str) else json.dumps(document), 0
        if command == f"{CLUSTER_TOOL} force":
            return f"{host} serves with its own data\n", 0
        return f"sh: unexpected: {command}\n", 127

    def _stats(self, instance: str) -> str:
        backends = {"www": {"static": STABLE, "web": (WEB,)}, "jabber": {"c2s": STABLE}}[instance]
        rows = []
        for backend, servers in backends.items():
            for server in servers:
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
