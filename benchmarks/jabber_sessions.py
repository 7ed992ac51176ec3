"""Visitors on the lab's Jabber: what a session takes, and how many messages pass between its nodes.

    python -m benchmarks.jabber_sessions [--lab .lab] [--most 4000] [--pairs 100] [--seconds 20]

Needs a running lab (`make up`). The visitors connect from the lab's outside network through HAProxy, with TLS
from the first byte, and stay silent; the memory of each node's Erlang process is read before and after. Then
pairs of visitors send each other messages, first two on one node and then two on different ones, in turns.
Every number of visitors and seconds is bounded by the options.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import json
import os
import re
import ssl
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from habla.cli.ssh import shells
from habla.lab.paths import LabPaths
from habla.lab.verbs import status
from habla.plan.stack_files import load_plan

ADDRESS, PORT = "203.0.113.10", 5223
DOMAIN = "visitors.hab.la"
# Handshakes at a time, and messages of one sender that are under way.
TOGETHER, WINDOW = 20, 4
_HEAD = (
    f"<stream:stream to='{DOMAIN}' xmlns='jabber:client' version='1.0'"
    " xmlns:stream='http://etherx.jabber.org/streams'>"
)


@dataclass
class Visitor:
    """A session."""

    jid: str
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter


def context() -> ssl.SSLContext:
    """The certificate is the host's own."""
    found = ssl.create_default_context()
    found.check_hostname = False
    found.verify_mode = ssl.CERT_NONE
    return found


async def visitor(tls: ssl.SSLContext) -> Visitor:
    """Connect, and log in without an account."""
    reader, writer = await asyncio.open_connection(ADDRESS, PORT, ssl=tls, limit=2**20)

    async def ask(text: str, end: bytes) -> bytes:
        writer.write(text.encode())
        return await asyncio.wait_for(reader.readuntil(end), 60)

    await ask(_HEAD, b"</stream:features>")
    nothing = base64.b64encode(b"").decode() or "="
    sasl = "urn:ietf:params:xml:ns:xmpp-sasl"
    await ask(f"<auth xmlns='{sasl}' mechanism='ANONYMOUS'>{nothing}</auth>", b"/>")
    await ask(_HEAD, b"</stream:features>")
    bind = "<iq id='b' type='set'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>"
    answer = await ask(bind, b"</iq>")
    found = re.search(rb"<jid>([^<]+)</jid>", answer)
    if found is None:
        raise ConnectionError(answer.decode())
    return Visitor(found[1].decode(), reader, writer)


async def come(count: int) -> list[Visitor]:
    """So many visitors."""
    tls, gate = context(), asyncio.Semaphore(TOGETHER)

    async def one() -> Visitor:
        async with gate:
            return await visitor(tls)

    return list(await asyncio.gather(*(one() for _ in range(count))))


async def talk(pairs: list[tuple[Visitor, Visitor]], seconds: float) -> int:
    """Messages that arrived within so many seconds. Each sender waits while a few of his are under way."""
    stop = time.monotonic() + seconds
    arrived = 0

    async def one(sender: Visitor, recipient: Visitor) -> None:
        nonlocal arrived
        text = f"<message to='{recipient.jid}' type='chat'><body>{'x' * 100}</body></message>".encode()
        sender.writer.write(text * WINDOW)
        while time.monotonic() < stop:
            await asyncio.wait_for(recipient.reader.readuntil(b"</message>"), 30)
            arrived += 1
            sender.writer.write(text)
        for _ in range(WINDOW):
            await asyncio.wait_for(recipient.reader.readuntil(b"</message>"), 30)

    await asyncio.gather(*(one(*pair) for pair in pairs))
    return arrived


async def outside(options: dict[str, Any]) -> None:
    """In the lab's outside network: one line of JSON is a command, one is an answer."""
    here: list[Visitor] = []
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        command = json.loads(line)
        started = time.monotonic()
        answer: Any = None
        if command["do"] == "come":
            here += await come(command["count"])
            answer = [item.jid for item in here]
        elif command["do"] == "talk":
            by_jid = {item.jid: item for item in here}
            pairs = [(by_jid[a], by_jid[b]) for a, b in command["pairs"]]
            answer = await talk(pairs, command["seconds"])
        print(json.dumps({"answer": answer, "seconds": time.monotonic() - started}), flush=True)
    for item in here:
        item.writer.transport.abort()


class Lab:
    """The lab, and the visitors in its outside network."""

    def __init__(self, root: Path, directory: Path) -> None:
        plan = load_plan(root, "lab")
        self.nodes = [end.host for end in plan.fleet.endpoints.named("c2s")]
        self.hosts = {host["name"]: host for host in status(LabPaths.of(directory))["hosts"]}
        self._stack = contextlib.ExitStack()
        self._shells = self._stack.enter_context(shells(root, plan))
        inner = [sys.executable, "-m", "benchmarks.jabber_sessions", "--outside"]
        self._visitors = subprocess.Popen(
            [sys.executable, "-m", "habla.lab", "outside", "--dir", str(directory), "--", *inner],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=root,
        )

    def ask(self, **command: Any) -> dict[str, Any]:
        assert self._visitors.stdin and self._visitors.stdout
        self._visitors.stdin.write(json.dumps(command) + "\n")
        self._visitors.stdin.flush()
        answer: dict[str, Any] = json.loads(self._visitors.stdout.readline())
        return answer

    def memory(self) -> dict[str, int]:
        """Host -> KiB that the Erlang process has in memory."""
        command = "ps -o rss= -C beam.smp | sort -n | tail -n 1"
        return {node: int(self._shells.run(node, command)) for node in self.nodes}

    def sessions(self) -> dict[str, str]:
        """JID -> the host that has its session."""
        found = {}
        for line in self._shells.run(self.nodes[0], "ejabberdctl connected_users_info").splitlines():
            fields = line.split("\t")
            node = next(field for field in fields if field.startswith("ejabberd@"))
            found[fields[0]] = node.partition("@")[2]
        return found

    def close(self) -> None:
        assert self._visitors.stdin
        self._visitors.stdin.close()
        self._visitors.wait(60)
        self._stack.close()


def measure(lab: Lab, most: int, *, pairs: int, seconds: float) -> None:
    before = lab.memory()
    print(f"before: {sum(before.values()) // 1024} MiB on {', '.join(before)}")
    here = 0
    for count in (most // 4, most // 2, most):
        took = lab.ask(do="come", count=count - here)["seconds"]
        new, here = count - here, count
        time.sleep(5)
        more = sum(lab.memory().values()) - sum(before.values())
        each = more / count
        print(
            f"{count:>6} sessions: {more // 1024:>5} MiB more, {each:.0f} KiB each, "
            f"{1024 * 1024 / each:,.0f} in 1 GiB; {new / took:.0f} logins a second"
        )
    by_node: dict[str, list[str]] = {}
    for jid, node in lab.sessions().items():
        by_node.setdefault(node, []).append(jid)
    first, second = (by_node[node] for node in sorted(by_node))
    same = [(first[2 * index], first[2 * index + 1]) for index in range(pairs)]
    across = [(first[index], second[index]) for index in range(pairs)]
    rates: dict[str, list[float]] = {"one node": [], "two nodes": []}
    for _ in range(2):
        for name, chosen in (("one node", same), ("two nodes", across)):
            answer = lab.ask(do="talk", pairs=chosen, seconds=seconds)
            rates[name].append(answer["answer"] / seconds)
    for name, found in rates.items():
        print(f"messages a second, {pairs} pairs on {name}: {' and '.join(f'{rate:,.0f}' for rate in found)}")
    print(f"two nodes / one node: {sum(rates['two nodes']) / sum(rates['one node']):.2f}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--lab", type=Path, default=Path(".lab"))
    parser.add_argument("--most", type=int, default=4000)
    parser.add_argument("--pairs", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--outside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.outside:
        asyncio.run(outside(vars(options)))
        return 0
    root = Path(os.curdir).resolve()
    lab = Lab(root, options.lab.resolve())
    try:
        measure(lab, min(options.most, 20_000), pairs=options.pairs, seconds=options.seconds)
    finally:
        lab.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
