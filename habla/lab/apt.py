"""The package sources of this machine, used without its package state.

The lab installs packages from the sources of this machine's apt, with its proxies, credentials and keys. So
this project names no mirror. Lists and archives are in a directory of the lab.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from habla.errors import LabError
from habla.model.releases import RELEASES

__all__ = ["Apt", "checked_release", "run", "suite"]

#: Settings of the machine that the lab must not take over: directories, and commands that run after each
#: step.
_DROPPED = ("Dir", "APT::Update::", "DPkg::", "APT::Install-Recommends", "APT::Periodic", "quiet")


def run(command: list[str], what: str, *, env: Mapping[str, str] | None = None) -> str:
    """Run a program to its end and return its stdout.

    what: the purpose of the program, for the error message. Raises LabError with it and the last lines of the
    output if the program fails.
    """
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
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
    """apt with its own state in a directory."""

    home: Path
    """The directory for configuration, lists and archives."""
    status: Path
    """The dpkg status file of the system that packages are chosen for."""
    release: str = ""
    """The code name of the release whose packages these are, such as ``trixie``. "" is the machine's own."""

    @property
    def environment(self) -> dict[str, str]:
        """The variables that make apt programs use this configuration."""
        return {"APT_CONFIG": str(self.home / "apt.conf"), "DEBIAN_FRONTEND": "noninteractive"}

    @property
    def archives(self) -> Path:
        """The directory of downloaded packages."""
        return self.home / "cache" / "archives"

    def prepare(self) -> None:
        """Write the configuration: that of the machine without its directories and hooks."""
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

    def update(self) -> None:
        """Write the configuration and fetch the package lists of the release. Raises LabError.

        Another release than the machine's has the same sources with its code name in them. A mirror of Debian
        has all releases, and Debian signs them with keys that its older releases know.
        """
        self.prepare()
        self.get("update", what="fetching the package lists")
        if self.release in ("", suite()):
            return
        path = self.home / "sources.list"
        path.write_text(self.sources())
        with (self.home / "apt.conf").open("a") as config:
            config.write(f'Dir::Etc::sourcelist "{path}";\nDir::Etc::sourceparts "/dev/null";\n')
        self.get("update", what=f"fetching the package lists of {self.release}")

    def transport(self) -> str:
        """The settings for access to the sources, such as proxies, as lines of an apt.conf."""
        lines = (self.home / "apt.conf").read_text().splitlines()
        return "".join(f"{line}\n" for line in lines if line.startswith("Acquire::"))

    def get(self, *arguments: str, what: str) -> str:
        """Run apt-get with this configuration and return its stdout. Raises LabError if it fails."""
        return run(["apt-get", *arguments], what, env=self.environment)

    def sources(self) -> str:
        """The distribution's own sources of the release as lines of a sources.list. Run ``update`` before.

        Sources of other vendors are left out, because a lab host is a plain system. Raises LabError if there
        is no source.
        """
        release = _os_release()
        own = release["VERSION_CODENAME"]
        wanted = self.release or own
        form = "$(ORIGIN)|$(CODENAME)|$(REPO_URI)|$(RELEASE)|$(COMPONENT)|$(SIGNED_BY)"
        targets = self.get("indextargets", "--format", form, "Created-By: Packages", what="reading sources")
        lines: dict[str, None] = {}
        for target in targets.splitlines():
            origin, codename, uri, suite, component, signed_by = target.split("|")
            if origin.lower() != release["ID"] or not codename.startswith((own, wanted)):
                continue
            if wanted != own:
                # The suite may be an alias, such as stable, but the code name tells the releases apart.
                suite = codename.replace(own, wanted)
            signed = f"[signed-by={signed_by}] " if signed_by.startswith("/") else ""
            lines[f"deb {signed}{uri} {suite} {component}"] = None
        if not lines:
            raise LabError(
                f"apt has no package source of {release['ID']} {own}\n"
                "  fix: add the distribution's own sources to /etc/apt/sources.list.d"
            )
        return "\n".join(lines) + "\n"


def _os_release() -> dict[str, str]:
    """The values in /etc/os-release. Raises LabError if the release has no code name."""
    pairs = (line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines() if "=" in line)
    values = {key: value.strip('"') for key, value in pairs}
    if not values.get("VERSION_CODENAME"):
        raise LabError(
            "/etc/os-release has no VERSION_CODENAME; the lab needs Debian or a system that is based on it"
        )
    return values


def suite() -> str:
    """The code name of the machine's release, such as ``bookworm``."""
    return _os_release()["VERSION_CODENAME"]


def checked_release(release: str) -> str:
    """The release itself. Raises LabError unless habla is tested with it or the machine runs it."""
    known = sorted({*RELEASES, suite()})
    if release not in known:
        raise LabError(f"release {release!r} is not one of {', '.join(known)}")
    return release
