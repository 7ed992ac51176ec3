"""The tools under measurement. Each puts the same files on the same hosts, in a directory of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from pathlib import Path

from benchmarks.fleet import CLONE, Fleet

_SECONDS = 600

_PROGRAM = """\
import json
from pathlib import Path
import pulumi
from habla.components.command import agent_command, host_command
from habla.components.host import ExistingHost, Host, HostArgs
from habla.onhost.document import File, HostState

given = json.loads(Path("given.json").read_text())
files = {
    f"{given['target']}/{path.name}": File(path.read_text())
    for path in sorted(Path(given["source"]).iterdir())
}
key = Path(given["key"]).read_text()
for name, found in given["hosts"].items():
    machine = ExistingHost(
        address="127.0.0.1", host_key=found["host_key"], port=found["port"], private_key=key
    )
    host = Host(name, HostArgs(machine))
    state = HostState(host=name, component="bench", files=files)
    host_command(
        f"{name}-state", host.connection, create=agent_command("apply"), stdin=state.canonical(),
        delete=agent_command("delete", "bench"), opts=pulumi.ResourceOptions(parent=host),
        depends_on=[host.ready],
    )
"""
_INVENTORY = """\
import json
from pathlib import Path
given = json.loads(Path({given!r}).read_text())
hosts = [
    (name, {{
        "ssh_hostname": "127.0.0.1", "ssh_port": found["port"], "ssh_user": "root", "ssh_key": given["key"],
        "ssh_known_hosts_file": given["known"], "ssh_strict_host_key_checking": "yes",
    }})
    for name, found in given["hosts"].items()
]
"""
_DEPLOY = """\
import json
from pathlib import Path
from pyinfra.operations import files
given = json.loads(Path({given!r}).read_text())
for path in sorted(Path(given["source"]).iterdir()):
    files.put(
        name=path.name, src=str(path), dest=given["target"] + "/" + path.name,
        user="root", group="root", mode="644",
    )
"""


class Tool:
    """One tool. target: the directory on the hosts. Only ``apply`` is timed."""

    name = ""

    def __init__(self, fleet: Fleet, source: Path) -> None:
        self.fleet = fleet
        self.source = source
        self.target = f"/opt/{self.name}"
        self.directory = fleet.directory / self.name
        self.directory.mkdir(exist_ok=True)
        given = {
            "hosts": fleet.hosts,
            "key": str(fleet.key),
            "known": str(fleet.known),
            "source": str(source),
            "target": self.target,
        }
        (self.directory / "given.json").write_text(json.dumps(given))

    def clean(self) -> None:
        """Make the hosts as if the tool had never been there; not timed."""
        self.fleet.everywhere(f"rm -rf {self.target}")

    def apply(self) -> None:
        """Put the files there. Raises RuntimeError with the tool's words."""
        raise NotImplementedError

    def _call(self, *command: str, environment: dict[str, str] | None = None) -> str:
        done = subprocess.run(
            command,
            cwd=self.directory,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}:\n{done.stdout[-3000:]}")
        return done.stdout


class Habla(Tool):
    """``pulumi up`` with the installed engine and Command plugin: per host the agent, then its state."""

    name = "habla"

    def __init__(self, fleet: Fleet, source: Path) -> None:
        super().__init__(fleet, source)
        (self.directory / "__main__.py").write_text(_PROGRAM)
        (self.directory / "Pulumi.yaml").write_text("name: bench\nruntime: python\n")
        backend = self.directory / "backend"
        if not backend.exists():
            backend.mkdir()
            self._pulumi("stack", "init", "bench")

    def clean(self) -> None:
        """Destroying also removes the agent, so that a cold run installs it."""
        self._pulumi("destroy", "--yes", "--skip-preview", "--stack", "bench")

    def apply(self) -> None:
        """Without the preview that a person would look at first."""
        self._pulumi("up", "--yes", "--skip-preview", "--stack", "bench")

    def _pulumi(self, *words: str) -> None:
        environment = {
            "PULUMI_BACKEND_URL": f"file://{self.directory / 'backend'}",
            "PULUMI_CONFIG_PASSPHRASE": "bench",
        }
        self._call(str(CLONE / ".toolchain/bin/pulumi"), "--non-interactive", *words, environment=environment)


class HablaChecked(Tool):
    """The agents of all hosts look at every file, asked at once over plain SSH; for runs without a change."""

    name = "habla"

    def apply(self) -> None:
        """No engine takes part: this is what a check for hand edits costs."""
        from habla.components.command import agent_command
        from habla.onhost.document import File, HostState

        files = {f"{self.target}/{path.name}": File(path.read_text()) for path in self.source.iterdir()}
        document = HostState(host="any", component="bench", files=files).canonical()
        self.fleet.everywhere(agent_command("diff"), document)


class Pyinfra(Tool):
    """pyinfra with one ``files.put`` a file, all hosts at once, in an environment of its own."""

    name = "pyinfra"

    def __init__(self, fleet: Fleet, source: Path) -> None:
        super().__init__(fleet, source)
        given = str(self.directory / "given.json")
        (self.directory / "inventory.py").write_text(_INVENTORY.format(given=given))
        (self.directory / "deploy.py").write_text(_DEPLOY.format(given=given))
        self._program = _pyinfra()

    def apply(self) -> None:
        """Without its own preview and question."""
        self._call(str(self._program), "--yes", "inventory.py", "deploy.py")


def _pyinfra() -> Path:
    """Its program, installed under the cache on first use."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "habla" / "bench"
    program = cache / "venv" / "bin" / "pyinfra"
    requirements = CLONE / "requirements" / "bench.txt"
    stamp = cache / "requirements.txt"
    if not program.exists() or not stamp.exists() or stamp.read_bytes() != requirements.read_bytes():
        print("installing pyinfra into", cache / "venv", file=sys.stderr)
        venv.create(cache / "venv", clear=True, with_pip=True)
        pip = [str(cache / "venv" / "bin" / "python"), "-m", "pip", "install", "--quiet", "--require-hashes"]
        subprocess.run([*pip, "--requirement", str(requirements)], check=True)
        stamp.write_bytes(requirements.read_bytes())
    return program
