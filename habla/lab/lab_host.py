"""One host of the lab as the supervisor runs it: its namespace, file system, processes and ports."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from habla.errors import LabError
from habla.lab import cgroups, namespaces, volumes
from habla.lab.forward import Target, connect
from habla.lab.image import image_release
from habla.lab.lab_network import LabNetwork, host_address
from habla.lab.paths import LabPaths
from habla.lab.records import HostRecord
from habla.lab.rootfs import furnish

__all__ = ["LabHost", "discard", "empty_trash"]

_BOOT_SECONDS = 90.0
_STOP_SECONDS = 40.0
_PROBE_SECONDS = 2.0


def empty_trash(paths: LabPaths) -> None:
    """Begin to remove the files of deleted hosts. The supervisor does not wait for the end."""
    if paths.trash.is_dir():
        subprocess.Popen(["rm", "-rf", str(paths.trash)], stdin=subprocess.DEVNULL)


def discard(paths: LabPaths, name: str) -> None:
    """Put the files of a host that does not run aside, and begin to remove them. There may be none."""
    if paths.host(name).exists():
        paths.trash.mkdir(exist_ok=True)
        paths.host(name).rename(paths.trash / f"{name}-{time.time_ns()}")
        empty_trash(paths)


class LabHost:
    """A host and its processes. Only one operation may run at a time: hold lock around each.

    record: the wanted state of the host. pid: its systemd-nspawn, or 0 if the host does not run.
    """

    def __init__(self, paths: LabPaths, network: LabNetwork, *, record: HostRecord) -> None:
        self.lock = asyncio.Lock()
        self.record = record
        self.pid = 0
        self.booted = record  # the record at the last boot
        self.connected = True
        self._paths = paths
        self._network = network
        self._namespace = -1
        self._ended = asyncio.Event()
        self._group = cgroups.ROOT / paths.identity / f"host-{record.name}"
        self._directory = paths.host(record.name)

    @property
    def running(self) -> bool:
        """Whether the host runs."""
        return self.pid != 0

    @property
    def root(self) -> Path:
        """The mount point of the host's file system. Only the supervisor's mount namespace has the mount."""
        return self._directory / "root"

    @property
    def address(self) -> str:
        """The host's management address."""
        return str(host_address(self._network.config, self.record.index))

    def own_network(self) -> int:
        """A file descriptor of the host's network namespace. Raises OSError if the host does not run."""
        if self._namespace < 0:
            raise ConnectionRefusedError(f"host {self.record.name} does not run")
        return self._namespace

    def ended(self) -> None:
        """Note that the host's nspawn has ended."""
        self.pid = 0
        self._ended.set()

    async def clear_away(self, reboot: bool) -> None:
        """Clean up after an end that the lab did not ask for. A killed nspawn leaves the host's init behind.

        reboot: whether the host asked for a reboot; it is then booted again.
        """
        async with self.lock:
            if self.running:
                return
            self.cut()
            if reboot:
                try:
                    await self.boot()
                except LabError as error:
                    print(error, file=sys.stderr, flush=True)

    async def boot(self) -> float:
        """Start the host and wait until SSH answers. Returns the seconds, or 0 if the host ran already.

        Raises LabError with the end of the host's console if SSH does not answer in time.
        """
        begin = time.monotonic()
        if self.running:
            # It may be slow or have no sshd, but it runs, so it is not stopped.
            await self._wait_for_ssh(begin + _BOOT_SECONDS)
            return 0.0
        # Two runs on one file system would destroy it, so the remains of the last run are removed first.
        self.cut()
        try:
            self._namespace = self._network.attach(self.record)
            self.connected = True
            await volumes.mount(self._directory, self.root, record=self.record)
            furnish(
                self.root,
                self._directory,
                record=self.record,
                config=self._network.config,
                public_key=self._public_key(),
            )
            self._spawn()
            self.booted = self.record
            await self._wait_for_ssh(begin + _BOOT_SECONDS)
        except (OSError, LabError) as error:
            self.cut()
            raise LabError(f"host {self.record.name} did not come up: {error}\n{self._console()}") from error
        except BaseException:
            self.cut()
            raise
        return time.monotonic() - begin

    async def stop(self) -> None:
        """Shut the host down cleanly. Kill it if that takes more than 40 s."""
        if self.running:
            self._ended.clear()
            os.kill(self.pid, signal.SIGTERM)
            with suppress(TimeoutError):
                async with asyncio.timeout(_STOP_SECONDS):
                    await self._ended.wait()
        self.cut()

    def cut(self) -> None:
        """Cut the power: pull the cables, so that no peer sees a connection end, and kill all processes."""
        self._network.detach(self.record)
        if self._namespace >= 0:
            os.close(self._namespace)
            self._namespace = -1
        with suppress(FileNotFoundError):
            cgroups.destroy(self._group)
        self.pid = 0
        while os.path.ismount(self.root):
            namespaces.unmount(str(self.root))

    def switch(self, up: bool) -> None:
        """Plug in or pull the network cables. The host goes on. Raises LabError if the host does not run."""
        if not self.running:
            raise LabError(f"host {self.record.name} does not run")
        self._network.switch(self.booted, up)
        self.connected = up

    def remove(self) -> None:
        """Cut the host's power and remove its files."""
        self.cut()
        discard(self._paths, self.record.name)

    def _public_key(self) -> str:
        return (self._paths.keys / "id_ed25519.pub").read_text()

    def _spawn(self) -> None:
        cgroups.create(self._group)
        name = self.record.name
        command = [
            *("systemd-nspawn", "--quiet", "--boot", "--register=no", "--keep-unit", "--settings=no"),
            *(f"--directory={self.root}", f"--machine={name}", f"--hostname={name}"),
            *(f"--network-namespace-path=/proc/self/fd/{self._namespace}", "--capability=CAP_NET_ADMIN"),
            *("--suppress-sync=yes", "--link-journal=no", "--resolv-conf=off", "--timezone=off"),
            *(f"--bind-ro={self._paths.pool(image_release(self.record.image))}:/srv/repo", "--console=pipe"),
        ]
        environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "SYSTEMD_NSPAWN_API_VFS_WRITABLE": "network",
        }
        with (self._directory / "console.log").open("w") as console:
            # A function between fork and exec is safe here: the supervisor has one thread.
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                pass_fds=[self._namespace],
                env=environment,
                preexec_fn=lambda: cgroups.join(self._group),  # noqa: PLW1509
            )
        # The supervisor waits for this process. Without this, a forgotten Popen might, and take the status.
        process.returncode = 0
        self.pid = process.pid
        self._ended.clear()

    async def _answers(self) -> bool:
        if not self.connected:
            return True
        try:
            async with asyncio.timeout(_PROBE_SECONDS):
                target = Target(self._network.inside, self.address, 22)
                client = await connect(target, _PROBE_SECONDS)
                try:
                    banner = await asyncio.get_running_loop().sock_recv(client, 8)
                finally:
                    client.close()
        except (OSError, TimeoutError):
            return False
        return banner.startswith(b"SSH-")

    async def _wait_for_ssh(self, deadline: float) -> None:
        while not await self._answers():
            if self._ended.is_set():
                raise LabError("the host's init ended")
            if time.monotonic() > deadline:
                raise LabError(f"SSH did not answer within {_BOOT_SECONDS:.0f} s")
            await asyncio.sleep(0.05)

    def _console(self) -> str:
        try:
            lines = (self._directory / "console.log").read_text(errors="replace").splitlines()
        except FileNotFoundError:
            return ""
        return "\n".join(["the end of its console:", *lines[-10:]]) if lines else ""
