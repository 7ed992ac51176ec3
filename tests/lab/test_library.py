"""The program of examples/library, on two hosts that were there before it: Pulumi makes no machine here."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hosts import REPOSITORY, Lab, wait_for

PULUMI = REPOSITORY / ".toolchain" / "bin" / "pulumi"
EXAMPLE = REPOSITORY / "examples" / "library"
PACKAGES = ["beanstalkd", "ejabberd", "haproxy", "rsyslog", "iproute2", "logrotate", "memcached", "openssl"]
COOKIE = "abcdefghijklmnop"
pytestmark = pytest.mark.lab


def private_key(lab: Lab) -> str:
    """The key that lets into the lab's hosts."""
    return (lab.directory / "keys" / "id_ed25519").read_text()


class Program:
    """The example in a directory of its own, with a throw-away backend."""

    def __init__(self, directory: Path, environment: dict[str, str]) -> None:
        self.directory = directory
        shutil.copytree(EXAMPLE, directory, ignore=shutil.ignore_patterns("__pycache__", "test_*"))
        self._environment = environment

    def __call__(self, *arguments: str) -> str:
        done = subprocess.run(
            [str(PULUMI), "--non-interactive", *arguments],
            cwd=self.directory,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=600,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Two machines reached over SSH: the stable one as ``operator``, who has to sudo."""
    lab = Lab(tmp_path_factory.mktemp("library") / "lab")
    try:
        lab.create(*PACKAGES)
        lab.together(
            {"name": "front1", "outside_address": "203.0.113.10", "forwards": {"c2s": 5222}},
            {"name": "stable1", "outside_address": None, "forwards": {}, "user": "operator"},
        )
        yield lab
    finally:
        lab.ask("lab-delete")


@pytest.fixture(scope="module")
def program(machines: Lab, tmp_path_factory: pytest.TempPathFactory) -> Program:
    """The example, configured for the two machines and deployed."""
    if not PULUMI.exists():
        pytest.skip("no pulumi CLI: make toolchain")
    root = tmp_path_factory.mktemp("program")
    (root / "state").mkdir()
    program = Program(
        root / "chat",
        {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": str(root),
            "PULUMI_BACKEND_URL": f"file://{root / 'state'}",
            "PULUMI_CONFIG_PASSPHRASE": "test",
        },
    )
    program("stack", "init", "test")
    for name, host in (("front", "front1"), ("stable", "stable1")):
        made = machines.hosts[host]
        program("config", "set", f"{name}-address", made["address"])
        program("config", "set", f"{name}-port", str(made["port"]))
        program("config", "set", f"{name}-user", made["user"])
        program("config", "set", f"{name}-host-key", made["host_key"])
    program("config", "set", "outside-address", "203.0.113.10")
    program("config", "set", "--secret", "cookie", COOKIE)
    program("config", "set", "--secret", "private-key", "--", private_key(machines))
    program("up", "--yes", "--skip-preview")
    return program


def test_clients_outside_reach_jabber_through_the_front_machine(program: Program, machines: Lab) -> None:
    """The example's balancer, Jabber node and network work together on machines it did not make."""
    opening = (
        "<stream:stream to='hab.la' xmlns='jabber:client'"
        " xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>"
    )
    script = (
        "import socket\n"
        "link = socket.create_connection(('203.0.113.10', 5222), 5)\n"
        f"link.sendall({opening!r}.encode())\n"
        "answer = b''\n"
        "while b'</stream:features>' not in answer and (chunk := link.recv(4096)):\n"
        "    answer += chunk\n"
        "print(answer.decode())\n"
    )

    def features() -> str:
        answer = machines.outside("python3", "-c", script).stdout
        return answer if "</stream:features>" in answer else ""

    assert "from='hab.la'" in wait_for(features, 30, "the features of the stream")


def test_what_the_program_left_out_is_not_there(program: Program, machines: Lab) -> None:
    """memcached and memqd run on the front machine; MySQL, left out, does not."""
    state = "systemctl is-active memcached beanstalkd mariadb || true"
    assert machines.run("front1", state).split() == ["active", "active", "inactive"]


def test_every_log_on_the_machines_has_a_rule_by_size(program: Program, machines: Lab) -> None:
    """The watch of the library's user knows the nodes that it was given."""
    for host in ("front1", "stable1"):
        # Fails where it finds one without.
        found = json.loads(machines.run(host, "sudo -n /usr/local/lib/habla/watch --logs"))
        assert found["host"] == host and found["covered"]


def test_no_secret_is_in_the_state_in_the_clear(program: Program, machines: Lab) -> None:
    """Neither the cookie nor the private key, which did reach the host and the connection."""
    assert machines.run("stable1", "sudo -n cat /var/lib/ejabberd/.erlang.cookie") == COOKIE
    state = (program.directory.parent / "state").rglob("*")
    text = "".join(path.read_text("utf-8") for path in state if path.is_file())
    assert "stable1-secrets" in text
    assert COOKIE not in text
    assert private_key(machines).splitlines()[1] not in text


def test_a_second_up_changes_nothing(program: Program) -> None:
    """The example is deployed once and stays as it is."""
    output = program("up", "--yes", "--skip-preview")
    assert "unchanged" in output
    assert "created" not in output and "updated" not in output


def test_destroy_takes_everything_of_habla_off_the_machines(program: Program, machines: Lab) -> None:
    """The machines are as they were: their own config files, no unit of ours, packages and data kept."""
    program("destroy", "--yes", "--skip-preview")
    left = machines.run("front1", "ls /etc/haproxy; ls /etc/systemd/system; ls -d /var/lib/habla || true")
    assert "www.cfg" not in left
    assert "haproxy@.service" not in left
    assert "habla-internal.service" not in left
    assert "/var/lib/habla" not in left
    assert "habla-watch" not in left
    assert "192.168.2" not in machines.run("front1", "cat /etc/hosts /etc/memcached.conf; ip rule")
    # networkd takes a moment to let go of the address.
    wait_for(lambda: "192.168.2" not in machines.run("front1", "ip -4 address"), what="the address to go")
    assert machines.run("front1", "test -d /var/lib/beanstalkd && echo kept") == "kept"
