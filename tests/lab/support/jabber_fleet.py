"""The smallest fleet with a Jabber cluster: one front host and two stable hosts with little else."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from clients import Jabber, Program
from fleet import STABLE
from hosts import SUPPORT, Lab, wait_for

from habla.plan import make_plan
from habla.plan.archive_files import ArchiveFiles
from habla.settings.loading import load_settings
from stacks import Stack, Up

SECRETS = {"jabber/cookie": "COOKIECOOKIECOOKIE"}
HABLA = "import sys; from habla.cli import main; sys.exit(main())"
DOMAIN = "hab.la"
OUTSIDE = "203.0.113.10"


def jabber_settings() -> dict[str, Any]:
    """A stack of three hosts."""
    return {
        "load_balancer": {"dialect": "2.x"},
        "partitions": {"/": {"size": "4G"}, "/var/log": {"size": "1G"}},
        # Something that stays on the stable hosts when Jabber goes, so that their component stays too.
        "apps": {
            "page": {
                "roles": ["stable"],
                "command": ["/bin/sh", "-c", "exec python3 -m http.server $HABLA_PORT --bind $HABLA_ADDRESS"],
                "port": 8000,
            }
        },
        "hosts": {
            "front1": {"role": "front", "services": ["haproxy"], "outside_address": OUTSIDE},
            **{name: {"role": "stable", "services": ["page", "jabber"]} for name in STABLE},
        },
    }


@dataclass
class JabberFleet(Stack):
    """Three machines, each named as its host. The accounts all have the password ``secret``."""

    def turn(self, *, on: bool) -> Up:
        """Deploy with Jabber on both stable hosts, or without it."""
        for name in STABLE:
            self.settings["hosts"][name]["services"] = ["page", *(["jabber"] if on else [])]
        return self.up()

    def ctl(self, host: str, words: str) -> list[str]:
        """The lines that ``ejabberdctl WORDS`` prints on a host; it must succeed."""
        return self.lab.run(host, f"ejabberdctl {words}").splitlines()

    def register(self, host: str, *users: str) -> None:
        """Make accounts on a node."""
        for user in users:
            self.ctl(host, f"register {user} {DOMAIN} secret")

    def accounts(self, host: str) -> set[str]:
        """The accounts that a node has."""
        return set(self.ctl(host, f"registered_users {DOMAIN}"))

    def is_whole(self) -> bool:
        """Whether both nodes serve, each with the other one."""
        wanted = {f"ejabberd@{name}" for name in STABLE}
        return all(
            set(self.lab.ssh(name, "ejabberdctl list_cluster").stdout.split()) == wanted for name in STABLE
        )

    def healed(self) -> None:
        """Wait until both nodes are one cluster and the programs have nothing left to do."""
        wait_for(self.is_whole, 90, "one cluster of both nodes")
        marks = "test ! -e /var/lib/ejabberd/.habla-merge && test ! -e /var/lib/ejabberd/.habla-forced"
        for name in STABLE:
            wait_for(lambda name=name: self.lab.ssh(name, marks).returncode == 0, 60, f"no mark on {name}")

    def habla(self, *words: str) -> subprocess.CompletedProcess[str]:
        """The ``habla`` command on this stack, whose settings are written into a file for it."""
        config = {f"habla:{name}": value for name, value in self._raw().items()}
        (self.directory / "stacks" / "Pulumi.test.yaml").write_text(yaml.safe_dump({"config": config}))
        identity = str(self.lab.directory / "keys/id_ed25519")
        command = [
            sys.executable,
            "-c",
            HABLA,
            "-C",
            str(self.directory),
            *words,
            "-s",
            "test",
            "-i",
            identity,
        ]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    def said(self, host: str) -> str:
        """Everything that the cluster's programs have said on a host."""
        return self.lab.run(
            host, "journalctl -o cat --no-pager -u habla-jabber-cluster -u ejabberd | grep -v proxied"
        )

    @contextlib.contextmanager
    def clients(self) -> Iterator[Jabber]:
        """XMPP clients outside; they end with the block."""
        lab = [sys.executable, "-m", "habla.lab", "outside", "--dir", str(self.lab.directory), "--"]
        program = Program(*lab, sys.executable, str(SUPPORT / "xmpp.py"))
        try:
            yield Jabber(self.lab, program, STABLE)
        finally:
            program.end()


def make_jabber_fleet(root: Path) -> JabberFleet:
    """The machines and a stack of them, which is not deployed yet. The caller deletes the lab."""
    lab = Lab(root / "lab")
    settings = jabber_settings()
    raw = {**settings, "lab": {}, "secrets": dict.fromkeys(SECRETS)}
    plan = make_plan(load_settings("lab", raw), {}, read_archive=ArchiveFiles(root).archive)
    lab.create(*sorted({package for host in plan.hosts.values() for package in host.packages}))
    lab.together(
        *(
            {
                "name": host,
                "outside_address": OUTSIDE if host == "front1" else None,
                "forwards": {},
                "partitions": {mount: part["size"] for mount, part in settings["partitions"].items()},
            }
            for host in settings["hosts"]
        )
    )
    names = {host: host for host in settings["hosts"]}
    return JabberFleet(root / "project", lab, settings, names, secrets=SECRETS)


@contextlib.contextmanager
def jabber_fleet(root: Path) -> Iterator[JabberFleet]:
    """A fleet that is deployed. The lab ends with the block."""
    try:
        fleet = make_jabber_fleet(root)
        done = fleet.up()
        assert done.ok, done.output
        yield fleet
    finally:
        Lab(root / "lab").ask("lab-delete")
