"""Before HAProxy starts, the hosts are asked, and the config that runs is written."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from habla.onhost.haproxy import haproxy_main, instances, prepare
from habla.onhost.haproxy.instances import Instance
from habla.onhost.haproxy.servers import DOWN, DRAINED, WELL, Server, ask, found_in, to_leave_out, without
from habla.onhost.programs.drain_responder import Responder

CONFIG = """\
frontend www
    bind 203.0.113.10:80
    default_backend rpc

backend rpc
    default-server check inter 1s
    server stable1 127.0.0.1:8001 minconn 5 maxconn 20 agent-check agent-port 8099 agent-inter 1s
    server stable2 127.0.0.2:8001 maxconn 20 check port 8099
    server hand 192.0.2.1:80
    server socket /run/app.sock

listen stats
    server elsewhere 192.0.2.2:80
"""


def server(name: str, backend: str = "rpc", responder: int = 8099) -> Server:
    """A server of that name, at no place in particular."""
    return Server(0, backend, name, "192.0.2.1", 8001, responder)


def test_servers_of_backends_are_found_with_their_responders() -> None:
    """Each dialect has its own word for the port; lines of the operator's own have none."""
    for word, ports in (("agent-port", [8099, 0, 0]), ("port", [0, 8099, 0])):
        found = found_in(CONFIG, word)
        assert [item.label for item in found] == ["rpc/stable1", "rpc/stable2", "rpc/hand", "rpc/socket"]
        assert [item.responder for item in found] == [*ports, 0]
        assert [(item.address, item.port, item.limited) for item in found] == [
            ("127.0.0.1", 8001, True),
            ("127.0.0.2", 8001, True),
            ("192.0.2.1", 80, False),
            ("/run/app.sock", 0, False),
        ]


@pytest.mark.parametrize(
    ("answers", "left_out"),
    [
        ({"a": WELL, "b": WELL}, {}),
        ({"a": WELL, "b": DRAINED}, {"b": DRAINED}),
        ({"a": WELL, "b": DOWN}, {"b": DOWN}),
        # Nobody is well: perhaps this host has lost its network.
        ({"a": DOWN, "b": DOWN}, {}),
        ({"a": DRAINED, "b": DOWN}, {"a": DRAINED}),
        ({"a": DRAINED, "b": DRAINED}, {"a": DRAINED, "b": DRAINED}),
    ],
)
def test_servers_that_get_no_request_at_first(answers: dict[str, str], left_out: dict[str, str]) -> None:
    """A drained one always, one that is down while its backend has one that is well."""
    found = to_leave_out({server(name): answer for name, answer in answers.items()})
    assert {item.name: why for item, why in found.items()} == left_out


def test_a_server_of_another_backend_saves_nobody() -> None:
    """Each backend is judged by itself."""
    found = to_leave_out({server("a", "rpc"): DOWN, server("a", "status"): WELL})
    assert found == {}


def test_lines_keep_their_numbers_without_a_server() -> None:
    """So HAProxy's messages name the line of the config that habla wrote."""
    found = found_in(CONFIG, "port")
    text = without(CONFIG, [found[1]])
    assert len(text.splitlines()) == len(CONFIG.splitlines())
    assert "server stable2 127" not in text and "server stable1 127" in text


class Host:
    """A host with a responder on loopback. Its service rpc is up while ``well`` is true."""

    def __init__(self, directory: Path) -> None:
        self.flag = directory / "drained"
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.service, self.port = self._call(self._start())

    def _call(self, work):  # type: ignore[no-untyped-def]
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(5)

    async def _start(self) -> tuple[asyncio.Server, int]:
        async def hangs_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.close()

        service = await asyncio.start_server(hangs_up, "127.0.0.1", 0)
        services = {"rpc": {"kind": "tcp", "port": service.sockets[0].getsockname()[1]}}
        config = {"address": "127.0.0.1", "flags": [str(self.flag)], "services": services}
        responder = await asyncio.start_server(Responder(config).serve, "127.0.0.1", 0)
        return service, responder.sockets[0].getsockname()[1]

    def stop_service(self) -> None:
        """Nobody listens on the port of the service any more."""

        async def close() -> None:
            self.service.close()
            await self.service.wait_closed()

        self._call(close())

    def end(self) -> None:
        """The whole host is gone."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[tuple[Host, Host]]:
    """Two hosts."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    both = Host(tmp_path / "a"), Host(tmp_path / "b")
    yield both
    for host in both:
        host.end()


def instance(tmp_path: Path, hosts: tuple[Host, Host], *, old: bool) -> Instance:
    """An instance whose backend rpc has a server on each host."""
    word = "check port" if old else "agent-check agent-port"
    lines = [
        f"    server {name} 127.0.0.1:1 {word} {host.port}" for name, host in zip("ab", hosts, strict=True)
    ]
    config = tmp_path / "www.cfg"
    config.write_text("\n".join(["backend rpc", *lines]) + "\n")
    return Instance("www", old, str(config), str(tmp_path), "haproxy@www.service", 1, 60)


def test_the_hosts_say_how_their_services_are(hosts: tuple[Host, Host], tmp_path: Path) -> None:
    """Well, drained, or down when nobody listens, and when nobody answers at all."""
    found = found_in(Path(instance(tmp_path, hosts, old=True).config).read_text(), "port")
    first, second = found
    assert ask(found) == {first: WELL, second: WELL}
    hosts[0].flag.touch()
    hosts[1].stop_service()
    assert ask(found) == {first: DRAINED, second: DOWN}
    assert ask([Server(0, "rpc", "c", "127.0.0.1", 1, responder=1)]) == {
        Server(0, "rpc", "c", "127.0.0.1", 1, responder=1): DOWN
    }
    assert ask([server("x", responder=0)]) == {}


@pytest.mark.parametrize("old", [True, False])
def test_a_drained_server_gets_no_request_of_a_new_process(
    hosts: tuple[Host, Host], tmp_path: Path, *, old: bool
) -> None:
    """1.3 runs without its line; 2.x reads from the file of states that it is drained."""
    www = instance(tmp_path, hosts, old=old)
    hosts[1].flag.touch()
    prepare.prepare(www)
    runs = www.path(instances.RUNNING).read_text()
    left = json.loads(www.path(instances.LEFT_OUT).read_text())
    assert ("server b 127" in runs) is not old
    assert left == ({"rpc/b": DRAINED} if old else {})
    if not old:
        states = www.path(instances.STATE).read_text().splitlines()
        assert states[0] == "1" and states[2].startswith("1 rpc 1 b 127.0.0.1 2 8 ")
        assert len(states) == 3 and len(states[2].split()) == len(states[1].split()) - 1


@pytest.mark.parametrize("old", [True, False])
def test_maintenance_leaves_out_all_servers(
    hosts: tuple[Host, Host], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, old: bool
) -> None:
    """In both dialects, for as long as the flag is there."""
    www = instance(tmp_path, hosts, old=old)
    flag = tmp_path / "maintenance"
    monkeypatch.setattr(prepare, "flag", lambda name: flag)
    flag.touch()
    prepare.prepare(www)
    assert "server" not in www.path(instances.RUNNING).read_text().replace("left out: server", "")
    assert set(json.loads(www.path(instances.LEFT_OUT).read_text())) == {"rpc/a", "rpc/b"}
    flag.unlink()
    prepare.prepare(www)
    assert www.path(instances.RUNNING).read_text() == Path(www.config).read_text()


def test_haproxy_starts_with_its_config_if_nothing_can_be_prepared(
    hosts: tuple[Host, Host],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A fault of this program keeps nobody's website down."""
    www = instance(tmp_path, hosts, old=True)

    def fails(*_: object) -> None:
        raise RuntimeError("no threads left")

    monkeypatch.setattr(haproxy_main, "load", lambda path: {"www": www})
    monkeypatch.setattr(haproxy_main, "prepare", fails)
    assert haproxy_main.main(["prepare", "www"]) == 0
    assert www.path(instances.RUNNING).read_text() == Path(www.config).read_text()
    assert "RuntimeError: no threads left" in capsys.readouterr().err


@pytest.mark.parametrize("words", [[], ["prepare"], ["prepare", "smtp"], ["guard", "www"], ["start"]])
def test_wrong_words_are_refused(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the usage and status 2."""
    monkeypatch.setattr(haproxy_main, "load", lambda path: {})
    assert haproxy_main.main(words) == 2 and "usage" in capsys.readouterr().err
