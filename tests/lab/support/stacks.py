"""Stacks of machines that a lab has made and that Pulumi reaches by SSH, as a user's own machines."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hosts import REPOSITORY, Lab

from habla.plan import FleetPlan, make_plan
from habla.plan.archive_files import ArchiveFiles
from habla.plan.stack_files import read_data, read_held
from habla.settings.loading import load_settings

PULUMI = REPOSITORY / ".toolchain" / "bin" / "pulumi"
PROGRAM = """\
import json
from pathlib import Path

import pulumi

from habla.components.fleet import deploy_fleet
from habla.plan import make_plan
from habla.plan.archive_files import ArchiveFiles
from habla.plan.stack_files import read_data, read_held, write_data, write_held
from habla.settings.loading import load_settings

given, root, stack = json.loads(Path("given.json").read_text()), Path(), pulumi.get_stack()
settings = load_settings(stack, given["settings"])
held, data = read_held(root, stack), read_data(root, stack)
plan = make_plan(settings, held, read_archive=ArchiveFiles(root).archive, data=data)
write_held(root, stack, addresses=plan.addresses.hosts)
write_data(root, stack, places=plan.data)
secrets = {name: pulumi.Output.secret(value) for name, value in given["secrets"].items()}
deploy_fleet(plan, secrets, root=root)
"""


@dataclass(frozen=True)
class Up:
    """How a run of the CLI ended."""

    ok: bool
    output: str

    @property
    def unchanged(self) -> bool:
        """Whether it changed nothing."""
        lines = self.output.splitlines()
        return self.ok and not any(
            word in line for line in lines for word in (" created", " updated", " deleted")
        )

    @property
    def diagnostics(self) -> str:
        """The part that the CLI prints last, and a person reads first."""
        return self.output[self.output.index("Diagnostics:") :]


def run_pulumi(
    directory: Path, words: Sequence[str], *, environment: Mapping[str, str] | None = None, seconds: int = 300
) -> Up:
    """``pulumi`` in a program's directory: its state is in ``state`` there, and no SSH agent is inherited."""
    inherited = {name: value for name, value in os.environ.items() if name != "SSH_AUTH_SOCK"}
    done = subprocess.run(
        [str(PULUMI), "--non-interactive", *words],
        cwd=directory,
        env={
            **inherited,
            "PULUMI_BACKEND_URL": f"file://{directory / 'state'}",
            "PULUMI_CONFIG_PASSPHRASE": "test",
            **(environment or {}),
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=seconds,
        check=False,
    )
    return Up(done.returncode == 0, done.stdout)


@dataclass
class Stack:
    """A stack. settings: as a stack file has them, without ``habla:``. machines: host name -> lab host.

    secrets: name -> value, besides the key that the lab's hosts let in.
    users: host name -> the user who logs in, of those where it is not root.
    """

    directory: Path
    lab: Lab
    settings: dict[str, Any] = field(default_factory=dict)
    machines: dict[str, str] = field(default_factory=dict)
    program: str = PROGRAM
    secrets: dict[str, str] = field(default_factory=dict)
    users: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        (self.directory / "state").mkdir(parents=True)
        (self.directory / "stacks").mkdir()
        (self.directory / "Pulumi.yaml").write_text("name: test\nruntime: python\n")
        assert self.cli("stack", "init", "test").ok

    def plan(self) -> FleetPlan:
        """The plan of the settings as they are now."""
        root = self.directory
        settings = load_settings("test", self._raw())
        held, data = read_held(root, "test"), read_data(root, "test")
        return make_plan(settings, held, read_archive=ArchiveFiles(root).archive, data=data)

    def up(self, *options: str) -> Up:
        """``pulumi up``, without --continue-on-error."""
        return self.cli("up", "--yes", "--skip-preview", "--stack", "test", *options)

    def destroy(self) -> Up:
        """``pulumi destroy``."""
        return self.cli("destroy", "--yes", "--skip-preview", "--stack", "test")

    def commands(self) -> dict[str, str]:
        """Name -> URN, of all commands in the state."""
        exported = json.loads(self.cli("stack", "export", "--stack", "test").output)
        urns = (item["urn"] for item in exported["deployment"].get("resources", ()))
        return {urn.rsplit("::", 1)[1]: urn for urn in urns if "command:remote:Command" in urn}

    def cli(self, *words: str) -> Up:
        """Run the CLI with the program and the settings as they are now."""
        (self.directory / "__main__.py").write_text(self.program)
        key = (self.lab.directory / "keys/id_ed25519").read_text()
        (self.directory / "given.json").write_text(
            json.dumps({"settings": self._raw(), "secrets": {**self.secrets, "ssh/key": key}})
        )
        return run_pulumi(self.directory, words)

    def components(self, machine: str) -> dict[str, Any]:
        """Component -> the document that the agent of a machine has applied last."""
        script = (
            "import json, pathlib\n"
            "places = pathlib.Path('/var/lib/habla/components').glob('*.json')\n"
            "print(json.dumps({path.stem: json.loads(path.read_text())['document'] for path in places}))\n"
        )
        found: dict[str, Any] = json.loads(self.lab.run(machine, f'python3 -c "{script}"'))
        return found

    def as_planned(self) -> bool:
        """Whether every machine has the documents of its host in the plan, and no others."""
        plan = self.plan()
        return all(
            self.components(machine)
            == {component: state.document() for component, state in plan.hosts[host].states.items()}
            for host, machine in self.machines.items()
        )

    def _raw(self) -> Mapping[str, Any]:
        hosts = {}
        for name, machine in self.machines.items():
            made = self.lab.hosts[machine]
            ssh = {"address": "127.0.0.1", "port": made["port"], "host_key": made["host_key"]}
            if name in self.users:
                ssh["user"] = self.users[name]
            hosts[name] = {"ssh": ssh, **self.settings.get("hosts", {}).get(name, {})}
        secrets = dict.fromkeys([*self.secrets, "ssh/key"])
        return {**self.settings, "hosts": hosts, "ssh": {"private_key": "ssh/key"}, "secrets": secrets}
