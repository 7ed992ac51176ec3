"""The browser's libraries: files out of npm packages, pinned in requirements/npm.json, without Node.

The packages come from the registry that npm is configured to use on this machine. The pinned hash decides
whether a download is good, so it does not matter which mirror answers.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile
import urllib.request
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from toolchain.setup.cache import digest_of, entry
from toolchain.setup.report import SetupError, say

PINS = Path("requirements") / "npm.json"
TARGET = Path("examples") / "apps" / "vendor"
"""Where the files go, relative to the clone: git ignores it, and the archive of the web app includes it."""

DEFAULT_REGISTRY = "https://registry.npmjs.org"
DOWNLOAD_SECONDS = 60.0
MAX_BYTES = 32 * 1024 * 1024
_SYSTEM_SETTINGS = ("/etc/npmrc", "/usr/etc/npmrc", "/usr/local/etc/npmrc")


@dataclass(frozen=True)
class Package:
    """A pinned package. integrity: as npm writes it. files: path in the package -> name of the file here."""

    name: str
    version: str
    integrity: str
    files: dict[str, str]

    def address(self, registry: str) -> str:
        """The address of the tarball."""
        return f"{registry.rstrip('/')}/{self.name}/-/{self.name.split('/')[-1]}-{self.version}.tgz"


def pinned(clone: Path) -> list[Package]:
    """The packages of requirements/npm.json."""
    document: dict[str, Any] = json.loads((clone / PINS).read_text())
    return [Package(name, **pin) for name, pin in document.items()]


def provide(clone: Path, root: Path) -> None:
    """Put the pinned files into the clone. root: the cache; the caller holds its lock.

    Raises SetupError when a package cannot be downloaded or is not the pinned one.
    """
    wanted: dict[str, Path] = {}
    for package in pinned(clone):
        name = f"{package.name.replace('/', '+')}-{package.version}-{digest_of(repr(package))[:12]}"
        kept = entry(root, name, make=partial(_unpack, package))
        wanted |= {file: kept / file for file in package.files.values()}
    target = clone / TARGET
    target.mkdir(exist_ok=True)
    for leftover in target.iterdir():
        if leftover.name not in wanted:
            leftover.unlink()
    for name, source in wanted.items():
        _copy(source, target / name)


def is_provided(clone: Path) -> bool:
    """Whether the files are there. Their content is the last run's, of the same requirements/npm.json."""
    names = {name for package in pinned(clone) for name in package.files.values()}
    return all((clone / TARGET / name).is_file() for name in names)


def registry() -> str:
    """The base address that npm uses on this machine: its own answer, else its settings without npm."""
    for name, value in os.environ.items():
        if name.lower() == "npm_config_registry" and value:
            return value
    npm = shutil.which("npm")
    if npm is not None:
        try:
            done = subprocess.run(
                [npm, "config", "get", "registry"], capture_output=True, text=True, timeout=30, check=True
            )
        except (OSError, subprocess.SubprocessError):
            pass
        else:
            if done.stdout.startswith("http"):
                return done.stdout.strip()
    for path in (Path.home() / ".npmrc", *map(Path, _SYSTEM_SETTINGS)):
        found = _setting(path)
        if found:
            return found
    return DEFAULT_REGISTRY


def _setting(path: Path) -> str:
    """The registry of an npmrc file, or nothing. Only that line is looked at."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return ""
    values = [
        line.partition("=")[2].strip() for line in lines if line.partition("=")[0].strip() == "registry"
    ]
    return values[-1] if values else ""


def _unpack(package: Package, draft: Path) -> None:
    content = _download(package)
    try:
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as tar:
            for path, name in package.files.items():
                member = tar.extractfile(f"package/{path}")
                if member is None:
                    raise KeyError(path)
                (draft / name).write_bytes(member.read())
    except (tarfile.TarError, KeyError) as error:
        raise SetupError(
            f"{package.name} {package.version} has no file {error}; correct `files` in {PINS}"
        ) from error


def _download(package: Package) -> bytes:
    address = package.address(registry())
    say(f"downloading {package.name} {package.version}")
    try:
        with urllib.request.urlopen(address, timeout=DOWNLOAD_SECONDS) as answer:
            content: bytes = answer.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        raise SetupError(
            f"{address} cannot be downloaded ({error}); set npm's registry to one that this machine reaches:"
            " npm_config_registry=URL make toolchain"
        ) from error
    _check(package, content)
    return content


def _check(package: Package, content: bytes) -> None:
    algorithm, _, wanted = package.integrity.partition("-")
    try:
        digest = base64.b64decode(wanted, validate=True)
    except binascii.Error as error:
        raise SetupError(f"the integrity of {package.name} in {PINS} is not base64: {wanted}") from error
    if algorithm != "sha512" or hashlib.sha512(content).digest() != digest:
        found = base64.b64encode(hashlib.sha512(content).digest()).decode()
        raise SetupError(
            f"{package.name} {package.version} from the registry is not the pinned package:"
            f" its hash is sha512-{found}, and {PINS} has {package.integrity}; try another registry"
        )


def _copy(source: Path, target: Path) -> None:
    """Only when it differs: a program's archive is not to look changed. In one step for other readers."""
    content = source.read_bytes()
    if target.exists() and target.read_bytes() == content:
        return
    draft = target.with_name(f".{target.name}.new")
    draft.write_bytes(content)
    draft.rename(target)
