"""The old processes of a HAProxy instance, in recorded texts and in the /proc of this machine."""

from __future__ import annotations

import os
import re
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from habla.onhost.watch import old_processes
from habla.onhost.watch.old_processes import OldProcess, Process, Sockets

_STABLE1, _STABLE2 = "192.168.2.100", "192.168.2.101"
# The jabber instance of a lab after two reloads: two users came before the first, one before the second, and
# one after that. With 2.6.12, two sockets a connection; the master has the pid 1288.
RECORDED = {
    "2.6.12": [
        OldProcess(1904, 4.26, 2, {_STABLE1: 1, _STABLE2: 1}),
        OldProcess(2042, 2.23, 1, {_STABLE1: 1}),
    ],
    "1.3.14.10": [
        OldProcess(2408, 5.3, 2, {_STABLE1: 1, _STABLE2: 1}),
        OldProcess(2540, 2.76, 1, {_STABLE1: 1}),
    ],
}


@pytest.fixture(params=RECORDED)
def version(request: pytest.FixtureRequest) -> str:
    """The version of HAProxy whose processes were recorded."""
    return str(request.param)


def recorded(version: str) -> dict[str, list[str]]:
    """The parts of a recorded text: title -> lines."""
    text = (Path(__file__).parent / f"old-processes-{version}.txt").read_text()
    parts = re.split(r"^# (.+)\n", text, flags=re.MULTILINE)[1:]
    return {title: lines.splitlines() for title, lines in zip(parts[::2], parts[1::2], strict=True)}


def found_in(parts: dict[str, list[str]]) -> list[OldProcess]:
    """The old processes of a recorded text."""
    processes = old_processes.serving(map(old_processes.read_process, parts["stat"]), 0)
    table = Sockets()
    for name in ("tcp", "tcp6"):
        old_processes.read_sockets(table, "\n".join(parts[name]))
    inodes = [parts.get(f"sockets of {process.pid}", []) for process in processes]
    uptime = float(parts["uptime"][0].split()[0])
    return old_processes.described(processes, inodes, sockets=table, uptime=uptime)


def test_old_processes_have_their_clients_and_servers(version: str) -> None:
    """The present process, the master of 2.x and connections of other programs are not among them."""
    found = found_in(recorded(version))
    for process, expected in zip(found, RECORDED[version], strict=True):
        assert process.replaced_seconds == pytest.approx(expected.replaced_seconds, abs=0.01)
        assert (process.pid, process.sessions, process.servers) == (
            expected.pid,
            expected.sessions,
            expected.servers,
        )


def test_a_process_that_ends_meanwhile_has_no_connections(version: str) -> None:
    """Its sockets cannot be read any more."""
    parts = recorded(version)
    oldest = RECORDED[version][0].pid
    del parts[f"sockets of {oldest}"]
    assert [(process.pid, process.sessions) for process in found_in(parts)] == [
        (oldest, 0),
        (RECORDED[version][1].pid, 1),
    ]


def test_a_reload_under_way_is_no_old_process() -> None:
    """1.3 reads its config and binds in a process that systemd waits for, and then in the child of that."""
    present, control, child = Process(10, 1, 5.0), Process(20, 1, 9.0), Process(21, 20, 9.1)
    assert old_processes.serving([present, control], 20) == [present]
    assert old_processes.serving([child, control, present], 20) == [present]
    assert old_processes.serving([child, present], 0) == [present, child]


def test_clients_by_ipv6_count_too() -> None:
    """A line in `raw` may bind to an IPv6 address; the kernel may write IPv4 addresses as IPv6 ones."""
    listening = "00000000000000000000000000000000:1466"
    client = "B80D0120000000000000000001000000"
    rest = "00000000:00000000 00:00000000 00000000 0 0"
    rows = [
        f"0: {listening} {'0' * 32}:0000 0A {rest} 7 1 x",
        f"1: {client}:1466 {client}:C000 01 {rest} 8 1 x",
        f"2: 0000000000000000FFFF00000A02A8C0:C001 0000000000000000FFFF00006402A8C0:1466 01 {rest} 9 1 x",
        f"3: {client}:C002 {client}:1467 01 {rest} 10 1 x",
    ]
    table = Sockets()
    old_processes.read_sockets(table, "\n".join(["head", *rows]))
    pair = [Process(1, 1, 0.0), Process(2, 1, 1.0)]
    (old,) = old_processes.described(pair, [["8", "9", "10"], ["7"]], sockets=table, uptime=2.0)
    assert (old.sessions, old.servers) == (1, {_STABLE1: 1, "2001:db8::1": 1})


@pytest.fixture
def unit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[subprocess.Popen[bytes]]]:
    """The unit of an instance with two processes, which a systemctl of the test's own and a directory show.

    Its cgroup lists a third process, which has ended.
    """
    answer = "printf 'ControlPID=0\\nControlGroup=/haproxy\\n'"
    (tmp_path / "systemctl").write_text(f'#!/bin/sh\n[ "$6" = haproxy@jabber.service ] && {answer}\n')
    (tmp_path / "systemctl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(old_processes, "_CGROUPS", str(tmp_path))
    processes = [subprocess.Popen(["sleep", "60"]) for _ in range(3)]
    processes[2].kill()
    processes[2].wait()
    (tmp_path / "haproxy").mkdir()
    pids = "".join(f"{process.pid}\n" for process in processes)
    (tmp_path / "haproxy" / "cgroup.procs").write_text(pids)
    yield processes
    for process in processes:
        process.kill()
        process.wait()


def test_processes_are_found_in_the_cgroup_of_the_unit(unit: list[subprocess.Popen[bytes]]) -> None:
    """The newest is the present process; one that has ended is left out."""
    assert [process.pid for process in old_processes.running("jabber")] == [unit[0].pid, unit[1].pid]
    (old,) = old_processes.find("jabber")
    assert (old.pid, old.sessions, old.servers) == (unit[0].pid, 0, {})
    assert 0 <= old.replaced_seconds < 60


def test_a_unit_without_processes_has_no_old_ones(
    unit: list[subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    """It has stopped, and its cgroup is gone."""
    (tmp_path / "haproxy" / "cgroup.procs").unlink()
    assert unit and old_processes.find("jabber") == []


@pytest.mark.usefixtures("unit")
def test_processes_that_cannot_be_counted_are_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """systemd does not answer, or there is no systemctl: nobody may take that for no old process."""
    with pytest.raises(OSError, match=r"haproxy@www\.service: its processes cannot be counted"):
        old_processes.find("www")
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    with pytest.raises(FileNotFoundError, match="systemctl"):
        old_processes.find("jabber")


def test_the_sockets_of_a_process_are_those_that_the_kernel_lists() -> None:
    """A listening socket and both ends of a connection, on this machine."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as client, server.accept()[0] as accepted:
            inodes = old_processes.sockets_of(os.getpid())
            table = Sockets()
            old_processes.read_sockets(table, Path("/proc/net/tcp").read_text())
            there = [str(os.fstat(end.fileno()).st_ino) for end in (server, client, accepted)]
    assert set(there) <= set(inodes)
    assert int(table.listening[there[0]], 16) == port
    local, remote = table.established[there[1]]
    assert int(local, 16) != port and old_processes.address(remote) == "127.0.0.1"
    assert int(table.established[there[2]][0], 16) == port


def test_a_process_that_has_ended_has_no_sockets() -> None:
    """No process has the pid 0."""
    assert old_processes.sockets_of(0) == []
