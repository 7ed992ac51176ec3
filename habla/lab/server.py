"""The work of the supervisor: hosts, forwards, and a control socket with one request per connection.

A request is one JSON line ``{"verb": ..., ...}``. The answer is any number of JSON lines
``{"progress": text}``, and then one line ``{"result": ...}`` or ``{"error": text}``.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Any

from habla.errors import LabError
from habla.lab import children, inotify, records, volumes
from habla.lab.host_ports import HostPorts
from habla.lab.keys import ensure_key
from habla.lab.lab_host import LabHost, discard, empty_trash
from habla.lab.lab_network import LabNetwork
from habla.lab.lab_partitions import grown
from habla.lab.paths import LabPaths
from habla.lab.records import HostRecord, LabConfig

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
        self._hosts: dict[str, LabHost] = {}
        self._ports = HostPorts(network, machine, start=int(paths.identity[-6:], 16))
        self._tasks: set[asyncio.Task[None]] = set()
        # Numbers and ports are chosen for one host at a time. Several hosts may boot at once.
        self._choosing = asyncio.Lock()
        self._booting = 0
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
            await self._forget_lost(say)
            directory = self._paths.host(name)
            all_records = [host.record for host in self._hosts.values()]
            host = self._hosts.get(name)
            if host is None:
                before = self._new_record(request, others=all_records)
                discard(self._paths, name)
            else:
                before = host.record
            wanted = before.asked(request["host"], self._config, others=all_records)
            volumes.refuse_loss(directory, before, wanted=wanted.partitions)
            host_key = ensure_key(directory / "ssh_host_ed25519_key", f"{name} (lab)")
            wanted = replace(wanted, host_key=host_key)
            if host is None:
                host = self._hosts[name] = LabHost(self._paths, self._network, record=wanted)
            async with host.lock, self._taken_back(host, before):
                host.record = await self._open_ports(host, wanted)
                records.write_host(self._paths, host.record)
        async with host.lock, self._taken_back(host, before):
            if host.running and host.booted.outside_address != host.record.outside_address:
                say(f"{name}: restarting for its new outside address")
                await host.stop()
            elif host.running and grown(host.booted.partitions, host.record.partitions):
                say(f"{name}: restarting for its new partitions")
                await host.stop()
            await self._boot(host, say, free=request.get("inotify_free"))
        return self._describe(host)

    @asynccontextmanager
    async def _taken_back(self, host: LabHost, before: HostRecord) -> AsyncIterator[None]:
        """Take a failed change of a host back. A host that never came up before is removed.

        before: the record of the host before the change. The caller holds the host's lock.
        """
        try:
            yield
        except LabError:
            if before.prepared:
                with suppress(LabError):  # the first error is the one to report
                    host.record = await self._open_ports(host, before)
                    records.write_host(self._paths, host.record)
                    await self._boot(host, lambda text: None, free=None)
            else:
                await self._remove(host)
            raise

    def _new_record(self, request: dict[str, Any], *, others: list[HostRecord]) -> HostRecord:
        index = records.free_index(others, self._config)
        machine_id = request["host"].get("machine_id") or uuid.uuid4().hex
        if not re.fullmatch("[0-9a-f]{32}", machine_id):
            raise LabError(
                f"host {request['host']['name']}: machine_id {machine_id!r} must be 32 hexadecimal digits"
            )
        return HostRecord(request["host"]["name"], index, image=request["image"], machine_id=machine_id)

    async def _boot(self, host: LabHost, say: Say, *, free: int | None) -> None:
        """Boot a host that does not run, and plug its cables in.

        free: how many inotify instances the machine has left, if the client could count them.
        """
        if not host.running and free is not None:
            inotify.check(host.record.name, free, booting=self._booting)
        self._booting += 1
        try:
            seconds = await host.boot()
        finally:
            self._booting -= 1
        if seconds:
            say(f"{host.record.name}: up after {seconds:.1f} s")
        if not host.record.prepared:
            host.record = replace(host.record, prepared=True)
            records.write_host(self._paths, host.record)
        if not host.connected:
            host.switch(True)

    async def _open_ports(self, host: LabHost, record: HostRecord) -> HostRecord:
        return await self._ports.open(host, record, others=[other.record for other in self._hosts.values()])

    async def _delete(self, request: dict[str, Any], say: Say) -> dict[str, Any]:
        name = str(request.get("name"))
        host = self._hosts.get(name)
        if host is None:
            return {"name": name}
        async with host.lock:
            await self._remove(host)
        return {"name": name}

    async def _remove(self, host: LabHost) -> None:
        """Remove a host with its ports and files. The caller holds its lock."""
        name = host.record.name
        await self._ports.close(name)
        host.remove()
        self._hosts.pop(name, None)

    async def _forget_lost(self, say: Say) -> None:
        """Remove every host whose files somebody deleted. The next host-create makes it anew."""
        for name, host in sorted(self._hosts.items()):
            if records.read_host(self._paths, name) is None:
                async with host.lock:
                    say(f"{name}: somebody deleted its files, so it has to be made anew")
                    await self._remove(host)

    async def _start(self, request: dict[str, Any], say: Say) -> dict[str, Any]:
        host = self._host(request)
        async with host.lock, self._taken_back(host, host.record):
            host.record = await self._open_ports(host, host.record)
            await self._boot(host, say, free=request.get("inotify_free"))
        return self._describe(host)

    async def _start_all(self, request: dict[str, Any], say: Say) -> list[Any]:
        """Start all recorded hosts at once. A host that fails does not stop the others."""
        await self._forget_lost(say)
        starts = [self._start({**request, "name": name}, say) for name in sorted(self._hosts)]
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
            "machine_id": record.machine_id,
            "address": "127.0.0.1",
            "port": record.ssh.listen,
            "user": record.user,
            "host_key": record.host_key,
            "forwards": {name: port.listen for name, port in record.forwards.items()},
            "management_address": host.address,
            "outside_address": record.outside_address,
            "partitions": dict(record.partitions),
        }
