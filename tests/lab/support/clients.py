"""Programs in the lab's outside network, and the XMPP clients that one of them is."""

from __future__ import annotations

import contextlib
import json
import math
import subprocess
import threading
import time
from typing import Any

from hosts import REPOSITORY, Lab, wait_for
from pace import Pace

FRONT = "203.0.113.10"
USERS = ("ada", "bob", "cleo", "dan")


class Program:
    """A program that a test talks to: lines of JSON in, lines of JSON out.

    When the program says ``error``, the next call of `expect` or `check` raises AssertionError.
    """

    def __init__(self, *command: str) -> None:
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
            cwd=REPOSITORY,
        )
        self.events: list[dict[str, Any]] = []
        self._checked = 0
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def tell(self, **command: Any) -> None:
        """One line of input."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()

    def expect(self, seconds: float, since: int = 0, **fields: Any) -> dict[str, Any]:
        """The first event with these fields, of those from number ``since`` on."""

        def found() -> dict[str, Any] | None:
            self.check()
            matching = (event for event in self.events[since:] if fields.items() <= event.items())
            return next(matching, None)

        try:
            return wait_for(found, seconds, f"{fields}")
        except AssertionError as error:
            raise AssertionError(f"{error}; the last events: {self.events[-6:]}") from None

    def check(self) -> None:
        """Raise AssertionError with the faults that the program has reported since the last call."""
        new = self.events[self._checked :]
        self._checked += len(new)
        faults = [event["fault"] for event in new if event["event"] == "error"]
        assert not faults, f"the program failed: {faults}"

    def end(self) -> None:
        """End it, whatever it does."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(5)
        self._reader.join(5)

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.events.append(json.loads(line))


def subjects(mails: Program, *words: str, since: int = 0) -> list[str]:
    """The subjects with all of these words, of the mails from event number ``since`` on."""
    return [
        event["subject"]
        for event in mails.events[since:]
        if event["event"] == "mail" and all(word in event["subject"] for word in words)
    ]


class Jabber:
    """XMPP clients in the outside network, as told to xmpp.py.

    nodes: the hosts that run ejabberd. address: where clients connect to.
    """

    def __init__(self, lab: Lab, program: Program, nodes: tuple[str, ...]) -> None:
        self._lab, self._program, self._nodes = lab, program, nodes
        self.address = FRONT

    def register(self) -> None:
        """Make the accounts of all users, with the password ``secret``."""
        for user in USERS:
            self._lab.run(self._nodes[0], f"ejabberdctl register {user} hab.la secret")

    def log_in(self, user: str, via: str = "c2s", seconds: float = 15.0) -> float:
        """Log in, trying again until it works; the seconds that took."""
        since = len(self._program.events)
        how = {"via": via, "address": self.address, "seconds": seconds}
        self._program.tell(do="login", user=user, password="secret", **how)
        return float(self._program.expect(seconds + 1, since, event="online", user=user)["seconds"])

    def pair(self, seconds: float = 20.0) -> tuple[str, str]:
        """Connect users until two of them are on different nodes.

        A node that has just started gets users once HAProxy has found it well twice. So they try again, at
        most once a second.
        """
        first, *others = USERS
        deadline = time.monotonic() + seconds
        for _ in Pace(rate=1, most=math.ceil(seconds) + 1):
            self.log_in(first)
            for user in others:
                self.log_in(user)
                both = {first, user}
                sessions = wait_for(lambda both=both: both <= (found := self.sessions()).keys() and found, 10)
                if sessions[first]["node"] != sessions[user]["node"]:
                    return first, user
            if time.monotonic() > deadline:
                break
            self.log_out()
        raise AssertionError(f"all on one node for {seconds} s: {self.sessions()}")

    def log_out(self) -> None:
        """End all connections."""
        for user in filter(self.is_in, USERS):
            since = len(self._program.events)
            self._program.tell(do="logout", user=user)
            self._program.expect(10, since, event="offline", user=user)

    def send(self, sender: str, recipient: str) -> str:
        """Send a message, which may arrive; its text."""
        body = f"{sender} to {recipient} at {time.monotonic()}"
        self._program.tell(do="send", user=sender, to=f"{recipient}@hab.la", body=body)
        return body

    def talk(self, sender: str, recipient: str, seconds: float = 10.0) -> None:
        """A message arrives."""
        body = self.send(sender, recipient)
        event = self._program.expect(seconds, event="message", user=recipient, body=body)
        assert event["from"].startswith(f"{sender}@hab.la/"), event

    def lost(self, user: str) -> bool:
        """Whether a connection ended since its last login."""
        return self._since_login(user).count("offline") > 0

    def is_in(self, user: str) -> bool:
        """Whether a user is connected."""
        return "online" in self._since_login(user) and not self.lost(user)

    def expect_loss(self, user: str, seconds: float) -> None:
        """The end of a connection that others bring about."""
        wait_for(lambda: self.lost(user), seconds, f"the end of {user}'s connection")

    def _since_login(self, user: str) -> list[str]:
        """What happened to a user, from the last login on."""
        events = [event["event"] for event in self._program.events if event.get("user") == user]
        return events[len(events) - 1 - events[::-1].index("online") :] if "online" in events else []

    def sessions(self) -> dict[str, dict[str, str]]:
        """user -> {address, node, connection} as ejabberd has them."""
        found = {}
        host = next(host for host in self._nodes if self._lab.ssh(host, "true").returncode == 0)
        for line in self._lab.run(host, "ejabberdctl connected_users_info").splitlines():
            fields = line.split("\t")
            found[fields[0].split("@")[0]] = {
                "connection": fields[1],
                "address": fields[2].removeprefix("::ffff:"),
                "node": next(field for field in fields if field.startswith("ejabberd@")).split("@")[1],
            }
        return found
