"""Which file systems of a host count as partitions."""

from __future__ import annotations

import os

from habla.onhost.watch.partitions import Partition, devices_in_memory, holder, mounts, read, real

# A lab host with two partitions, seen from the watcher's own sandbox, and what other machines have.
MOUNTINFO = r"""
26 1 7:5 / / ro,noatime shared:1 master:2 - ext4 /dev/loop5 rw,nobarrier
27 26 7:6 / /var/log ro,noatime - ext4 /dev/loop6 rw,nobarrier
28 26 7:5 /var/lib/habla-watch /var/lib/habla-watch rw,noatime - ext4 /dev/loop5 rw
29 26 0:45 / /run rw,nosuid - tmpfs tmpfs rw,size=1g
30 26 0:46 / /proc rw - proc proc rw
31 26 7:9 / /snap/core/1 ro - squashfs /dev/loop9 ro
32 26 8:17 / /mnt/ro ro - ext4 /dev/sdb1 ro
33 26 8:33 / /mnt/with\040blank rw - xfs /dev/sdc1 rw
34 26 0:52 /@home /home rw - btrfs /dev/sdd1 rw
35 26 0:52 /@srv /srv rw - btrfs /dev/sdd1 rw
36 26 0:60 / /mnt/share rw - nfs4 server:/x rw
"""


def test_real_ones_are_found_once_each() -> None:
    """By the shortest mount point; read-only, memory, images and the network are left out."""
    assert [mount.point for mount in real(mounts(MOUNTINFO))] == ["/", "/mnt/with blank", "/srv", "/var/log"]


def test_the_root_of_a_container_counts_without_a_device() -> None:
    """An overlay at /, and only there."""
    text = "1 0 0:30 / / rw - overlay overlay rw\n2 1 0:31 / /var/lib/docker/x rw - overlay overlay rw\n"
    assert [mount.point for mount in real(mounts(text))] == ["/"]


def test_files_in_memory_are_known_by_their_device() -> None:
    """tmpfs and proc are, a btrfs is not although its device number says so too."""
    devices = devices_in_memory(mounts(MOUNTINFO))
    assert os.makedev(0, 45) in devices
    assert os.makedev(0, 52) not in devices


def test_what_is_mounted_over_a_mount_hides_it() -> None:
    """The last line of a mount point counts."""
    text = "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n2 1 8:2 / / rw - ext4 /dev/sda2 rw\n"
    assert [mount.device for mount in real(mounts(text))] == ["8:2"]


def test_use_is_what_df_shows() -> None:
    """Blocks that are root's alone are neither used nor free; without inodes there is no use of them."""

    def statvfs(path: str) -> os.statvfs_result:
        if path == "/var/log":
            raise PermissionError(13, "Permission denied")
        return os.statvfs_result((4096, 1024, 1000, 300, 250, 0, 0, 0, 0, 255))

    partitions, faults = read(mounts(MOUNTINFO), statvfs)
    root = partitions[0]
    assert (root.size, root.used, root.available) == (1024000, 716800, 256000)
    assert round(root.use, 1) == 73.7
    assert root.inode_use == 0.0
    assert faults == ["/var/log: Permission denied"]


def test_full_is_a_hundred_percent() -> None:
    """Also where root could still write."""
    assert Partition("/", 100, 95, 0, 10, 10).use == 100.0
    assert Partition("/", 100, 95, 0, 10, 10).inode_use == 100.0


def test_a_file_belongs_to_the_innermost_partition() -> None:
    """/var/logs is not below /var/log."""
    points = ["/", "/var/log"]
    assert [holder(path, points) for path in ("/var/log/x", "/var/logs/x", "/var/log")] == [
        "/var/log",
        "/",
        "/var/log",
    ]
