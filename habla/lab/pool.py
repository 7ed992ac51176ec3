"""The package pool: an apt repository with exactly the packages that the hosts of a lab may install.

Hosts have no network connection to a mirror. Pools are cached by package set and base image. The directory of
a lab gets hard links to the files, so that the packages at /srv/repo can change while the hosts run.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import time
from collections.abc import Iterable
from pathlib import Path

from habla.errors import LabError
from habla.lab import apt
from habla.lab.image import image_directory, image_release
from habla.lab.paths import cache_directory, locked
from habla.lab.progress import say

__all__ = ["ensure_pool", "publish"]

_PACKAGE_NAME = re.compile(r"[a-z0-9][a-z0-9.+-]+")


def ensure_pool(packages: Iterable[str], image: str) -> Path:
    """Fetch the packages and their dependencies that the image lacks. Returns the directory of the pool.

    Raises LabError if a name is not a package name, no source has a package, the packages cannot be installed
    together, or a download fails.
    """
    names = sorted(set(packages))
    wrong = [name for name in names if not _PACKAGE_NAME.fullmatch(name)]
    if wrong:
        raise LabError(f"this is not the name of a Debian package: {', '.join(map(repr, wrong))}")
    digest = hashlib.sha256(" ".join([image, "1", *names]).encode()).hexdigest()[:12]
    target = cache_directory() / "pools" / digest
    if target.is_dir():
        return target
    with locked(cache_directory() / "locks" / "pool.lock"):
        if target.is_dir():
            return target
        say(f"fetching {len(names)} packages and their dependencies")
        begin = time.monotonic()
        building = target.with_name(f".building-{digest}")
        shutil.rmtree(building, ignore_errors=True)
        try:
            count = _fill(building, names, image=image)
            (building / "pool").rename(target)
        finally:
            shutil.rmtree(building, ignore_errors=True)
        say(f"package pool of {count} packages made in {time.monotonic() - begin:.0f} s")
    return target


def _fill(building: Path, names: list[str], *, image: str) -> int:
    home = building / "apt"
    home.mkdir(parents=True)
    source = apt.Apt(home, image_directory(image) / "var/lib/dpkg/status", image_release(image))
    pool = building / "pool"
    pool.mkdir()
    if names:
        source.update()
        source.get("install", "--yes", "--download-only", *names, what="fetching packages")
        for package in source.archives.glob("*.deb"):
            package.rename(pool / package.name)
    # Hosts see the repository under another path, so the names in the index are relative.
    index = apt.run(
        ["sh", "-c", 'cd "$1" && exec dpkg-scanpackages --multiversion .', "sh", str(pool)],
        "indexing the package pool",
    )
    (pool / "Packages").write_text(index)
    return len(list(pool.glob("*.deb")))


def publish(pool: Path, target: Path) -> None:
    """Copy the pool to target. Meanwhile a reader finds every package that the index lists."""
    target.mkdir(parents=True, exist_ok=True)
    wanted = {path.name for path in pool.glob("*.deb")}
    for name in sorted(wanted):
        if not (target / name).exists():
            try:
                os.link(pool / name, target / name)
            except OSError:  # another file system
                shutil.copyfile(pool / name, target / f".{name}.new")
                (target / f".{name}.new").rename(target / name)
    index = target / "Packages"
    content = (pool / "Packages").read_bytes()
    if not index.exists() or index.read_bytes() != content:
        (target / ".Packages.new").write_bytes(content)
        (target / ".Packages.new").rename(index)
    for path in target.glob("*.deb"):
        if path.name not in wanted:
            path.unlink()
