"""The newest HAProxy that Debian has, fetched into the user's cache. Nothing is installed on this machine."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from habla.errors import LabError
from habla.lab.apt import Apt, run, suite
from habla.lab.paths import cache_directory, locked
from habla.lab.progress import say

__all__ = ["SUITES", "Haproxy", "newest_haproxy"]

#: The suites of Debian that get new versions of HAProxy. The package lists say which of them has the newest.
SUITES = ("sid", "experimental")
_DAY = 24 * 3600
#: A list that cannot be fetched is an error, not a warning, and the lists of the other suites stay.
_LISTS = ("-oAcquire::Languages=none", "-oAPT::Get::List-Cleanup=0", "-oAPT::Update::Error-Mode=any")
_SCRIPT = """\
#!/bin/sh
here=$(dirname "$0")
exec "$here/lib/{loader}" --library-path "$here/lib" "$here/haproxy-itself" "$@"
"""


@dataclass(frozen=True)
class Haproxy:
    """A HAProxy of Debian that runs without being installed."""

    version: str
    """The version of its package."""
    program: Path
    """A script that calls it with the libraries of its suite."""


def newest_haproxy(suites: tuple[str, ...] = SUITES) -> Haproxy:
    """The newest HAProxy of these suites. Several processes may ask for it at once.

    The package lists are fetched once a day, and the packages once for each version. The calling test is
    skipped on a machine whose package sources have none of the suites. Raises LabError if a download fails.
    """
    cache = cache_directory() / "haproxy" / "-".join(suites)
    # It has the version, and it is as old as the answer of the package lists.
    asked = cache / "version"
    with locked(cache.with_suffix(".lock")):
        if asked.is_file() and time.time() - asked.stat().st_mtime < _DAY:
            cached = Haproxy(asked.read_text(), _program(cache / asked.read_text()))
            if cached.program.is_file():
                return cached
        version = _fetched(cache, suites)
        asked.write_text(version)
    return Haproxy(version, _program(cache / version))


def _program(directory: Path) -> Path:
    return directory / "haproxy"


def _fetched(cache: Path, suites: tuple[str, ...]) -> str:
    """Ask the package lists for the newest version, fetch it unless the cache has it, and return it."""
    if not shutil.which("apt-get"):
        pytest.skip("no newest HAProxy to ask: this machine has no apt")
    building = cache / ".building"
    shutil.rmtree(building, ignore_errors=True)
    (building / "apt").mkdir(parents=True)
    try:
        # An empty status: apt then fetches all libraries, and takes none of this machine for granted.
        (building / "status").touch()
        apt = Apt(building / "apt", building / "status")
        _update(apt, suites)
        # apt keeps the versions of a package sorted, with the newest first.
        question = ["apt-cache", "madison", "haproxy"]
        lines = run(question, "asking for versions of HAProxy", env=apt.environment).splitlines()
        if not lines:
            pytest.skip(f"no newest HAProxy to ask: no package source answers for {' or '.join(suites)}")
        version = lines[0].split("|")[1].strip()
        if not _program(cache / version).is_file():
            whole = _unpack(apt, version, building=building)
            for old in cache.glob("[0-9]*"):
                shutil.rmtree(old)
            whole.rename(cache / version)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return version


def _update(apt: Apt, suites: Sequence[str]) -> None:
    """Fetch the package lists of the suites. A suite that no source has is left out.

    The sources are those of this machine's release with the suite in the place of its name. A mirror of
    Debian has all suites, and Debian signs them with keys that the releases before them know.
    """
    found: list[str] = []
    try:
        apt.update()
        own = [line for line in apt.sources().splitlines() if f" {suite()} " in line]
    except LabError as error:
        own = []
        say(str(error))
    for name in suites if own else ():
        lines = [line.replace(f" {suite()} ", f" {name} ") for line in own]
        _use(apt, lines)
        try:
            apt.get(*_LISTS, "update", what=f"fetching the package lists of {name}")
        except LabError as error:
            say(str(error))
        else:
            found += lines
    _use(apt, found)


def _use(apt: Apt, lines: Sequence[str]) -> None:
    """Make apt know these package sources and no others."""
    apt.prepare()
    path = apt.home / "sources.list"
    path.write_text("".join(f"{line}\n" for line in lines))
    with (apt.home / "apt.conf").open("a") as config:
        config.write(f'Dir::Etc::sourcelist "{path}";\nDir::Etc::sourceparts "/dev/null";\n')


def _unpack(apt: Apt, version: str, *, building: Path) -> Path:
    """Fetch a version of HAProxy with its libraries. Returns a directory that has them and the program."""
    say(f"fetching HAProxy {version}")
    # By its version: by its suite, apt would also take libraries of that suite which cannot be installed.
    apt.get("install", "--yes", "--download-only", f"haproxy={version}", what=f"fetching HAProxy {version}")
    root = building / "root"
    for package in apt.archives.glob("*.deb"):
        run(["dpkg-deb", "--extract", str(package), str(root)], f"unpacking {package.name}")
    # The loader is among the libraries, and the name of both depends on the processor.
    (loader,) = root.glob("usr/lib/*-linux-*/ld-linux*.so.*")
    whole = building / "program"
    whole.mkdir()
    loader.parent.rename(whole / "lib")
    (root / "usr/sbin/haproxy").rename(whole / "haproxy-itself")
    script = _program(whole)
    script.write_text(_SCRIPT.format(loader=loader.name))
    script.chmod(0o755)
    return whole
