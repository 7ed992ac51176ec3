"""The requirements of a lab on its machine, all checked at once.

This module uses the standard library only, so it runs before anything is installed.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from habla.errors import LabError
from habla.lab import cgroups, namespaces

__all__ = ["APT_PACKAGES", "PROGRAMS", "check", "missing", "missing_packages"]

#: Program -> the Debian package that has it.
PROGRAMS = {
    "apt-get": "apt",
    "dpkg-scanpackages": "dpkg-dev",
    "ip": "iproute2",
    "mkfs.ext4": "e2fsprogs",
    "mmdebstrap": "mmdebstrap",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "systemd-nspawn": "systemd-container",
    "unshare": "util-linux",
}
#: The Debian packages to install on the machine.
APT_PACKAGES = tuple(sorted(set(PROGRAMS.values()) - {"apt", "util-linux"}))


def missing_packages() -> list[str]:
    """The Debian packages whose programs are not on PATH, sorted."""
    return sorted({package for program, package in PROGRAMS.items() if shutil.which(program) is None})


def _try_namespaces() -> str:
    """Try, in a child process, each kind of namespace and mount that the supervisor will make."""
    namespaces.unshare(namespaces.CLONE_NEWNS | namespaces.CLONE_NEWNET | namespaces.CLONE_NEWPID)
    namespaces.mount("none", "/", flags=namespaces.MS_REC | namespaces.MS_PRIVATE)
    faults = []
    try:
        cgroups.mount_unified()
        if "cgroup2" not in Path("/proc/filesystems").read_text():
            faults.append("cgroup version 2 (kernel option CONFIG_CGROUPS)")
    except OSError as error:
        faults.append(f"cgroup version 2 ({error})")
    try:
        namespaces.mount("tmpfs", "/run", kind="tmpfs")
        for name in ("lower", "upper", "work", "merged"):
            Path("/run", name).mkdir()
        namespaces.mount(
            "overlay",
            "/run/merged",
            kind="overlay",
            options="lowerdir=/run/lower,upperdir=/run/upper,workdir=/run/work",
        )
    except OSError as error:
        faults.append(f"overlay file systems ({error})")
    return "\n".join(faults)


def missing() -> list[str]:
    """The requirements that this machine does not meet, one line each. Empty if it can run a lab."""
    if sys.platform != "linux":
        return [f"Linux (this is {sys.platform})"]
    faults = []
    release = tuple(int(part) for part in os.uname().release.split("-")[0].split(".")[:2])
    if release < (5, 14):
        faults.append(f"a kernel of 5.14 or later (this is {os.uname().release})")
    absent = sorted(program for program in PROGRAMS if shutil.which(program) is None)
    if absent:
        packages = " ".join(missing_packages())
        faults.append(f"programs: {', '.join(absent)} (apt-get install {packages})")
    if os.geteuid() != 0:
        faults.append("root: the lab makes namespaces, mounts and network bridges (run it with sudo)")
    else:
        try:
            faults += namespaces.in_child(_try_namespaces).splitlines()
        except RuntimeError as error:
            faults.append(f"permission to make namespaces and mounts ({error})")
    return faults


def check() -> None:
    """Raise one LabError that lists every missing requirement, if there are any."""
    faults = missing()
    if faults:
        lines = "\n".join(f"  - {fault}" for fault in faults)
        raise LabError(f"this machine cannot run a lab; missing:\n{lines}")
