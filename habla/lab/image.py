"""The base image: a small Debian for the hosts of all labs, made once and cached.

The image is the read-only lower layer of each host's overlay file system. A host with a partition for ``/``
gets a copy of the same image as an ext4 file system.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from pathlib import Path

from habla.errors import LabError
from habla.lab import apt
from habla.lab.paths import cache_directory, locked
from habla.lab.progress import say

__all__ = [
    "BASE_PACKAGES",
    "MKFS",
    "OPERATOR",
    "ensure_base",
    "ensure_root",
    "image_directory",
    "image_key",
    "image_release",
    "root_image",
]

BASE_PACKAGES = (
    "ca-certificates",
    # The docs and operators use curl, less, strace, tcpdump and vim-tiny.
    "curl",
    "dbus",
    "iproute2",
    "less",
    "logrotate",
    "openssh-server",
    "python3",
    "rsync",
    "strace",
    "sudo",
    "systemd",
    "systemd-sysv",
    "tcpdump",
    "vim-tiny",
)
#: A user without rights except that it may run everything with ``sudo -n``.
OPERATOR = "operator"
#: Raise it when _customise changes, so that new hosts get a new image. Existing hosts keep their image.
_CONTENT = "3"

#: The command that makes a file system for a partition. With a seed for checksums, a copy gets a new UUID at
#: once. The journal is small because nothing waits for it. No blocks are reserved for root, so that df, SNMP
#: and a program that fills the disk see the same size.
MKFS = (
    *("mkfs.ext4", "-q", "-F", "-b", "4096", "-i", "16384", "-m", "0", "-O", "metadata_csum_seed"),
    *("-J", "size=4", "-E", "lazy_itable_init=1,lazy_journal_init=1,root_owner=0:0"),
)
#: MiB in addition to the files of the image, for inode tables and the journal.
_ROOT_SLACK = 48

#: Units that are useless in a lab host, or that would wait for something that it does not have.
_MASKED = (
    "console-getty.service",
    "getty.target",
    "systemd-resolved.service",
    "systemd-timesyncd.service",
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "e2scrub_all.timer",
    "fstrim.timer",
    "dpkg-db-backup.timer",
)


def image_key(release: str) -> str:
    """The name of the image for a release. It changes with the packages and the content version."""
    text = " ".join([release, os.uname().machine, _CONTENT, *BASE_PACKAGES])
    return f"{release}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def image_directory(key: str) -> Path:
    """The directory of the image with that key, which need not exist."""
    return cache_directory() / "images" / key


def image_release(key: str) -> str:
    """The release of the image with that key, such as ``bookworm``."""
    return key.rpartition("-")[0]


def ensure_base(release: str) -> str:
    """Make the base image of a release if it is missing, and return its key. Several processes may call it.

    Raises LabError.
    """
    key = image_key(release)
    target = image_directory(key)
    if target.is_dir():
        return key
    with locked(cache_directory() / "locks" / "image.lock"):
        if target.is_dir():
            return key
        say(f"making the base image {key} (about a minute, once)")
        begin = time.monotonic()
        building = target.with_name(f".building-{key}")
        shutil.rmtree(building, ignore_errors=True)
        building.mkdir(parents=True)
        try:
            _bootstrap(release, building)
            _customise(building / "root")
            (building / "root").rename(target)
        finally:
            shutil.rmtree(building, ignore_errors=True)
        say(f"base image made in {time.monotonic() - begin:.0f} s")
    return key


def root_image(key: str) -> Path:
    """The sparse file with the image of that key as a small ext4 file system. It need not exist."""
    return image_directory(key).with_name(f"{key}.ext4")


def ensure_root(key: str) -> None:
    """Make the ext4 form of the image with that key if it is missing. Several processes may call it at once.

    Raises LabError if the image itself is gone.
    """
    target, source = root_image(key), image_directory(key)
    if target.is_file():
        return
    with locked(cache_directory() / "locks" / "image.lock"):
        if target.is_file():
            return
        if not source.is_dir():
            raise LabError(f"the base image {key} is missing from the cache ({source})\n  fix:  lab-create")
        say(f"making an ext4 file system of the base image {key} (seconds, once)")
        used = int(apt.run(["du", "-sm", str(source)], "measuring the base image").split()[0])
        building = target.with_name(f".building-{key}.ext4")
        building.unlink(missing_ok=True)
        try:
            with building.open("wb") as stream:
                stream.truncate((used * 6 // 5 + _ROOT_SLACK) * 2**20)
            apt.run([*MKFS, "-d", str(source), str(building)], "making an ext4 file system")
            building.rename(target)
        finally:
            building.unlink(missing_ok=True)


def _bootstrap(release: str, building: Path) -> None:
    home = building / "apt"
    home.mkdir()
    status = home / "status"
    status.touch()
    source = apt.Apt(home, status, release)
    source.update()
    (building / "sources.list").write_text(source.sources())
    (building / "transport.conf").write_text(source.transport())
    # In its own namespaces, so that its mounts and processes end with it if it is killed.
    apt.run(
        [
            *(
                "unshare",
                "--mount",
                "--pid",
                "--fork",
                "--mount-proc",
                "--kill-child",
                "--propagation",
                "slave",
            ),
            *("mmdebstrap", "--quiet", "--mode=root", "--variant=minbase", "--skip=output/dev"),
            f"--aptopt={building / 'transport.conf'}",
            f"--include={','.join(BASE_PACKAGES)}",
            *(release, str(building / "root"), str(building / "sources.list")),
        ],
        "making the base image",
    )


def _customise(root: Path) -> None:
    """Turn a fresh system into the base image, without any file that belongs to a single host."""
    for name in ("etc/hostname", "etc/resolv.conf", "etc/apt/apt.conf.d/99mmdebstrap"):
        (root / name).unlink(missing_ok=True)
    # Hosts must not see the mirrors of this machine or their credentials.
    secret = (
        "etc/apt/auth.conf",
        "etc/apt/auth.conf.d/*",
        "etc/apt/sources.list.d/*",
        "usr/sbin/policy-rc.d",
    )
    for pattern in (*secret, "etc/ssh/ssh_host_*", "var/cache/apt/archives/*.deb"):
        for path in root.glob(pattern):
            path.unlink()
    (root / "etc/machine-id").write_text("")
    # Installers write it, and pam_env of Debian 13 complains at every login where it is missing.
    (root / "etc/default/locale").write_text("LANG=C.UTF-8\n")
    (root / "etc/apt/sources.list").write_text("deb [trusted=yes] file:/srv/repo ./\n")
    (root / "etc/apt/apt.conf.d/90lab").write_text('APT::Install-Recommends "false";\n')
    (root / "srv/repo").mkdir(exist_ok=True)
    for unit in _MASKED:
        path = root / "etc/systemd/system" / unit
        path.unlink(missing_ok=True)
        path.symlink_to("/dev/null")
    in_image = ["chroot", str(root)]
    apt.run([*in_image, "systemctl", "enable", "systemd-networkd.service", "ssh.service"], "enabling units")
    # It would wait two minutes on a host where networkd has no interface to manage (yet).
    apt.run([*in_image, "systemctl", "disable", "systemd-networkd-wait-online.service"], "disabling a unit")
    # Debian reserves uid 37 and the name "operator" for a group and user of its own base system.
    users = (root / "etc/passwd").read_text()
    if f"\n{OPERATOR}:" not in users:
        groups = (root / "etc/group").read_text()
        same_group = ["--gid", OPERATOR] if f"\n{OPERATOR}:" in groups else ["--user-group"]
        apt.run(
            [*in_image, "useradd", "--create-home", "--shell", "/bin/bash", *same_group, OPERATOR],
            "making the user operator",
        )
    sudoers = root / "etc/sudoers.d/lab"
    sudoers.write_text(f"{OPERATOR} ALL=(ALL:ALL) NOPASSWD: ALL\n")
    sudoers.chmod(0o440)
    if not (root / "usr/sbin/sshd").exists():
        raise LabError("the base image has no sshd; this is a bug of the lab")
