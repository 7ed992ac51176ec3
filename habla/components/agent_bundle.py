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
from habla.model.programs import ProgramArchive, package_texts, program_texts
from habla.model.service import Service
from habla.onhost.agent.installation import SENT
from habla.onhost.brought import named, text_digest
from habla.onhost.document import HostState, canonical
from habla.onhost.document_text import document_text, headed
from habla.services import catalog

__all__ = [
    "AGENT_PATH",
    "SENT",
    "Bundle",
    "agent_bundle",
    "cached_file",
    "install_command",
    "short_document",
]

AGENT_PATH = "/usr/local/lib/habla/agent.pyz"
_MAIN = "import sys\n\nfrom onhost.agent.cli import main\n\nsys.exit(main())\n"
# The file that was sent installs itself. Without it, the installed one may be the right one already.
_INSTALL = f"""\
a={SENT}; test -e $a || a={AGENT_PATH}
exec python3 $a install --to={AGENT_PATH} "$@\""""


@dataclass(frozen=True)
class Bundle:
    """The agent's file and its digest. manifest: text with the digest, and that of each module."""

    content: bytes
    sha256: str
    manifest: str

    def path(self) -> Path:
        """Where it is on this machine, for the engine to read."""
        return cached_file(f"agent-{self.sha256[:16]}.pyz", self.content)


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
    for name, text in program_texts().items():
        files[f"programs/{text_digest(text)}.txt"] = text.encode()
        modules[f"programs/{name}"] = text.encode()
    for program in _programs():
        files[f"programs/{program.archive.sha256}.tar"] = program.content
        texts = package_texts(program.package)
        modules |= {f"{program.name}/{name}": text.encode() for name, text in texts.items()}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as bundle:
        for name, content in sorted(files.items()):
            # Without a time and compression, which differ between machines.
            bundle.writestr(zipfile.ZipInfo(name), content)
    found = {name: hashlib.sha256(content).hexdigest()[:6] for name, content in modules.items()}
    digest = hashlib.sha256(buffer.getvalue()).hexdigest()
    manifest = headed("agent", {"sha256": digest, "files": dict(sorted(found.items()))})
    return Bundle(buffer.getvalue(), digest, manifest)


def short_document(state: HostState) -> str:
    """The state as a host is handed it: readable in a preview, with the agent's programs named by digest."""
    document = named(state.document(), _brought_digests().__contains__)
    files = sorted(document.get("files", {}).items())
    digests = {path: text_digest(file["text"])[:6] for path, file in files if "text" in file}
    # With sorted keys at any depth, the same settings give the same text on every machine.
    return document_text(json.loads(canonical(document)), digests)


@functools.cache
def _brought_digests() -> frozenset[str]:
    return frozenset(text_digest(text) for text in program_texts().values())


def _programs() -> list[ProgramArchive]:
    """The programs of all services, and of the watcher on every host."""
    services: tuple[type[Service], ...] = (*catalog.SERVICES, Watch)
    return [program for service in services for program in service.programs]


def install_command(*options: str) -> str:
    """The command, for root, that installs the agent that was sent, with its manifest on standard input.

    options: of the agent's verb ``install``.
    """
    return shlex.join(["sh", "-c", _INSTALL, "sh", *options])
