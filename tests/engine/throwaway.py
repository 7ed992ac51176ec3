"""A Pulumi project, backend and PULUMI_HOME that exist for one test, driven by the real engine."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CLONE = Path(__file__).parents[2]
STAMP = CLONE / ".toolchain" / "stamp.json"
PLUGIN = "resource-command-v1.2.1"

SECRET = "4dabf18193072939515e22adb298388d"
"""The key that marks a secret in a state."""

_SECONDS = 120


def remote_command(arguments: str, connection: str = "connection()", name: str = "c") -> str:
    """The source of one remote.Command, for a program of a stack that has `connection`."""
    return f"c = remote.Command({name!r}, connection={connection}, {arguments})\n"


def command_plugin() -> Path | None:
    """The official plugin that HABLA_COMMAND_PLUGIN names, or None for the one that is installed."""
    named = os.environ.get("HABLA_COMMAND_PLUGIN")
    return Path(named) if named else None


def is_stand_in() -> bool:
    """Whether the plugin under test is the stand-in."""
    if command_plugin() is not None:
        return False
    return bool(json.loads(STAMP.read_text())["command_plugin"] == "stand-in")


@dataclass
class Result:
    """How a run of the CLI ended; `output` has what it printed, standard error included."""

    ok: bool
    output: str


class Stack:
    """A stack named `test`. Each run gets the whole program, so that a test reads as a sequence of them."""

    def __init__(self, directory: Path, prelude: str = "") -> None:
        self.directory = directory
        self._prelude = "import json, pulumi\nfrom pulumi_command import local, remote\n" + prelude
        programs = Path(json.loads(STAMP.read_text())["programs"][0]).parent
        home = directory / "home"
        (directory / "state").mkdir()
        (directory / "Pulumi.yaml").write_text("name: test\nruntime: python\n")
        plugin = home / "plugins" / PLUGIN
        given = command_plugin()
        if given is None:
            shutil.copytree(CLONE / ".toolchain" / "pulumi-home" / "plugins" / PLUGIN, plugin)
        else:
            plugin.mkdir(parents=True)
            shutil.copy(given, plugin / "pulumi-resource-command")
        self.environment = {
            name: value
            for name, value in os.environ.items()
            if name != "SSH_AUTH_SOCK" and "PULUMI" not in name
        } | {
            "PATH": f"{CLONE / '.venv' / 'bin'}:{programs}:{os.environ['PATH']}",
            "PULUMI_HOME": str(home),
            "PULUMI_BACKEND_URL": f"file://{directory / 'state'}",
            "PULUMI_CONFIG_PASSPHRASE": "test",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        }
        assert self.cli("stack", "init", "test").ok

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start the CLI with the program of the last run; the caller waits for it."""
        return subprocess.Popen(
            ["pulumi", "--non-interactive", *arguments],
            cwd=self.directory,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            # Its own group, so that a test can interrupt it and not itself.
            process_group=0,
        )

    def cli(self, *arguments: str) -> Result:
        """Run the CLI to its end."""
        process = self.start(*arguments)
        try:
            output, _ = process.communicate(timeout=_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            output, _ = process.communicate()
            raise AssertionError(f"pulumi {arguments} was not done after {_SECONDS} s:\n{output}") from None
        return Result(process.returncode == 0, output)

    def program(self, source: str) -> None:
        """Make `source` the program of the next run."""
        (self.directory / "__main__.py").write_text(self._prelude + source)

    def up(self, source: str) -> Result:
        """`pulumi up` with this program, without a preview before it."""
        self.program(source)
        return self.cli("up", "--yes", "--skip-preview", "--stack", "test")

    def preview(self, source: str, *arguments: str) -> Result:
        """`pulumi preview` with this program."""
        self.program(source)
        return self.cli("preview", "--stack", "test", *arguments)

    def destroy(self) -> Result:
        """`pulumi destroy`."""
        return self.cli("destroy", "--yes", "--skip-preview", "--stack", "test")

    def state(self, name: str) -> dict[str, Any] | None:
        """A resource as the state has it, secrets encrypted; None when it is not there."""
        # The backend's own file: a second run of the CLI takes a second, and there are many.
        stored = json.loads((self.directory / "state/.pulumi/stacks/test/test.json").read_text())
        resources = stored["checkpoint"]["latest"].get("resources") or []
        found = [resource for resource in resources if resource["urn"].endswith(f"::{name}")]
        return found[0] if found else None

    def output(self, name: str, key: str) -> Any:
        """One output of a resource."""
        resource = self.state(name)
        assert resource is not None, f"there is no resource {name}"
        return resource["outputs"].get(key)
