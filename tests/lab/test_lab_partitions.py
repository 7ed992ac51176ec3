"""Hosts with partitions of their own: what they show, what fills them, what they outlive, what they leave."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hosts import REPOSITORY, Lab, wait_for

from habla.lab import loops

pytestmark = pytest.mark.lab

WANTED = {"/": "2G", "/var/log": "128M"}
BOOT = "cat /proc/sys/kernel/random/boot_id"
#: Descriptions and sizes of hrStorage, and UCD's dskPath; asked over loopback, as a poller would.
SNMP = """
cat > /etc/snmp/snmpd.conf <<'END'
agentAddress udp:127.0.0.1:161
rocommunity lab 127.0.0.1
disk /
disk /var/log
END
systemctl restart snmpd
for oid in .1.3.6.1.2.1.25.2.3.1.3 .1.3.6.1.2.1.25.2.3.1.5 .1.3.6.1.4.1.2021.9.1.2; do
    snmpwalk -v2c -c lab -Onq 127.0.0.1 $oid
done
"""


@pytest.fixture(scope="module")
def parted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A lab whose host a1 has two partitions."""
    lab = Lab(tmp_path_factory.mktemp("parted") / "lab")
    try:
        lab.create("snmpd", "snmp")
        lab.host("a1", partitions=WANTED)
        yield lab
    finally:
        lab.ask("lab-delete")


def _devices(lab: Lab) -> dict[str, str]:
    """The loop devices of a lab's images: image to device."""
    found = {}
    for path in Path("/sys/block").glob("loop*/loop/backing_file"):
        try:
            image = path.read_text().strip()
        except OSError:
            continue
        if image.startswith(f"{lab.paths.root}/"):
            found[image] = path.parts[3]
    return found


def _sizes(lab: Lab, name: str) -> dict[str, int]:
    """MiB of each ext4 file system of a host, as df says."""
    lines = lab.run(name, "df --type=ext4 --block-size=1M --output=target,size / /var/log").splitlines()[1:]
    return {place: int(size) for place, size in map(str.split, lines)}


def _restart(lab: Lab) -> None:
    """Nothing is written to an image for half a minute, but what is left is written when it is unmounted."""
    lab.ask("host-kill", "a1")
    lab.ask("host-start", "a1")


def test_the_kernel_shows_partitions(parted: Lab) -> None:
    """/proc/mounts has an ext4 of a loop device at each mount point, and the host is whole."""
    mounts = dict(
        line.split()[1::-1]
        for line in parted.run("a1", "cat /proc/mounts").splitlines()
        if line.startswith("/dev/loop") and line.split()[2] == "ext4"
    )
    assert mounts.keys() == WANTED.keys()
    assert {Path(device).name for device in mounts.values()} == set(_devices(parted).values())
    wait_for(lambda: parted.ssh("a1", "systemctl is-system-running").stdout == "running\n")


def test_df_shows_the_sizes(parted: Lab) -> None:
    """df shows the sizes that were asked for, less what ext4 keeps for itself, and keeps nothing for root."""
    sizes = _sizes(parted, "a1")
    assert 0.9 * 2048 < sizes["/"] <= 2048 and 0.9 * 128 < sizes["/var/log"] <= 128
    # ext4 sets aside a fiftieth, 16 MiB at most, for its own trees; root's share would be a twentieth.
    counts = parted.run("a1", "stat --file-system --format='%b %f %a' / /var/log").splitlines()
    for blocks, free, available in (map(int, line.split()) for line in counts):
        assert free - available <= min(blocks // 45, 4096)


def test_answer_and_status_name_partitions(parted: Lab) -> None:
    """host-create and status say which partitions a host has."""
    assert parted.hosts["a1"]["partitions"] == WANTED
    assert parted.ask("status")["hosts"][0]["partitions"] == WANTED


def test_content_of_the_image_is_in_the_partition(parted: Lab) -> None:
    """/var/log has the base image's files with their owners, modes and access lists, and nothing below it."""
    parted.run("a1", "mkdir -p /mnt/below && mount --bind / /mnt/below")
    assert parted.run("a1", "ls -A /mnt/below/var/log; umount /mnt/below") == ""
    assert parted.run("a1", "stat --format='%U:%G %a' /var/log/btmp /var/log/journal").splitlines() == [
        "root:utmp 660",
        "root:systemd-journal 2755",
    ]
    assert parted.run("a1", "ls -ld /var/log/journal").split()[0].endswith("+")


def test_snmp_sees_partitions(parted: Lab) -> None:
    """snmpd lists / and /var/log in hrStorage, with their sizes, and in UCD's disk table."""
    parted.run("a1", "apt-get -qq update && apt-get -qq --yes install snmpd snmp")
    walked = dict(line.split(" ", 1) for line in parted.run("a1", SNMP).splitlines())
    storage, size = ".1.3.6.1.2.1.25.2.3.1.3.", ".1.3.6.1.2.1.25.2.3.1.5."
    units = {
        text.strip('"'): int(walked[size + oid.removeprefix(storage)])
        for oid, text in walked.items()
        if oid.startswith(storage)
    }
    assert {place: units[place] * 4096 // 2**20 for place in WANTED} == pytest.approx(
        _sizes(parted, "a1"), abs=1
    )
    disks = {text.strip('"') for oid, text in walked.items() if oid.startswith(".1.3.6.1.4.1.2021.9.1.2.")}
    assert disks == WANTED.keys()


@pytest.mark.parametrize(("full", "other"), [("/var/log", "/root"), ("/root", "/var/log")])
def test_a_full_partition_leaves_the_other_writable(parted: Lab, full: str, other: str) -> None:
    """When one partition is full, for root too, the other takes what is written; room comes back."""
    # fallocate takes room without writing, and so leaves the machine alone; dd meets the end of it.
    fill = (
        f"fallocate -l $(df --block-size=1M --output=avail {full} | tail -1 | tr -d ' ')M {full}/filler; "
        f"dd if=/dev/zero of={full}/rest bs=1M"
    )
    done = parted.ssh("a1", fill)
    assert done.returncode != 0 and "No space left on device" in done.stderr
    parted.run("a1", f"echo written > {other}/written && cat {other}/written && rm {other}/written")
    parted.run("a1", f"rm -f {full}/filler {full}/rest; echo again > {full}/again")


def test_deleted_files_give_the_machine_its_room_back(parted: Lab) -> None:
    """An image holds on the machine what its host holds, not what it once held."""
    image = parted.directory / "hosts/a1/partitions/+var+log.ext4"

    def held() -> int:
        return image.stat().st_blocks * 512

    # What is written reaches the image at the latest with a restart; the journal grows with each of them.
    _restart(parted)
    before = held()
    parted.run("a1", "dd if=/dev/urandom of=/var/log/filler bs=1M count=60 status=none")
    _restart(parted)
    assert held() > before + 55 * 2**20
    parted.run("a1", "rm /var/log/filler")
    # ext4 hands blocks back some seconds after their deletion, and gives that up when it is unmounted before.
    wait_for(lambda: held() < before + 30 * 2**20, 60, "the room")


def test_a_power_cut_loses_nothing_that_was_written(parted: Lab) -> None:
    """What was written right before host-kill, without any fsync, is there after the next boot."""
    before = parted.run("a1", BOOT)
    for turn in range(3):
        parted.run(
            "a1", f"head -c 20M /dev/zero | tee /root/big{turn} > /var/log/big{turn}; echo {turn} > /x"
        )
        parted.ask("host-kill", "a1")
        parted.ask("host-start", "a1")
        assert parted.run("a1", f"stat --format=%s /root/big{turn} /var/log/big{turn}; cat /x").split() == [
            *["20971520"] * 2,
            f"{turn}",
        ]
    assert parted.run("a1", BOOT) != before
    parted.run("a1", "rm /root/big* /var/log/big*")


def test_partitions_come_back_after_their_supervisor(parted: Lab) -> None:
    """SIGKILL of the supervisor detaches every image; start mounts them again, as they were."""
    parted.run("a1", "echo precious | tee /root/precious > /var/log/precious")
    os.kill(parted.ask("status")["supervisor"], signal.SIGKILL)
    wait_for(lambda: not parted.processes() and not _devices(parted), what="the end of all loop devices")
    parted.ask("start")
    assert parted.run("a1", "cat /root/precious /var/log/precious").split() == ["precious"] * 2


def test_two_lives_never_share_an_image(parted: Lab) -> None:
    """A supervisor that is started while the last one's file systems are written back waits for their end."""
    image = parted.directory / "hosts/a1/partitions/+.ext4"
    assert loops.attached(image)
    for _ in range(3):
        parted.run("a1", "head -c 200M /dev/urandom > /root/large; sha256sum /root/large > /root/digest")
        os.kill(parted.ask("status")["supervisor"], signal.SIGKILL)
        parted.ask("start")
        parted.run("a1", "sha256sum --check --quiet /root/digest")
        assert len(_devices(parted)) == 2
    parted.run("a1", "rm /root/large /root/digest")
    parted.ask("host-kill", "a1")
    wait_for(lambda: not loops.attached(image))
    parted.ask("host-start", "a1")


def test_stopped_host_has_no_devices(parted: Lab) -> None:
    """A host that was shut down, or killed, holds no loop device."""
    for verb in ("host-stop", "host-kill"):
        parted.ask(verb, "a1")
        wait_for(lambda: not _devices(parted))
        parted.ask("host-start", "a1")
        assert len(_devices(parted)) == 2


def test_file_system_is_sound_after_all_that(parted: Lab) -> None:
    """After a shutdown e2fsck finds nothing to mend, and each file system has a UUID of its own."""
    parted.ask("host-kill", "a1")
    wait_for(lambda: not _devices(parted))
    images = sorted((parted.directory / "hosts/a1/partitions").iterdir())
    for image in images:
        subprocess.run(["e2fsck", "-fn", str(image)], check=True, capture_output=True)
    uuids = {subprocess.check_output(["blkid", "-p", "-s", "UUID", "-o", "value", image]) for image in images}
    assert len(uuids) == len(images) == 2
    parted.ask("host-start", "a1")


def test_partition_grows_with_a_restart(parted: Lab) -> None:
    """A larger partition is a larger file system after one restart, with its files; the same size is none."""
    parted.run("a1", "echo kept | tee /root/kept > /var/log/kept")
    boot = parted.run("a1", BOOT)
    parted.host("a1", partitions={"/": "2048M", "/var/log": "128M"})
    assert parted.run("a1", BOOT) == boot
    parted.host("a1", partitions={"/": "3G", "/var/log": "129M"})
    assert parted.run("a1", BOOT) != boot
    boot = parted.run("a1", BOOT)
    parted.host("a1", partitions={"/": "3G", "/var/log": "256M"})
    sizes = _sizes(parted, "a1")
    assert 0.9 * 3072 < sizes["/"] <= 3072 and 0.9 * 256 < sizes["/var/log"] <= 256
    assert parted.run("a1", "cat /root/kept /var/log/kept").split() == ["kept"] * 2


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        ({"/": "3G"}, "partition /var/log would be removed"),
        (None, "partition / would be removed"),
        ({"/": "1G", "/var/log": "256M"}, "partition / would shrink from 3072M to 1G"),
    ],
)
def test_loss_of_data_is_refused(parted: Lab, wanted: dict[str, str] | None, reason: str) -> None:
    """A partition that would shrink or go is refused with the fix, and the host runs on as it was."""
    parted.host("a1", partitions={"/": "3G", "/var/log": "256M"})
    boot = parted.run("a1", BOOT)
    done = parted.call("host-create", document={"name": "a1", "partitions": wanted})
    assert done.returncode == 3 and reason in done.stderr and "host-delete a1" in done.stderr
    assert parted.run("a1", BOOT) == boot
    assert parted.ask("status")["hosts"][0]["partitions"] == {"/": "3G", "/var/log": "256M"}


def test_host_on_an_overlay_is_given_partitions(parted: Lab) -> None:
    """A partition takes up what an overlay host has there; one too small is said and leaves nothing."""
    others = set(_devices(parted))
    parted.host("o1")
    parted.run("o1", "mkdir /var/log/deep; head -c 40M /dev/urandom > /var/log/deep/file; ln -s /usr /link")
    digest = parted.run("o1", "sha256sum /var/log/deep/file")
    done = parted.call("host-create", document={"name": "o1", "partitions": {"/": "1G"}})
    assert done.returncode == 3 and "on an overlay" in done.stderr and parted.running()["o1"]
    done = parted.call("host-create", document={"name": "o1", "partitions": {"/var/log": "32M"}})
    assert done.returncode == 3 and "No space left on device" in done.stderr and "fix:" in done.stderr
    # The change is taken back.
    assert parted.running()["o1"] and parted.run("o1", "sha256sum /var/log/deep/file") == digest
    done = parted.call("host-create", document={"name": "o1", "partitions": {"/link/lib": "32M"}})
    assert (
        done.returncode == 3 and "the path of a mount point must not contain a symbolic link" in done.stderr
    )
    wait_for(lambda: set(_devices(parted)) == others, what="the end of the failed boots' devices")
    assert list((parted.directory / "hosts/o1/partitions").iterdir()) == []
    parted.host("o1", partitions={"/var/log": "128M", "/data/new": "16M"})
    assert parted.run("o1", "sha256sum /var/log/deep/file") == digest
    assert "lost+found" in parted.run("o1", "ls /data/new; stat --file-system --format=%T /data/new")
    # In what was moved there is a partition to come, and around it.
    parted.host("o1", partitions={"/var/log": "128M", "/data/new": "16M", "/var": "256M", "/data": "16M"})
    assert parted.run("o1", "sha256sum /var/log/deep/file") == digest
    places = parted.run("o1", "awk '$3 == \"ext4\" && /^.dev.loop/ {print $2}' /proc/mounts").split()
    assert sorted(places) == ["/data", "/data/new", "/var", "/var/log"]
    parted.ask("host-delete", "o1")
    del parted.hosts["o1"]
    wait_for(lambda: set(_devices(parted)) == others, what="the end of a deleted host's devices")


def test_many_hosts_at_once_and_nothing_left(parted: Lab, fresh_lab: Lab) -> None:
    """Six hosts with three partitions are made at once beside another lab; lab-delete leaves no device."""
    partitions = {"/": "1G", "/var/log": "64M", "/srv": "64M"}
    fresh_lab.create()
    mounts = Path("/proc/self/mountinfo").read_text()
    fresh_lab.together(*({"name": f"h{number}", "partitions": partitions} for number in range(6)))
    assert len(_devices(fresh_lab)) == len(set(_devices(fresh_lab).values())) == 18
    assert not set(_devices(fresh_lab).values()) & set(_devices(parted).values())
    assert Path("/proc/self/mountinfo").read_text() == mounts
    fresh_lab.ask("lab-delete")
    assert _devices(fresh_lab) == {}
    wait_for(lambda: not fresh_lab.processes(), 5.0)
    assert not fresh_lab.directory.exists()


def test_create_cut_short_is_taken_up_with_partitions(fresh_lab: Lab) -> None:
    """When the supervisor is killed while it makes partitions, none is left half-made for the next try."""
    fresh_lab.create()
    # Asked for first: while the question is put, a host can finish.
    supervisor = fresh_lab.ask("status")["supervisor"]
    client = subprocess.Popen(
        [sys.executable, "-m", "habla.lab", "host-create", "--dir", str(fresh_lab.directory)],
        stdin=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=REPOSITORY,
        text=True,
    )
    assert client.stdin is not None
    client.stdin.write('{"name": "half1", "partitions": {"/": "1G", "/var": "256M"}}')
    client.stdin.close()
    wait_for(lambda: list(fresh_lab.directory.glob("hosts/half1/partitions/.*")))
    os.kill(supervisor, signal.SIGKILL)
    assert client.wait(20) == 3
    wait_for(lambda: not fresh_lab.processes() and not _devices(fresh_lab))
    fresh_lab.host("half1", partitions={"/": "1G", "/var": "256M"})
    assert fresh_lab.run("half1", "test -e /var/lib/dpkg/status && hostname") == "half1"


def test_boot_that_fails_leaves_no_device(fresh_lab: Lab) -> None:
    """A host whose /var/log is broken is an error that names the file and the fix, and holds no device."""
    fresh_lab.host("a1", partitions={"/": "1G", "/var/log": "64M"})
    fresh_lab.ask("host-kill", "a1")
    image = fresh_lab.directory / "hosts/a1/partitions/+var+log.ext4"
    wait_for(lambda: not _devices(fresh_lab))
    with image.open("r+b") as stream:
        stream.write(bytes(65536))
    done = fresh_lab.call("host-start", "a1")
    assert done.returncode == 3 and image.name in done.stderr and "fix:" in done.stderr
    wait_for(lambda: not _devices(fresh_lab), what="the end of the devices")
    assert not fresh_lab.running()["a1"]
