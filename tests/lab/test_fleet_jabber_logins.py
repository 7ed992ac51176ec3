"""Every way to log in, data in MySQL, and a component, on one deployment of the lab's fleet."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from typing import Any

import pytest
from clients import FRONT
from fleet import STABLE, Fleet
from hosts import SUPPORT

pytestmark = pytest.mark.lab

_KEY = b"0123456789abcdef0123456789abcdef"
# The app that ejabberd asks: ``ada`` with the password ``asked``.
_APP = """
import json, os
from http.server import BaseHTTPRequestHandler, HTTPServer
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        known = asked["user"] == "ada" and asked["domain"] == "asked.example"
        right = known and asked.get("password", "asked") == "asked"
        self.send_response(200 if right else 403); self.end_headers()
HTTPServer((os.environ["HABLA_ADDRESS"], int(os.environ["HABLA_PORT"])), Handler).serve_forever()
"""
# A program that ejabberd starts: ``ada`` with a password that has every separator in it.
_PROGRAM = """
import struct, sys
while len(head := sys.stdin.buffer.read(2)) == 2:
    verb, user, domain, *password = sys.stdin.buffer.read(struct.unpack(">H", head)[0]).decode().split(":", 3)
    right = user == "ada" and (verb == "isuser" or password == ["a:b c'd"])
    sys.stdout.buffer.write(struct.pack(">HH", 2, int(right)))
    sys.stdout.buffer.flush()
"""
# A component's handshake (XEP-0114); prints the answer.
_COMPONENT = """
import hashlib, re, socket, sys
host, port, name, secret = sys.argv[1:]
try:
    s = socket.create_connection((host, int(port)), 5)
    s.settimeout(5)
    s.sendall(("<stream:stream xmlns='jabber:component:accept' "
               "xmlns:stream='http://etherx.jabber.org/streams' to='%s'>" % name).encode())
    head = s.recv(4096).decode()
    number = re.search(r"id=['\\"]([^'\\"]*)", head).group(1)
    s.sendall(("<handshake>%s</handshake>" % hashlib.sha1((number + secret).encode()).hexdigest()).encode())
    print(s.recv(4096).decode())
except (OSError, AttributeError) as error:
    print("refused", error)
"""
CHANGES: dict[str, Any] = {
    "services.jabber.domains": {
        "hab.la": {},
        "accounts.example": {"auth": "sql"},
        "tokens.example": {"auth": "jwt", "key": "jabber/tokens"},
        "asked.example": {"auth": "http", "app": "login", "path": "/login"},
        "program.example": {
            "auth": "external",
            "program": {"command": ["/usr/bin/python3", "{app}/check.py"], "archive": {"path": "check"}},
        },
        "visitors.hab.la": {"auth": "anonymous"},
    },
    "services.jabber.storage": "mysql",
    "services.jabber.components": {"gateway.hab.la": {"app": "login"}},
    "apps.login": {
        "roles": ["web"],
        "command": ["/usr/bin/python3", "{app}/login.py"],
        "archive": {"path": "login"},
        "port": 8003,
        "health": {"path": "/"},
        "environment": {"COMPONENT": "${jabber.component}", "SECRET": "${jabber.component_secret}"},
    },
    "secrets.jabber/tokens": json.dumps(
        {"kty": "oct", "k": base64.urlsafe_b64encode(_KEY).rstrip(b"=").decode(), "alg": "HS256"}
    ),
}


def token(jid: str, lasts: float = 600) -> str:
    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    text = f"{part({'alg': 'HS256', 'typ': 'JWT'})}.{part({'jid': jid, 'exp': int(time.time() + lasts)})}"
    signed = hmac.new(_KEY, text.encode(), hashlib.sha256).digest()
    return f"{text}.{base64.urlsafe_b64encode(signed).rstrip(b'=').decode()}"


@pytest.fixture(scope="module")
def everything(fleet: Fleet) -> Iterator[Fleet]:
    """The fleet with all of that."""
    for name, text in (("login/login.py", _APP), ("check/check.py", _PROGRAM)):
        path = fleet.project / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(textwrap.dedent(text))
    moved = {"start_empty": ["jabber"]}
    try:
        output = fleet.refused(CHANGES)
        assert "the data there is of domain hab.la, not of domain hab.la in MySQL" in output
        fleet.up({**CHANGES, **moved})
        fleet.ssh(STABLE[0], "ejabberdctl register ada accounts.example secret")
        yield fleet
    finally:
        fleet.up(moved)
        fleet.up()
        # The log of an app that is gone stays, and no rule is there for it any more.
        fleet.ssh("web1", "rm -rf /var/log/habla-login")


def log_in(fleet: Fleet, *accounts: tuple[str, str]) -> list[str | None]:
    """How each login ended, in its order; None where it worked."""
    lab = [sys.executable, "-m", "habla.lab", "outside", "--dir", str(fleet.lab.directory), "--"]
    done = subprocess.run(
        [*lab, sys.executable, str(SUPPORT / "jabber_login.py"), FRONT],
        input=json.dumps(accounts),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: list[str | None] = json.loads(done.stdout)
    return found


def test_each_domain_lets_in_those_whom_its_own_way_knows(everything: Fleet) -> None:
    """And nobody with another password, another token, or an old one."""
    right = [
        ("ada@accounts.example", "secret"),
        ("ada@tokens.example", token("ada@tokens.example")),
        ("ada@asked.example", "asked"),
        ("ada@program.example", "a:b c'd"),
        ("visitors.hab.la", ""),
    ]
    assert log_in(everything, *right) == [None] * len(right)
    wrong = [
        ("ada@accounts.example", "other"),
        ("ada@tokens.example", token("bob@tokens.example")),
        ("ada@tokens.example", token("ada@tokens.example", lasts=-60)),
        ("ada@asked.example", "other"),
        ("bob@asked.example", "asked"),
        ("ada@program.example", "a:b c'e"),
        ("rpc@api.internal", "guess"),
    ]
    assert None not in log_in(everything, *wrong)


def test_messages_are_in_mysql_once_the_settings_say_so(everything: Fleet) -> None:
    """In a database of their own, with an account that sees nothing else."""
    log_in(everything, ("ada@accounts.example", "secret"))
    rows = everything.ssh(
        "front1", "mariadb -BN jabber -e \"SELECT txt FROM archive WHERE server_host = 'accounts.example'\""
    )
    assert "kept for ada@accounts.example" in rows
    login = "mariadb --defaults-extra-file=/etc/ejabberd/schema.cnf -BN -e 'SHOW DATABASES'"
    seen = set(everything.ssh(STABLE[0], login).split())
    assert seen == {"information_schema", "jabber"}


def test_a_component_connects_from_the_hosts_of_its_app_only(everything: Fleet) -> None:
    """With the secret that habla made for it."""
    environment = everything.ssh("web1", "cat /etc/habla/apps/login.env")
    values = dict(line.split("=", 1) for line in environment.splitlines())
    host, port = values["COMPONENT"].split(",")[0].split(":")
    secret = values["SECRET"].strip('"')
    assert len(secret) == 64

    def connect(on: str, with_secret: str) -> str:
        return everything.ssh(
            on, f"python3 - {host} {port} gateway.hab.la {with_secret} <<'PROGRAM'\n{_COMPONENT}\nPROGRAM"
        )

    assert connect("web1", secret) == "<handshake/>"
    assert "not-authorized" in connect("web1", "0" * 64)
    assert connect("front1", secret).startswith("refused")
    assert not everything.reach(f"{FRONT}:{port}", f"192.168.2.100:{port}")
