"""The files and directories of a lab, and the locks that let two users of one lab wait for each other."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from habla.errors import LabError

__all__ = ["HOST_NAME", "LabPaths", "cache_directory", "locked"]

#: A host name: a DNS label in lower case that begins with a letter.
HOST_NAME = re.compile(r"[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?")


def cache_directory() -> Path:
    """The lab's part of the user's cache directory: base images, package pools, locks."""
    root = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(root) / "habla" / "lab"


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on the file during the block. It also ends if the process is killed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


@dataclass(frozen=True)
class LabPaths:
    """The paths of one lab. root: the lab's directory, absolute and without symbolic links."""

    root: Path

    @classmethod
    def of(cls, directory: str | Path) -> LabPaths:
        """The lab in a directory, which need not exist."""
        return cls(Path(directory).resolve())

    @property
    def identity(self) -> str:
        """A short name of the lab that is unique on this machine. It is the name of the lab's cgroup."""
        return "habla-" + hashlib.sha256(os.fsencode(self.root)).hexdigest()[:12]

    @property
    def lock(self) -> Path:
        """The lock for changes of the whole lab. It is not in the lab, because lab-delete removes that."""
        return cache_directory() / "locks" / f"{self.identity}.lock"

    @property
    def supervisor_lock(self) -> Path:
        """The lock that the supervisor holds as long as it runs."""
        return cache_directory() / "locks" / f"{self.identity}.supervisor"

    @property
    def config(self) -> Path:
        """The networks, packages and base image, as JSON."""
        return self.root / "lab.json"

    @property
    def keys(self) -> Path:
        """The lab's client key pair."""
        return self.root / "keys"

    @property
    def pools(self) -> Path:
        """The package repositories, one for each release."""
        return self.root / "pool"

    def pool(self, release: str) -> Path:
        """The package repository that every host of a release sees at /srv/repo."""
        return self.pools / release

    @property
    def log(self) -> Path:
        """The log of the supervisor."""
        return self.root / "supervisor.log"

    @property
    def socket(self) -> Path:
        """The supervisor's control socket."""
        return self.root / "control"

    @property
    def hosts(self) -> Path:
        """The directory with one directory per host."""
        return self.root / "hosts"

    @property
    def trash(self) -> Path:
        """The files of deleted hosts, which are removed in the background."""
        return self.root / "trash"

    def host(self, name: str) -> Path:
        """The directory of one host. Raises LabError if the name is not a valid host name."""
        if not HOST_NAME.fullmatch(name):
            raise LabError(
                f"{name!r} is not a host name; rule: up to 63 lower-case letters, digits and hyphens, "
                "with a letter first and no hyphen last"
            )
        return self.hosts / name
