"""Pulumi's own download site: the CLI's installer and the Command plugin, each with a bound on the wait."""

from __future__ import annotations

import functools
import os
import shutil
import urllib.error
import urllib.request
from pathlib import Path

from toolchain.setup import versions
from toolchain.setup.cache import entry, is_complete
from toolchain.setup.report import SetupError, run, say

ENTRY = f"pulumi-{versions.PULUMI}-official"
CONNECT_SECONDS = 5.0
DOWNLOAD_SECONDS = 600.0


def installer_address() -> str:
    """The address of the installer. `HABLA_PULUMI_INSTALLER` may name another one, such as a local copy."""
    return os.environ.get("HABLA_PULUMI_INSTALLER", "https://get.pulumi.com/")


@functools.cache
def installer() -> bytes | None:
    """The installer script, or None when the site cannot be reached (said once, with the reason)."""
    address = installer_address()
    try:
        with urllib.request.urlopen(address, timeout=CONNECT_SECONDS) as answer:
            script: bytes = answer.read()
    except (OSError, ValueError) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        say(f"{address} cannot be reached ({reason}); doing without it")
        return None
    if not script.startswith(b"#!"):
        # A captive portal, or a proxy's page that forbids it: never to be run.
        say(f"{address} did not answer with the installer; doing without it")
        return None
    return script


def install_cli(root: Path) -> Path | None:
    """The cache entry with the official CLI, or None when it cannot be had. The caller holds the lock."""
    if is_complete(root / ENTRY):
        return root / ENTRY
    script = installer()
    if script is None:
        return None

    def make(draft: Path) -> None:
        (draft / "install.sh").write_bytes(script)
        # HOME too: the installer looks for an older CLI in it, and might write there.
        environment = {**os.environ, "HOME": str(draft / "home")}
        (draft / "home").mkdir()
        command = ["sh", str(draft / "install.sh"), "--version", versions.PULUMI, "--no-edit-path"]
        run(
            f"download of pulumi {versions.PULUMI}",
            [*command, "--install-root", str(draft / "root")],
            environment=environment,
            timeout=DOWNLOAD_SECONDS,
        )
        for program in (draft / "root" / "bin").iterdir():
            program.rename(draft / program.name)
        shutil.rmtree(draft / "root")
        shutil.rmtree(draft / "home")

    try:
        made = entry(root, ENTRY, make=make)
    except (SetupError, OSError) as error:
        say(f"the official installer failed, building instead: {error}")
        return None
    return made


def install_plugin(pulumi: Path, environment: dict[str, str]) -> bool:
    """Download the Command plugin into the PULUMI_HOME of `environment`. Returns whether that worked."""
    if installer() is None:
        return False
    command = [str(pulumi), "plugin", "install", "resource", "command", versions.COMMAND_PLUGIN]
    try:
        run("download of the Command plugin", command, environment=environment, timeout=DOWNLOAD_SECONDS)
    except SetupError as error:
        say(f"the official Command plugin cannot be downloaded, using the stand-in: {error}")
        return False
    return True
