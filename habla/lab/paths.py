"""Where a lab keeps its things, and the locks that make two users of one lab wait for each other."""

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

#: What a host may be called: a DNS label.
HOST_NAME = re.compile(r"[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?")


def cache_directory() -> Path:
    """The lab's part of the user's cache directory: base images, package pools, locks."""
    root = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(root) / "habla" / "lab"


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on the file for the block; it ends with the process, however that ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


@dataclass(frozen=True)
class LabPaths:
    """The places of one lab; root is the lab's directory, absolute and without symbolic links."""

    root: Path

    @classmethod
    def of(cls, directory: str | Path) -> LabPaths:
        """The lab in a directory, which need not exist."""
        return cls(Path(directory).resolve())

    @property
    def identity(self) -> str:
        """A short name that no other directory on this machine has; names the lab's cgroup."""
        return "habla-" + hashlib.sha256(os.fsencode(self.root)).hexdigest()[:12]

    @property
    def lock(self) -> Path:
        """Held while the lab as a whole changes. Not in the lab, which lab-delete removes."""
        return cache_directory() / "locks" / f"{self.identity}.lock"

    @property
    def supervisor_lock(self) -> Path:
        """Held by the supervisor as long as it lives."""
        return cache_directory() / "locks" / f"{self.identity}.supervisor"

    @property
    def config(self) -> Path:
        """JSON: networks, packages, base image."""
        return self.root / "lab.json"

    @property
    def keys(self) -> Path:
        """The lab's client key pair."""
        return self.root / "keys"

    @property
    def pool(self) -> Path:
        """The package repository that every host sees at /srv/repo."""
        return self.root / "pool"

    @property
    def log(self) -> Path:
        """What the supervisor has to say."""
        return self.root / "supervisor.log"

    @property
    def socket(self) -> Path:
        """The supervisor's control socket."""
        return self.root / "control"

    @property
    def hosts(self) -> Path:
        """One directory per host."""
        return self.root / "hosts"

    @property
    def trash(self) -> Path:
        """Deleted hosts' files on their way out, which may take a while."""
        return self.root / "trash"

    def host(self, name: str) -> Path:
        """The directory of one host. Raises LabError for a name that is not a DNS label."""
        if not HOST_NAME.fullmatch(name):
            raise LabError(
                f"{name!r} is no host name; rule: a DNS label in lower case (letters, digits, hyphens)"
            )
        return self.hosts / name
