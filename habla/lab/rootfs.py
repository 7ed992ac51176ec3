"""The files that the lab adds to a host's file system.

Some files belong to the host, such as its name and /etc/hosts, and are written only once. Others belong to
the lab, such as its network and SSH access. These are written at each boot, so that changes of the lab reach
the host.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from habla.lab.image import OPERATOR
from habla.lab.lab_network import host_address
from habla.lab.records import HostRecord, LabConfig

__all__ = ["furnish"]

_SSHD = """\
# Only the management network leads to SSH: nothing the fleet's users can reach.
ListenAddress {address}
HostKey /etc/ssh/ssh_host_ed25519_key
PasswordAuthentication no
PermitRootLogin prohibit-password
UseDNS no
MaxStartups 100:30:200
MaxSessions 100
"""

_NETWORK = """\
# Addressed by the lab before boot, as by a provider's network. Not for networkd: on some kernels it fails on
# addresses that are there already.
[Match]
Name=management0 outside0

[Link]
Unmanaged=yes
"""


def _write(path: Path, text: str, *, mode: int = 0o644, owner: tuple[int, int] = (0, 0)) -> None:
    """Replace a file by rename. A symbolic link at its place is replaced and not followed."""
    if not path.parent.is_dir():
        path.parent.mkdir(parents=True)
    new = path.with_name(f".{path.name}.lab-new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(text)
    new.chmod(mode)
    os.chown(new, *owner)
    new.rename(path)


def _user(root: Path, name: str) -> tuple[int, int]:
    for line in (root / "etc/passwd").read_text().splitlines():
        fields = line.split(":")
        if fields[0] == name:
            return int(fields[2]), int(fields[3])
    return 0, 0


def furnish(root: Path, directory: Path, *, record: HostRecord, config: LabConfig, public_key: str) -> None:
    """Write the files of a host.

    root: the mounted file system. directory: the host's directory in the lab, which has its SSH host key.
    public_key: the public key that may log in as root and as operator.
    """
    if not record.prepared:
        _write(root / "etc/hostname", f"{record.name}\n")
        _write(root / "etc/hosts", f"127.0.0.1 localhost\n127.0.1.1 {record.name}\n::1 localhost\n")
        _write(root / "etc/machine-id", f"{record.machine_id}\n", mode=0o444)
    _write(root / "etc/systemd/network/10-lab.network", _NETWORK)
    address = host_address(config, record.index)
    _write(root / "etc/ssh/sshd_config.d/10-lab.conf", _SSHD.format(address=address))
    for suffix, mode in (("", 0o600), (".pub", 0o644)):
        text = (directory / f"ssh_host_ed25519_key{suffix}").read_text()
        _write(root / f"etc/ssh/ssh_host_ed25519_key{suffix}", text, mode=mode)
    for user, home in (("root", root / "root"), (OPERATOR, root / "home" / OPERATOR)):
        owner = _user(root, user)
        place = home / ".ssh"
        if place.is_symlink():
            place.unlink()
        place.mkdir(mode=0o700, exist_ok=True)
        os.chown(place, *owner)
        keys = place / "authorized_keys"
        before = keys.read_text() if keys.is_file() and not keys.is_symlink() else ""
        if public_key.strip() not in before.splitlines():
            _write(keys, before + public_key, mode=0o600, owner=owner)
    # A host that was killed has left its runtime state, and a fresh boot must have none.
    shutil.rmtree(root / "run/systemd", ignore_errors=True)
