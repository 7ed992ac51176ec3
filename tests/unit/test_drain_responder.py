"""The program that tells HAProxy whether a host is drained, asked as HAProxy asks it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from habla.onhost.programs.drain_responder import Responder

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def serving(answer: Serve) -> AsyncIterator[int]:
    """A server on loopback; its port."""
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


def replies(text: str, close: bool = True) -> Serve:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(text.encode())
        await writer.drain()
        if not close:
            await reader.read()
        writer.close()

    return serve


def ask(flag: Path, check: dict[str, object], service: Serve, question: str) -> str:
    """What the responder answers, with one service of this check behind it."""

    async def talk() -> str:
        async with serving(service) as port:
            config = {
                "address": "127.0.0.1",
                "flags": [str(flag), str(flag) + "-2"],
                "services": {"it": {**check, "port": port}},
            }
            async with serving(Responder(config).serve) as responder:
                reader, writer = await asyncio.open_connection("127.0.0.1", responder)
                writer.write(question.encode())
                answer = await asyncio.wait_for(reader.read(), 5)
                writer.close()
                return answer.decode()

    return asyncio.run(talk())


HTTP = {"kind": "http", "path": "/health", "host": "", "expect": 204}
XMPP = {"kind": "xmpp", "domain": "hab.la", "namespace": "jabber:client"}
GET = "GET /it HTTP/1.0\r\n\r\n"


@pytest.mark.parametrize(
    ("check", "says", "status"),
    [
        (HTTP, "HTTP/1.1 204 No Content\r\n\r\n", "200"),
        (HTTP, "HTTP/1.1 200 OK\r\n\r\n", "503"),
        (HTTP, "", "503"),
        (XMPP, "<stream:stream><stream:features></stream:features>", "200"),
        (XMPP, "<stream:error/></stream:stream>", "503"),
        ({"kind": "tcp"}, "", "200"),
    ],
)
def test_a_service_is_well_when_it_answers_as_its_check_says(
    tmp_path: Path, check: dict[str, object], says: str, status: str
) -> None:
    """HTTP by its status, XMPP by its features, anything else by taking a connection."""
    assert ask(tmp_path / "no", check, replies(says), GET).split()[1] == status


def test_a_service_that_says_nothing_is_not_well(tmp_path: Path) -> None:
    """Within the time that HAProxy gives a check."""
    assert "503" in ask(tmp_path / "no", XMPP, replies("<stream:stream>", close=False), GET)


@pytest.mark.parametrize("name", ["flag", "flag-2"])
def test_a_drained_host_answers_404_while_its_service_is_well(tmp_path: Path, name: str) -> None:
    """404 means: well, but nothing new. Either flag is enough."""
    (tmp_path / name).touch()
    assert ask(tmp_path / "flag", HTTP, replies("HTTP/1.1 204 x\r\n\r\n"), GET).split()[1] == "404"
    assert ask(tmp_path / "flag", HTTP, replies(""), GET).split()[1] == "503"


@pytest.mark.parametrize(("drained", "answer"), [(True, "drain\n"), (False, "ready\n")])
def test_an_agent_check_is_answered_in_a_word(tmp_path: Path, drained: bool, answer: str) -> None:
    """Whatever HAProxy sends as its line."""
    if drained:
        (tmp_path / "flag").touch()
    assert ask(tmp_path / "flag", HTTP, replies(""), "stable1\n") == answer


def test_a_service_it_does_not_know_is_not_well(tmp_path: Path) -> None:
    """HAProxy takes it out, rather than sending requests to nobody."""
    assert ask(tmp_path / "no", HTTP, replies(""), "GET /other HTTP/1.0\r\n\r\n").split()[1] == "503"
