"""The machine's own package sources, used apart from the machine's own package state.

What the lab installs comes from where this machine's apt gets its packages, with its proxies, credentials
and keys; no mirror is named in this project. Lists and archives live in a directory of ours.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from habla.errors import LabError

__all__ = ["Apt", "run", "suite"]

#: Settings of the machine that must not reach us: places, and commands run after each step.
_DROPPED = ("Dir", "APT::Update::", "DPkg::", "APT::Install-Recommends", "APT::Periodic", "quiet")


def run(command: list[str], what: str, env: Mapping[str, str] | None = None, text_input: str = "") -> str:
    """Run a program to its end and return its stdout.

    Raises LabError with what was being done and the last lines the program said.
    """
    done = subprocess.run(
        command,
        input=text_input,
        capture_output=True,
        text=True,
        env={**os.environ, "LC_ALL": "C.UTF-8", **(env or {})},
        check=False,
    )
    if done.returncode != 0:
        last = "\n".join((done.stdout + done.stderr).strip().splitlines()[-12:])
        raise LabError(f"{what} failed: {command[0]} ended with status {done.returncode}\n{last}")
    return done.stdout


@dataclass(frozen=True)
class Apt:
    """apt with its own state in a directory.

    home: directory for configuration, lists and archives.
    status: the dpkg status file of the system to resolve packages for.
    """

    home: Path
    status: Path

    @property
    def environment(self) -> dict[str, str]:
        """What makes apt programs use this configuration."""
        return {"APT_CONFIG": str(self.home / "apt.conf"), "DEBIAN_FRONTEND": "noninteractive"}

    @property
    def archives(self) -> Path:
        """Where downloaded packages arrive."""
        return self.home / "cache" / "archives"

    def prepare(self) -> None:
        """Write the configuration: the machine's, without its directories and hooks."""
        for directory in ("lists/partial", "cache/archives/partial", "state"):
            (self.home / directory).mkdir(parents=True, exist_ok=True)
        kept = [
            line
            for line in run(["apt-config", "dump"], "reading the configuration of apt").splitlines()
            if not line.startswith(_DROPPED)
        ]
        ours = {
            "Dir::State": f"{self.home}/state",
            "Dir::State::lists": f"{self.home}/lists",
            "Dir::State::status": str(self.status),
            "Dir::Cache": f"{self.home}/cache",
            "Dir::Etc": "/etc/apt",
            "Dir::Etc::main": "/dev/null",
            "Dir::Etc::parts": "/dev/null",
            "Dir::Log": f"{self.home}/state",
            "APT::Install-Recommends": "false",
            "APT::Sandbox::User": "root",
            "Debug::NoLocking": "true",
            "Acquire::Retries": "3",
            "quiet": "1",
        }
        kept += [f'{key} "{value}";' for key, value in ours.items()]
        (self.home / "apt.conf").write_text("\n".join(kept) + "\n")

    def transport(self) -> str:
        """How this machine reaches its sources (proxies and the like), as lines of an apt.conf."""
        lines = (self.home / "apt.conf").read_text().splitlines()
        return "".join(f"{line}\n" for line in lines if line.startswith("Acquire::"))

    def get(self, *arguments: str, what: str) -> str:
        """Run apt-get with this configuration; returns stdout, raises LabError."""
        return run(["apt-get", *arguments], what, env=self.environment)

    def sources(self) -> str:
        """The distribution's own sources as lines of a sources.list, after an update.

        Other vendors' sources of the machine are left out: a lab host is a plain system.
        Raises LabError when there is none.
        """
        release = _os_release()
        form = "$(ORIGIN)|$(CODENAME)|$(REPO_URI)|$(RELEASE)|$(COMPONENT)|$(SIGNED_BY)"
        targets = self.get("indextargets", "--format", form, "Created-By: Packages", what="reading sources")
        lines: dict[str, None] = {}
        for target in targets.splitlines():
            origin, codename, uri, suite, component, signed_by = target.split("|")
            if origin.lower() != release["ID"] or not codename.startswith(release["VERSION_CODENAME"]):
                continue
            signed = f"[signed-by={signed_by}] " if signed_by.startswith("/") else ""
            lines[f"deb {signed}{uri} {suite} {component}"] = None
        if not lines:
            raise LabError(
                f"no package source of {release['ID']} {release['VERSION_CODENAME']} is configured for apt\n"
                "  fix: add the distribution's own sources to /etc/apt/sources.list.d"
            )
        return "\n".join(lines) + "\n"


def _os_release() -> dict[str, str]:
    """The machine's /etc/os-release, which must name a release that has a code name."""
    pairs = (line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines() if "=" in line)
    values = {key: value.strip('"') for key, value in pairs}
    if not values.get("VERSION_CODENAME"):
        raise LabError(
            "/etc/os-release names no VERSION_CODENAME; the lab needs a Debian or a relative of it"
        )
    return values


def suite() -> str:
    """The code name of the machine's own release: ``bookworm``."""
    return _os_release()["VERSION_CODENAME"]
