"""What a host's partitions may be, and what they may become."""

from __future__ import annotations

import pytest

from habla.errors import LabError
from habla.lab.lab_partitions import checked, grown, refuse_loss, size_in_bytes

M = 2**20


def test_sizes_are_powers_of_two() -> None:
    """M is 2**20 bytes and G is 2**30."""
    assert (size_in_bytes("512M"), size_in_bytes("4G")) == (512 * M, 4096 * M)


def test_good_partitions_come_back_sorted() -> None:
    """Partitions come back with a mount point before those in it; none at all is none."""
    asked = {"/var/log": "512M", "/": "4G", "/var": "1G"}
    assert list(checked("a1", asked)) == ["/", "/var", "/var/log"]
    assert checked("a1", None) == checked("a1", {}) == {}


@pytest.mark.parametrize(
    "place",
    [
        *("", "var", "/var/", "//var", "/var/../etc", "/var/./log", "/.ssh", "/a b", "/a+b", "/a\n", "/é"),
        *("/srv/repo", "/srv/repo/x", "/proc", "/sys/x", "/dev", "/run/lock", "/tmp", "/" + 201 * "a"),
    ],
)
def test_bad_mount_point_is_refused(place: str) -> None:
    """A mount point that is no plain absolute path, or is the system's own, is named with rule and fix."""
    with pytest.raises(LabError) as caught:
        checked("a1", {place: "1G"})
    assert all(part in str(caught.value) for part in (f"host a1: partition {place!r}", "rule:", "fix:"))


@pytest.mark.parametrize(
    ("place", "size"),
    [
        *(("/var", size) for size in ("", "1", "1K", "1T", "0M", "01M", "1.5G", " 1G", "1G\n", "-1G", "1g")),
        *(("/var", size) for size in (None, 512, ["1G"], "15M", "16001G")),
        ("/", "511M"),
    ],
)
def test_bad_size_is_refused(place: str, size: object) -> None:
    """A size of another form, or too small for its partition, is named with rule and fix."""
    with pytest.raises(LabError) as caught:
        checked("a1", {place: size})
    assert all(part in str(caught.value) for part in (f"partition {place} {size!r}", "rule:", "fix:"))


@pytest.mark.parametrize("asked", [["/var"], "/var", 1])
def test_what_is_no_mapping_is_refused(asked: object) -> None:
    """Partitions that are no mapping are named with rule and fix."""
    with pytest.raises(LabError, match=r"partitions .*\n.*a mapping of mount points to sizes\n.*fix:"):
        checked("a1", asked)


def test_growth_is_told_from_another_spelling() -> None:
    """A new or a larger partition is growth; the same size in another unit is not."""
    assert grown({}, {"/": "1G"}) and grown({"/": "1G"}, {"/": "1025M"})
    assert not grown({"/": "1G"}, {"/": "1024M"}) and not grown({}, {})


def test_what_loses_no_data_is_allowed() -> None:
    """Partitions may grow, be added, and change freely before they were made."""
    refuse_loss("a1", {"/": 1024 * M}, wanted={"/": "1G", "/var": "1G"}, overlay=False)
    refuse_loss("a1", {"/var": 1024 * M}, wanted={"/var": "2G"}, overlay=True)
    refuse_loss("a1", {}, wanted={}, overlay=True)


@pytest.mark.parametrize(
    ("made", "wanted", "overlay", "reason"),
    [
        ({"/var": 1024 * M}, {}, True, "partition /var would be removed"),
        ({"/": 1024 * M}, {"/var": "1G"}, False, "partition / would be removed"),
        ({"/var": 1024 * M}, {"/var": "1023M"}, True, "would shrink from 1024M to 1023M"),
        ({}, {"/": "1G"}, True, "on an overlay"),
    ],
)
def test_what_loses_data_is_refused(
    made: dict[str, int], wanted: dict[str, str], overlay: bool, reason: str
) -> None:
    """Shrinking, removing, and a / of another kind are refused, and the fix is a host that is made anew."""
    with pytest.raises(LabError, match=reason) as caught:
        refuse_loss("a1", made, wanted=wanted, overlay=overlay)
    assert "host-delete a1, then host-create" in str(caught.value)
