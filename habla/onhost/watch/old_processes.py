"""Finds the old processes of a HAProxy instance: those that a reload replaced, until their connections end.

``habla status`` sends the text of this module to front hosts, so it imports no other module of its package.
"""

from __future__ import annotations

import ipaddress
import os
import subprocess
from collections import Counter
from dataclasses import dataclass, field
from typing import Iterable, Mapping, Sequence

UNIT = "haproxy@{}.service"
_CGROUPS = "/sys/fs/cgroup"
_PROC = "/proc"
_TICKS = os.sysconf("SC_CLK_TCK")
# The states of a TCP socket in /proc/net/tcp.
_ESTABLISHED, _LISTEN = "01", "0A"
_MAPPED = "0000000000000000FFFF0000"


@dataclass(frozen=True)
class Process:
    """A process of the instance. started: seconds from the boot of the host."""

    pid: int
    parent: int
    started: float


@dataclass(frozen=True)
class OldProcess:
    """A process that a reload replaced. replaced_seconds: how long ago. sessions: its clients' connections.

    servers: address of a server -> connections to it.
    """

    pid: int
    replaced_seconds: float
    sessions: int = 0
    servers: Mapping[str, int] = field(default_factory=dict)


@dataclass
class Sockets:
    """The TCP sockets of a host. listening: inode -> port.

    established: inode -> local port and remote address, both as the kernel writes them, in hexadecimal.
    """

    listening: dict[str, str] = field(default_factory=dict)
    established: dict[str, tuple[str, str]] = field(default_factory=dict)


def find(instance: str) -> list[OldProcess]:
    """The old processes of an instance, the oldest first, with their connections.

    Raises OSError if systemd does not answer.
    """
    found = running(instance)
    if len(found) < 2:
        return []
    # The descriptors come first: sockets that are opened later are in no list.
    descriptors = [sockets_of(process.pid) for process in found]
    table = Sockets()
    for name in ("tcp", "tcp6"):
        read_sockets(table, _read(f"{_PROC}/net/{name}"))
    uptime = float(_read(f"{_PROC}/uptime").split()[0])
    return described(found, descriptors, sockets=table, uptime=uptime)


def running(instance: str) -> list[Process]:
    """The processes that serve clients, the oldest first. The last one is the present process.

    Raises OSError if systemd does not answer.
    """
    unit = UNIT.format(instance)
    command = ["systemctl", "show", "-p", "ControlGroup", "-p", "ControlPID", unit]
    try:
        text = subprocess.check_output(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=10)
    except subprocess.SubprocessError as error:
        raise OSError(f"{unit}: its processes cannot be counted: {error}") from None
    values = dict(line.partition("=")[::2] for line in text.decode().splitlines())
    group, control = values.get("ControlGroup", ""), int(values.get("ControlPID") or 0)
    pids = _read(f"{_CGROUPS}{group}/cgroup.procs").split() if group else []
    texts = [_read(f"{_PROC}/{pid}/stat") for pid in pids]
    # A process that has ended meanwhile has no text.
    return serving([read_process(text) for text in texts if text], control)


def read_process(stat: str) -> Process:
    """A process from the text of /proc/PID/stat. Pure."""
    # The name is in parentheses and may have blanks and parentheses itself.
    pid, fields = stat.split(" ", 1)[0], stat.rpartition(")")[2].split()
    return Process(int(pid), int(fields[1]), int(fields[19]) / _TICKS)


def serving(processes: Iterable[Process], control: int) -> list[Process]:
    """The processes that serve clients, the oldest first. Pure.

    None of them is the parent of another one, because 2.x has a master. None is ``control``, the process of a
    start or reload under way, or its child: 1.3 reads its config and binds its ports before it is a daemon.
    ``control`` is 0 at any other time.
    """
    everything = list(processes)
    left_out = {control, *(process.parent for process in everything)}
    found = [item for item in everything if item.pid not in left_out and item.parent != control]
    return sorted(found, key=lambda process: (process.started, process.pid))


def read_sockets(table: Sockets, text: str) -> None:
    """Add the sockets of the text of /proc/net/tcp or /proc/net/tcp6. Pure."""
    for line in text.splitlines()[1:]:
        words = line.split(None, 10)
        if words[3] == _ESTABLISHED:
            table.established[words[9]] = words[1][-4:], words[2][:-5]
        elif words[3] == _LISTEN:
            table.listening[words[9]] = words[1][-4:]


def described(
    found: Sequence[Process], descriptors: Sequence[Iterable[str]], *, sockets: Sockets, uptime: float
) -> list[OldProcess]:
    """All but the last of these processes, with their connections. Pure.

    descriptors: the inodes of the sockets of each process. uptime: seconds since the boot of the host.
    """
    ports = {sockets.listening[inode] for inode in descriptors[-1] if inode in sockets.listening}
    old = []
    for process, after, inodes in zip(found, found[1:], descriptors):
        sessions = 0
        servers: Counter[str] = Counter()
        for inode in inodes:
            port, remote = sockets.established.get(inode, ("", ""))
            if port in ports:
                sessions += 1
            elif port:
                # HAProxy opened it itself.
                servers[remote] += 1
        connections = {address(remote): count for remote, count in sorted(servers.items())}
        old.append(OldProcess(process.pid, max(uptime - after.started, 0.0), sessions, connections))
    return old


def address(digits: str) -> str:
    """An IP address from its digits in /proc/net/tcp. Pure.

    They are words of 32 bits, each with its last byte first.
    """
    if len(digits) == 32 and digits.startswith(_MAPPED):
        digits = digits[24:]
    words = (bytes.fromhex(digits[at : at + 8])[::-1] for at in range(0, len(digits), 8))
    return str(ipaddress.ip_address(b"".join(words)))


def sockets_of(pid: int) -> list[str]:
    """The inodes of the sockets that a process has open; none when it has ended."""
    directory = f"{_PROC}/{pid}/fd"
    found = []
    try:
        for number in os.listdir(directory):
            try:
                target = os.readlink(f"{directory}/{number}")
            except OSError:
                continue
            if target.startswith("socket:["):
                found.append(target[8:-1])
    except OSError:
        pass
    return found


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
