"""The work of the supervisor: hosts, forwards, and a control socket with one request per connection.

A request is one JSON line ``{"verb": ..., ...}``. The answer is any number of JSON lines
``{"progress": text}``, and then one line ``{"result": ...}`` or ``{"error": text}``.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import uuid
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

from habla.errors import LabError
from habla.lab import children, records, volumes
from habla.lab.forward import Forward, Target, listen
from habla.lab.keys import ensure_key
from habla.lab.lab_host import LabHost, empty_trash
from habla.lab.lab_network import LabNetwork
from habla.lab.lab_partitions import grown
from habla.lab.paths import LabPaths
from habla.lab.records import HostRecord, LabConfig, Port

__all__ = ["Server"]

#: The exit status of systemd-nspawn when its host asks for a reboot and another program supervises it.
_EXIT_REBOOT = 133

Say = Callable[[str], None]


class Server:
    """All hosts of one lab.

    machine: file descriptor of the machine's network namespace, in which forwards listen.
    """

    def __init__(self, paths: LabPaths, config: LabConfig, *, network: LabNetwork, machine: int) -> None:
        self._paths = paths
        self._config = config
        self._network = network
        self._machine = machine
        self._hosts: dict[str, LabHost] = {}
        self._forwards: dict[tuple[str, str], Forward] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        # Numbers and ports are chosen for one host at a time. Several hosts may boot at once.
        self._choosing = asyncio.Lock()
        self._verbs: dict[str, Callable[[dict[str, Any], Say], Awaitable[Any]]] = {
            "host-create": self._create,
            "host-delete": self._delete,
            "host-start": self._start,
            "host-stop": self._stop,
            "host-kill": self._kill,
            "link-down": self._link,
            "link-up": self._link,
            "start": self._start_all,
            "status": self._status,
        }

    async def serve(self, ready: Callable[[], None]) -> None:
        """Read the recorded hosts and answer requests until the process ends."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGCHLD, self._reap)
        for record in records.read_hosts(self._paths):
            self._hosts[record.name] = LabHost(self._paths, self._network, record=record)
        empty_trash(self._paths)
        os.chdir(self._paths.root)
        self._paths.socket.unlink(missing_ok=True)
        # A relative path, because the absolute one may be too long for a socket address.
        server = await asyncio.start_unix_server(self._answer, path=self._paths.socket.name)
        self._paths.socket.chmod(0o600)
        ready()
        async with server:
            await server.serve_forever()

    def _reap(self) -> None:
        """Wait for every ended child. As the first process of its namespace, it also gets orphans."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            children.ended(pid, status)
            for host in self._hosts.values():
                if host.pid == pid:
                    host.ended()
                    reboot = os.waitstatus_to_exitcode(status) == _EXIT_REBOOT
                    task = asyncio.get_running_loop().create_task(host.clear_away(reboot))
                    self._tasks.add(task)
                    task.add_done_callback(self._tasks.discard)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        def send(kind: str, content: Any) -> None:
            if not writer.is_closing():
                writer.write(json.dumps({kind: content}).encode() + b"\n")

        try:
            line = await reader.readline()
            if not line:
                return  # the client only checked that the supervisor runs
            request = json.loads(line)
            verb = self._verbs.get(request.get("verb"))
            if verb is None:
                raise LabError(f"the lab's supervisor does not know {request.get('verb')!r}")
            send("result", await verb(request, lambda text: send("progress", text)))
        except LabError as error:
            send("error", f"{error}")
        except Exception as error:
            send("error", f"fault in the lab's supervisor: {type(error).__name__}: {error}")
            raise
        finally:
            with suppress(OSError):
                await writer.drain()
            writer.close()

    def _host(self, request: dict[str, Any]) -> LabHost:
        host = self._hosts.get(str(request.get("name")))
        if host is None:
            names = ", ".join(sorted(self._hosts)) or "none"
            raise LabError(f"the lab has no host {request.get('name')!r}; its hosts: {names}")
        return host

    async def _create(self, request: dict[str, Any], say: Say) -> dict[str, Any]:
        name = str(request["host"].get("name"))
        async with self._choosing:
            directory = self._paths.host(name)
            all_records = [host.record for host in self._hosts.values()]
            host = self._hosts.get(name)
            before = host.record if host else self._new_record(name, request["image"], others=all_records)
            wanted = before.asked(request["host"], self._config, others=all_records)
            volumes.refuse_loss(directory, before, wanted=wanted.partitions)
            host_key = ensure_key(directory / "ssh_host_ed25519_key", f"{name} (lab)")
            wanted = replace(wanted, host_key=host_key)
            if host is None:
                host = self._hosts[name] = LabHost(self._paths, self._network, record=wanted)
            async with host.lock:
                host.record = await self._open_ports(wanted)
                records.write_host(self._paths, host.record)
        async with host.lock:
            if host.running and host.booted.outside_address != host.record.outside_address:
                say(f"{name}: restarting for its new outside address")
                await host.stop()
            elif host.running and grown(host.booted.partitions, host.record.partitions):
                say(f"{name}: restarting for its new partitions")
                await host.stop()
            await self._boot(host, say)
            if not host.connected:
                host.switch(True)
        return self._describe(host)

    def _new_record(self, name: str, image: str, *, others: list[HostRecord]) -> HostRecord:
        index = records.free_index(others, self._config)
        return HostRecord(name, index, image=image, machine_id=uuid.uuid4().hex)

    async def _boot(self, host: LabHost, say: Say) -> None:
        seconds = await host.boot()
        if seconds:
            say(f"{host.record.name}: up after {seconds:.1f} s")
        if not host.record.prepared:
            host.record = replace(host.record, prepared=True)
            records.write_host(self._paths, host.record)

    async def _open_ports(self, record: HostRecord) -> HostRecord:
        """Open the host's loopback ports, recorded or newly chosen, and close those that it no longer has."""
        inside = LabHost(self._paths, self._network, record=record).address
        wanted: dict[str, tuple[Port, Target]] = {
            "ssh": (record.ssh, Target(self._network.inside, inside, record.ssh.port))
        }
        own = self._hosts[record.name].own_network
        for name, port in record.forwards.items():
            network = own if port.itself else self._network.outside
            target = Target(network, port.address or record.outside_address or "", port.port)
            wanted[f"to {name}"] = (port, target)
        for key in [key for key in self._forwards if key[0] == record.name and key[1] not in wanted]:
            await self._forwards.pop(key).stop()
        taken = {port for host in self._hosts.values() for port in _ports(host.record)}
        chosen = {}
        for name, (port, target) in wanted.items():
            forward = self._forwards.get((record.name, name))
            if forward is not None and forward.target != target:
                await forward.stop()
                forward = None
            if forward is None:
                start = int(self._paths.identity[-6:], 16)
                server = listen(self._machine, port.listen, start=start, taken=taken)
                forward = Forward(server, target)
                await forward.start()
                self._forwards[record.name, name] = forward
            taken.add(forward.listen)
            chosen[name] = replace(port, listen=forward.listen)
        ssh = chosen.pop("ssh")
        return replace(record, ssh=ssh, forwards={name[3:]: port for name, port in chosen.items()})

    async def _delete(self, request: dict[str, Any], say: Say) -> dict[str, Any]:
        name = str(request.get("name"))
        host = self._hosts.get(name)
        if host is None:
            return {"name": name}
        async with host.lock:
            for key in [key for key in self._forwards if key[0] == name]:
                await self._forwards.pop(key).stop()
            host.remove()
            self._hosts.pop(name, None)
        return {"name": name}

    async def _start(self, request: dict[str, Any], say: Say) -> dict[str, Any]:
        host = self._host(request)
        async with host.lock:
            host.record = await self._open_ports(host.record)
            await self._boot(host, say)
            if not host.connected:
                host.switch(True)
        return self._describe(host)

    async def _start_all(self, request: dict[str, Any], say: Say) -> list[Any]:
        """Start all recorded hosts at once. A host that fails does not stop the others."""
        names = sorted(self._hosts)
        starts = [self._start({"name": name}, say) for name in names]
        results = await asyncio.gather(*starts, return_exceptions=True)
        faults = [result for result in results if isinstance(result, BaseException)]
        if faults:
            raise LabError("\n".join(map(str, faults)))
        return results

    async def _stop(self, request: dict[str, Any], say: Say) -> dict[str, Any]:
        host = self._host(request)
        async with host.lock:
            await host.stop()
        return self._describe(host)

    async def _kill(self, request: dict[str, Any], say: Say) -> dict[str, Any]:
        host = self._host(request)
        async with host.lock:
            host.cut()
        return self._describe(host)

    async def _link(self, request: dict[str, Any], say: Say) -> dict[str, Any]:
        host = self._host(request)
        async with host.lock:
            host.switch(request["verb"] == "link-up")
        return self._describe(host)

    async def _status(self, request: dict[str, Any], say: Say) -> dict[str, Any]:
        hosts = [self._hosts[name] for name in sorted(self._hosts)]
        return {
            "inside": self._network.inside,
            "outside": self._network.outside,
            "hosts": [{**self._describe(host), **self._state(host)} for host in hosts],
        }

    def _state(self, host: LabHost) -> dict[str, Any]:
        return {
            "running": host.running,
            "connected": host.running and host.connected,
            "image": host.record.image,
        }

    def _describe(self, host: LabHost) -> dict[str, Any]:
        record = host.record
        return {
            "name": record.name,
            "address": "127.0.0.1",
            "port": record.ssh.listen,
            "user": record.user,
            "host_key": record.host_key,
            "forwards": {name: port.listen for name, port in record.forwards.items()},
            "management_address": host.address,
            "outside_address": record.outside_address,
            "partitions": dict(record.partitions),
        }


def _ports(record: HostRecord) -> list[int]:
    return [record.ssh.listen, *(port.listen for port in record.forwards.values())]
