"""Programs of this package that run on hosts: as plain text, or as archives that travel with the agent."""

from __future__ import annotations

import functools
import hashlib
import io
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources

from habla.onhost.document import Archive

__all__ = [
    "END_OF_ONESHOT",
    "ProgramArchive",
    "daemon_unit",
    "launcher",
    "package_texts",
    "program_text",
    "program_texts",
]


@dataclass(frozen=True)
class ProgramArchive:
    """A package of programs. package: in this library. name: under which hosts import it."""

    package: str
    name: str

    @functools.cached_property
    def content(self) -> bytes:
        """A tar archive of the package, the same bytes on every machine."""
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
            for name, text in package_texts(self.package).items():
                member = tarfile.TarInfo(f"{self.name}/{name}")
                member.size = len(text.encode())
                tar.addfile(member, io.BytesIO(text.encode()))
        return buffer.getvalue()

    @functools.cached_property
    def archive(self) -> Archive:
        """The archive by digest, as a host's state names it."""
        return Archive(hashlib.sha256(self.content).hexdigest())


def launcher(title: str, modules: str, *, main: str, cache: str) -> str:
    """The text of a program that runs the function ``main`` of the module ``main`` in an archive.

    modules: where the archive is unpacked. cache: a name below /run, for the modules that Python compiles.
    """
    return f"""\
#!/usr/bin/python3
# {title}. What Python compiles of its modules goes where only root may write.
import sys

sys.pycache_prefix = "/run/{cache}/pycache"
sys.path.insert(0, "{modules}")
from {main} import main

sys.exit(main())
"""


#: For units of Type=oneshot that a timer starts. A restart or a shutdown ends a run by SIGTERM, which systemd
#: takes for a failure in this type alone. A run that takes too long still fails.
END_OF_ONESHOT = "SuccessExitStatus=SIGTERM\n"


def daemon_unit(description: str, command: str, *, rights: tuple[str, ...] = ("DynamicUser=yes",)) -> str:
    """The unit of a small daemon of ours that keeps nothing: under a user of its own, and without rights.

    rights: lines in place of that user, for a daemon that must be root.
    """
    own = "\n".join(rights)
    return f"""\
[Unit]
Description={description}

[Service]
ExecStart={command}
{own}
Restart=always
RestartSec=1
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes

[Install]
WantedBy=multi-user.target
"""


def program_texts() -> Mapping[str, str]:
    """File name -> source, of all programs that are one module each."""
    texts = package_texts("habla.onhost.programs")
    return {name: text for name, text in texts.items() if name != "__init__.py"}


def program_text(module: str) -> str:
    """The source of a program that is one module."""
    return program_texts()[f"{module}.py"]


@functools.cache
def package_texts(package: str) -> Mapping[str, str]:
    """File name -> source, of all modules of a package, by name."""
    found = {item.name: item for item in resources.files(package).iterdir() if item.name.endswith(".py")}
    return {name: item.read_text("utf-8") for name, item in sorted(found.items())}
