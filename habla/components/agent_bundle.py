"""The agent as it travels: one file with its sources and the programs that it brings along.

The engine hashes the file and does not keep it in the state. A manifest goes with it on standard input, so a
preview names the modules that change.
"""

from __future__ import annotations

import functools
import hashlib
import io
import json
import os
import shlex
import zipfile
from dataclasses import dataclass
from pathlib import Path

from habla.hosts.watch import Watch
from habla.model.programs import ProgramArchive, package_texts
from habla.model.service import Service
from habla.services import catalog

__all__ = ["AGENT_PATH", "SENT", "Bundle", "agent_bundle", "cached_file", "install_command"]

AGENT_PATH = "/usr/local/lib/habla/agent.pyz"
# Where the file arrives, in the home directory of the user who logs in.
SENT = ".habla-agent.pyz"
_MAIN = "import sys\n\nfrom onhost.agent.cli import main\n\nsys.exit(main())\n"
# Python on the host: the file that was sent is put in place in one step, and only after it has run once.
_INSTALL = """\
import hashlib, json, os, shutil, subprocess, sys
path, sent = sys.argv[1:3]
wanted = json.load(sys.stdin)["sha256"]
def digest(place):
    return hashlib.sha256(open(place, "rb").read()).hexdigest() if os.path.exists(place) else ""
source = next((place for place in (sent, path) if digest(place) == wanted), "")
if not source:
    sys.exit("habla: the agent that was sent to ~/%s is not there any more: send it again with "
             "pulumi up --replace 'URN of the CopyToRemote of this host'" % sent)
new = path + f".{os.getpid()}"
os.makedirs(os.path.dirname(path), 0o755, exist_ok=True)
shutil.copyfile(source, new)
os.chmod(new, 0o644)
subprocess.run([sys.executable, new, "install", path, *sys.argv[3:]], check=True)
os.replace(new, path)
"""
_REFUSE = """\
for tool in python3 systemctl apt-get; do
    command -v $tool >/dev/null || missing="$missing $tool"
done
if [ -n "$missing" ]; then
    echo "habla: a host is a Debian with systemd and Python 3; this one lacks:$missing" >&2
    exit 1
fi
"""


@dataclass(frozen=True)
class Bundle:
    """The agent's file. manifest: its digest, and that of each module, as JSON."""

    content: bytes
    manifest: str

    def path(self) -> Path:
        """Where it is on this machine, for the engine to read."""
        return cached_file(f"agent-{hashlib.sha256(self.content).hexdigest()[:16]}.pyz", self.content)


def cached_file(name: str, content: bytes) -> Path:
    """A file of this machine that the engine reads at its own time: made once, and left there.

    name: has a digest of the content in it.
    """
    directory = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "habla" / "sent"
    path = directory / name
    if not path.is_file() or path.stat().st_size != len(content):
        directory.mkdir(parents=True, exist_ok=True)
        new = path.with_name(f".{name}.{os.getpid()}")
        new.write_bytes(content)
        new.replace(path)
    return path


@functools.cache
def agent_bundle() -> Bundle:
    """The agent with the programs that it brings along: the same bytes on every machine."""
    files = {"__main__.py": _MAIN.encode()}
    for directory, package in (("onhost", "habla.onhost"), ("onhost/agent", "habla.onhost.agent")):
        files |= {f"{directory}/{name}": text.encode() for name, text in package_texts(package).items()}
    modules = {name: content for name, content in files.items() if name.startswith("onhost/")}
    for program in _programs():
        files[f"programs/{program.archive.sha256}.tar"] = program.content
        texts = package_texts(program.package)
        modules |= {f"{program.name}/{name}": text.encode() for name, text in texts.items()}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as bundle:
        for name, content in sorted(files.items()):
            # Without a time and compression, which differ between machines.
            bundle.writestr(zipfile.ZipInfo(name), content)
    found = {name: hashlib.sha256(content).hexdigest()[:12] for name, content in modules.items()}
    manifest = {"sha256": hashlib.sha256(buffer.getvalue()).hexdigest(), "files": found}
    return Bundle(buffer.getvalue(), json.dumps(manifest, sort_keys=True))


def _programs() -> list[ProgramArchive]:
    """The programs of all services, and of the watcher on every host."""
    services: tuple[type[Service], ...] = (*catalog.SERVICES, Watch)
    return [program for service in services for program in service.programs]


def install_command(*options: str) -> str:
    """The command, for root, that installs the agent that was sent, with its manifest on standard input.

    options: of the agent's verb ``install``.
    """
    script = _REFUSE + f'install=$1; shift; exec python3 -c "$install" {AGENT_PATH} {SENT} "$@"'
    return shlex.join(["sh", "-c", script, "sh", _INSTALL, *options])
