"""The check that a host has the partitions that are declared, run for real on this machine's own."""

from __future__ import annotations

import subprocess
from ipaddress import IPv4Address

from habla.hosts.declared_partitions import Partitions
from habla.model.disk import PartitionSpec
from habla.model.site import Site


def check(mount: str, size: str) -> subprocess.CompletedProcess[str]:
    site = Site("a1", IPv4Address("192.168.2.10"), partitions={mount: PartitionSpec(size=size)})
    state = Partitions().state(site)
    command = state.health[f"partition {mount}"].command
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_partition_as_large_as_declared_is_well() -> None:
    """What the file system takes for itself is allowed for."""
    assert check("/", "1M").returncode == 0


def test_a_smaller_partition_is_said() -> None:
    """Else the bound on logs would be of another machine."""
    done = check("/", "900000G")
    assert done.returncode == 1
    assert "less than 90 % of the 900000G declared" in done.stdout


def test_a_directory_is_no_partition() -> None:
    """/var/log of its own was forgotten when the machine was set up."""
    done = check("/usr/bin", "1M")
    assert (done.returncode, done.stdout) == (1, "/usr/bin is no partition of its own\n")
