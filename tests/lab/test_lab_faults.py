"""The lab under fault: what dies comes back, what ends leaves nothing, what is wrong is said."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hosts import REPOSITORY, Lab, free_port, networks_in_use, wait_for

from habla.errors import LabError
from habla.lab import inotify, requirements
from habla.lab.control import connect, request

needs_lab = pytest.mark.lab


def _remember(lab: Lab, name: str) -> tuple[str, int, str]:
    """Leave a file on a host; what must be the same after it comes back."""
    lab.run(name, "echo precious > /root/precious")
    host = lab.hosts[name]
    return lab.run(name, "cat /root/precious /etc/machine-id"), host["port"], host["host_key"]


def _recall(lab: Lab, name: str) -> tuple[str, int, str]:
    host = next(host for host in lab.ask("status")["hosts"] if host["name"] == name)
    return lab.run(name, "cat /root/precious /etc/machine-id"), host["port"], host["host_key"]


@needs_lab
@pytest.mark.parametrize("victim", ["init", "nspawn"])
def test_killed_host_is_brought_back(lab: Lab, victim: str) -> None:
    """After SIGKILL of a host's init, or of its nspawn, start boots it again with its files, port and key."""
    before = _remember(lab, "stable1")
    process = lab.init_of("stable1") if victim == "init" else lab.process("--machine=stable1 ")
    os.kill(process, signal.SIGKILL)
    wait_for(lambda: not lab.running()["stable1"])
    lab.ask("start")
    assert lab.running() == dict.fromkeys(lab.hosts, True)
    assert _recall(lab, "stable1") == before


@needs_lab
def test_supervisor_takes_everything_with_it(lab: Lab) -> None:
    """SIGKILL of the supervisor ends every process of the lab; start brings all hosts back as they were."""
    before = _remember(lab, "front1")
    os.kill(lab.ask("status")["supervisor"], signal.SIGKILL)
    wait_for(lambda: not lab.processes(), what="the end of all processes")
    assert lab.ask("status")["supervisor"] is None
    lab.ask("start")
    assert lab.running() == dict.fromkeys(lab.hosts, True)
    assert _recall(lab, "front1") == before


@needs_lab
def test_start_of_a_healthy_lab_is_silent_and_quick(lab: Lab) -> None:
    """start says nothing and is done in a second when all is well."""
    lab.ask("start")
    begin = time.monotonic()
    done = lab.call("start")
    assert time.monotonic() - begin < 1.0
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@needs_lab
def test_power_cut_ends_a_host_at_once(lab: Lab) -> None:
    """host-kill leaves no process of the host and gives its services no time to stop; host-start boots it."""
    before = _remember(lab, "web1")
    lab.run("web1", "systemd-run -q --unit=last -p ExecStop='touch /root/goodbye' sleep 1000")
    lab.ask("host-kill", "web1")
    assert not [command for command in lab.processes().values() if "machine=web1 " in command]
    assert lab.running() == {"front1": True, "stable1": True, "web1": False}
    lab.ask("host-start", "web1")
    assert _recall(lab, "web1") == before
    assert lab.ssh("web1", "test -e /root/goodbye").returncode == 1


@needs_lab
def test_clean_stop_lets_services_finish(lab: Lab) -> None:
    """host-stop runs what units do at their end; the host is up again after host-start."""
    lab.run("stable1", "systemd-run -q --unit=last -p ExecStop='touch /root/goodbye' sleep 1000")
    lab.ask("host-stop", "stable1")
    assert not lab.running()["stable1"]
    lab.ask("host-start", "stable1")
    assert lab.run("stable1", "ls /root/goodbye") == "/root/goodbye"


@needs_lab
def test_reboot_from_within(lab: Lab) -> None:
    """A host that reboots itself comes back by itself, at the same place."""
    boot = lab.run("stable1", "cat /proc/sys/kernel/random/boot_id")
    lab.ssh("stable1", "systemctl reboot")

    def rebooted() -> bool:
        done = lab.ssh("stable1", "cat /proc/sys/kernel/random/boot_id")
        return done.returncode == 0 and done.stdout.strip() != boot

    wait_for(rebooted, 40.0, "another boot id")


@needs_lab
def test_lost_network_leaves_the_host_alive(lab: Lab) -> None:
    """link-down cuts a host off without ending it; link-up joins it again."""
    boot = lab.run("web1", "cat /proc/sys/kernel/random/boot_id")
    lab.ask("link-down", "web1")
    assert lab.running()["web1"]
    assert lab.ssh("web1", "true").returncode == 255
    lab.ask("link-up", "web1")
    wait_for(lambda: lab.ssh("web1", "true").returncode == 0)
    assert lab.run("web1", "cat /proc/sys/kernel/random/boot_id") == boot


@needs_lab
def test_failed_boot_leaves_no_orphan_and_is_repaired(lab: Lab) -> None:
    """A host that does not come up is an error and leaves no process; the next host-create mends it."""
    lab.host("broken1", outside_address=None)
    lab.ask("host-stop", "broken1")
    # A file where the base image has a directory: init is not found any more.
    usr = lab.directory / "hosts/broken1/upper/usr"
    if usr.is_dir():
        usr.rename(usr.with_name("usr-aside"))
    usr.write_text("in the way")
    done = lab.call("host-create", document={"name": "broken1"})
    assert done.returncode == 3 and "host broken1 did not come up" in done.stderr and done.stdout == ""
    assert not [command for command in lab.processes().values() if "broken1" in command]
    assert not lab.running()["broken1"] and lab.running()["front1"]
    usr.unlink()
    if (aside := usr.with_name("usr-aside")).exists():
        aside.rename(usr)
    lab.host("broken1", outside_address=None)
    assert lab.run("broken1", "hostname") == "broken1"
    lab.ask("host-delete", "broken1")
    del lab.hosts["broken1"]
    assert not (lab.directory / "hosts/broken1").exists() and "broken1" not in lab.running()
    assert lab.ask("host-delete", "broken1") == {"name": "broken1"}


@needs_lab
@pytest.mark.parametrize("fault", ["files", "port"])
def test_a_host_that_never_came_up_leaves_nothing(lab: Lab, fault: str) -> None:
    """Neither files nor ports nor a record of it hinder the next host-create, nor any start."""
    if fault == "files":
        # The files of the base image at /usr do not fit into the partition.
        done = lab.call("host-create", document={"name": "never1", "partitions": {"/usr": "16M"}})
    else:
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]
            document = {
                "name": "never1",
                "outside_address": "203.0.113.77",
                "forwards": {"http": 80},
                "ports": {"http": port},
            }
            done = lab.call("host-create", document=document)
            assert f"port {port} of 127.0.0.1" in done.stderr
    assert done.returncode == 3
    assert "never1" not in lab.running() and not (lab.directory / "hosts/never1").exists()
    assert not [command for command in lab.processes().values() if "never1" in command]
    lab.ask("start")
    lab.host("never1")
    assert lab.run("never1", "hostname") == "never1"
    lab.ask("host-delete", "never1")
    del lab.hosts["never1"]


@needs_lab
def test_a_host_whose_files_were_deleted_is_made_anew(lab: Lab) -> None:
    """The lab forgets it at the next start; host-create makes another machine of that name."""
    old = lab.host("lost1")
    lab.run("lost1", "touch /root/of-the-first")
    (lab.directory / "hosts/lost1/host.json").unlink()
    done = lab.call("start")
    assert done.returncode == 0 and "lost1: somebody deleted its files" in done.stderr
    assert "lost1" not in lab.running()
    new = lab.host("lost1")
    assert new["machine_id"] != old["machine_id"] and new["host_key"] != old["host_key"]
    assert lab.ssh("lost1", "test -e /root/of-the-first").returncode == 1
    lab.ask("host-delete", "lost1")
    del lab.hosts["lost1"]


@needs_lab
def test_a_forward_listens_at_the_port_that_was_asked_for(lab: Lab) -> None:
    """And moves to another one that is asked for later."""
    ports = [free_port(), free_port()]
    for port in ports:
        made = lab.host("port1", forwards={"ssh2": "itself:127.0.0.1:22"}, ports={"ssh2": port})
        assert made["forwards"] == {"ssh2": port}
        socket.create_connection(("127.0.0.1", port), 5).close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", ports[0]), 5)
    lab.ask("host-delete", "port1")
    del lab.hosts["port1"]


@needs_lab
def test_too_few_inotify_instances_are_said_before_a_boot(lab: Lab) -> None:
    """The error has the numbers and the sysctl to set, and the host is not there afterwards."""
    client = connect(lab.paths)
    assert client is not None
    image = lab.ask("status")["hosts"][0]["image"]
    message = {"verb": "host-create", "host": {"name": "late1"}, "image": image, "inotify_free": 7}
    with pytest.raises(LabError) as caught:
        request(client, message)
    limit = Path("/proc/sys/fs/inotify/max_user_instances").read_text().strip()
    assert f"too few inotify instances: 7 of {limit} are free" in str(caught.value)
    assert "sysctl -w fs.inotify.max_user_instances=" in str(caught.value)
    assert "late1" not in lab.running() and not (lab.directory / "hosts/late1").exists()


def test_inotify_instances_are_counted() -> None:
    """Each instance that this process has is one less for hosts."""
    before = inotify.free_instances()
    mine = [ctypes.CDLL(None).inotify_init() for _ in range(20)]
    try:
        # Other programs come and go meanwhile.
        assert before - 30 < inotify.free_instances() < before - 10
    finally:
        for descriptor in mine:
            os.close(descriptor)


@needs_lab
def test_create_cut_short_is_taken_up(fresh_lab: Lab) -> None:
    """When client and supervisor are killed in the middle of host-create, the next one finishes the work."""
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
    client.stdin.write('{"name": "half1"}')
    client.stdin.close()
    wait_for(lambda: any("machine=half1" in command for command in fresh_lab.processes().values()))
    os.kill(supervisor, signal.SIGKILL)
    assert client.wait(20) == 3
    wait_for(lambda: not fresh_lab.processes())
    fresh_lab.host("half1")
    assert fresh_lab.run("half1", "hostname") == "half1"


@needs_lab
def test_taken_port_is_said(lab: Lab) -> None:
    """When another program has taken a host's recorded port, start says so and brings the other hosts up."""
    os.kill(lab.ask("status")["supervisor"], signal.SIGKILL)
    wait_for(lambda: not lab.processes())
    port = lab.hosts["stable1"]["port"]
    with socket.create_server(("127.0.0.1", port)):
        done = lab.call("start")
    assert done.returncode == 3 and f"port {port} of 127.0.0.1" in done.stderr
    assert lab.running() == {"front1": True, "stable1": False, "web1": True}
    lab.ask("start")
    assert lab.running()["stable1"]


@needs_lab
def test_two_labs_live_side_by_side(lab: Lab, tmp_path: Path) -> None:
    """Two labs with the same host name and networks do not see each other, even deep in a long path."""
    other = Lab(tmp_path / ("long" * 20) / ("path" * 10) / "lab")
    try:
        other.create()
        other.host("front1", outside_address="203.0.113.10", forwards={"http": 80})
        assert other.hosts["front1"]["port"] != lab.hosts["front1"]["port"]
        other.run("front1", "touch /root/of-the-other")
        assert lab.ssh("front1", "test -e /root/of-the-other").returncode == 1
        lab.ssh("front1", "true", host_key=other.hosts["front1"]["host_key"])
    finally:
        other.ask("lab-delete")
    assert lab.run("front1", "hostname") == "front1"


@needs_lab
def test_deleted_lab_leaves_nothing(fresh_lab: Lab) -> None:
    """lab-delete leaves no process, mount, namespace, loop device, cgroup or file, but keeps DIR/state."""

    def traces() -> dict[str, str]:
        mounts = Path("/proc/self/mountinfo").read_text()
        # Other labs' come and go meanwhile.
        files = [path.read_text() for path in Path("/sys/block").glob("loop*/loop/backing_file")]
        loops = "".join(sorted(file for file in files if str(fresh_lab.directory) in file))
        links = subprocess.check_output(["ip", "-oneline", "link"], text=True)
        return {"mounts": mounts, "loops": loops, "links": links}

    before = traces()
    fresh_lab.create()
    fresh_lab.together({"name": "a1"}, {"name": "b1", "outside_address": "203.0.113.20"})
    stray = subprocess.Popen(
        [sys.executable, "-m", "habla.lab", "outside", "--dir", str(fresh_lab.directory), "sleep", "1000"],
        cwd=REPOSITORY,
    )
    wait_for(lambda: any(command.startswith("sleep 1000") for command in fresh_lab.processes().values()))
    networks = {str(Path(f"/proc/{number}/ns/net").readlink()) for number in fresh_lab.processes()}
    assert len(networks) == 4, "the lab's, the outside client's, one for each host"
    (fresh_lab.directory / "state").mkdir()
    (fresh_lab.directory / "state/kept").touch()
    fresh_lab.ask("lab-delete")
    assert stray.wait(5) == -signal.SIGKILL
    # The kernel closes the last doors behind processes that are dead already.
    wait_for(lambda: not fresh_lab.processes() and not networks & networks_in_use(), 5.0)
    assert traces() == before
    assert [path.name for path in fresh_lab.directory.iterdir()] == ["state"]
    cgroup = [line.split()[4] for line in before["mounts"].splitlines() if " - cgroup2 " in line]
    assert not [place for place in cgroup if Path(place, fresh_lab.paths.identity).exists()]
    assert fresh_lab.ask("status") == {"exists": False, "hosts": [], "supervisor": None}


@needs_lab
def test_removed_directory_does_not_hide_a_lab(fresh_lab: Lab) -> None:
    """A lab whose directory was removed under it is ended by the next lab-create, and by lab-delete."""
    for verb in ("lab-create", "lab-delete"):
        fresh_lab.host("a1")
        before = set(fresh_lab.processes())
        shutil.rmtree(fresh_lab.directory, ignore_errors=True)
        fresh_lab.ask(verb)
        wait_for(lambda before=before: not before & set(fresh_lab.processes()))
    assert not fresh_lab.processes()


def test_delete_spares_a_directory_that_is_no_lab(fresh_lab: Lab) -> None:
    """lab-delete of a directory that holds no lab removes nothing of it."""
    if os.geteuid() != 0:
        pytest.skip("every verb but requirements needs root")
    (fresh_lab.directory / "keys").mkdir(parents=True)
    fresh_lab.ask("lab-delete")
    assert (fresh_lab.directory / "keys").is_dir()
    (fresh_lab.directory / "keys").rmdir()


@needs_lab
def test_lab_is_made_by_the_first_host_and_once(fresh_lab: Lab) -> None:
    """host-create without a lab makes one; of several at once, one starts the supervisor and all succeed."""
    fresh_lab.together({"name": "a1"}, {"name": "b1"}, {"name": "c1"})
    assert fresh_lab.running() == {"a1": True, "b1": True, "c1": True}
    assert len({host["port"] for host in fresh_lab.hosts.values()}) == 3
    assert len([1 for command in fresh_lab.processes().values() if "supervise" in command]) == 1
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: fresh_lab.host("a1"), range(4)))
    assert answers == [answers[0]] * 4


BAD = {
    "name": ({"name": "Front_1"}, "'Front_1' is not a host name"),
    "no-name": ({}, "is not a host name"),
    "unknown-key": ({"name": "x1", "adress": "203.0.113.9"}, "unknown key adress"),
    "user": ({"name": "x1", "user": "alice"}, "user 'alice'"),
    "not-an-address": ({"name": "x1", "outside_address": "203.0.113"}, "outside_address '203.0.113'"),
    "elsewhere": ({"name": "x1", "outside_address": "198.51.100.7"}, "an address of 203.0.113.0/24"),
    "the-clients": ({"name": "x1", "outside_address": "203.0.113.1"}, "except the network"),
    "taken": ({"name": "x1", "outside_address": "203.0.113.10"}, "belongs to host front1"),
    "forward-to-nowhere": ({"name": "x1", "forwards": {"http": 80}}, "needs an outside_address of the host"),
    "forward-elsewhere": (
        {"name": "x1", "forwards": {"http": "198.51.100.7:80"}},
        "an address of 203.0.113.0/24",
    ),
    "forward-to-client": (
        {"name": "x1", "forwards": {"http": "203.0.113.1:80"}},
        "forward http 203.0.113.1 must be",
    ),
    "forward-to-itself-nowhere": (
        {"name": "x1", "forwards": {"http": "itself:192.168.2:80"}},
        "forward http '192.168.2'",
    ),
    "forward-without-port": ({"name": "x1", "forwards": {"http": "203.0.113.20"}}, "ADDRESS:PORT or itself"),
    "forward-to-port-0": ({"name": "x1", "forwards": {"http": "203.0.113.20:0"}}, "ADDRESS:PORT or itself"),
    "forwards-a-list": (
        {"name": "x1", "outside_address": "203.0.113.9", "forwards": [80]},
        "must map names to a port",
    ),
    "port": ({"name": "x1", "outside_address": "203.0.113.9", "forwards": {"http": 0}}, "1 to 65535"),
    "not-json": ("{", "stdin is not JSON"),
    "a-list": ("[1]", "must hold a JSON object"),
}


@needs_lab
@pytest.mark.parametrize("case", BAD)
def test_bad_host_is_refused(lab: Lab, case: str) -> None:
    """A host that cannot be is refused with the reason on stderr, nothing on stdout, and no trace of it."""
    document, reason = BAD[case]
    done = lab.call("host-create", document=document)
    assert done.returncode == 3 and reason in done.stderr and done.stdout == ""
    assert "Traceback" not in done.stderr
    assert sorted(lab.running()) == ["front1", "stable1", "web1"]
    assert sorted(path.name for path in (lab.directory / "hosts").iterdir()) == ["front1", "stable1", "web1"]


@needs_lab
@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ({"packages": ["no-such-package-at-all"]}, "no-such-package-at-all"),
        ({"packages": ["-o=x"]}, "not the name of a Debian package"),
        ({"package": []}, "unknown key package"),
        ({"management": "10.213.0.0/30"}, "too small"),
        ({"outside": "10.213.0.0/24"}, "overlap"),
        ({"management": "10.9.0.0/24"}, "fixed at its creation"),
    ],
)
def test_bad_lab_is_refused(lab: Lab, document: dict[str, object], reason: str) -> None:
    """A lab that cannot be is refused with the reason, and the lab stays as it was."""
    before = (lab.directory / "lab.json").read_text()
    done = lab.call("lab-create", document=document)
    assert done.returncode == 3 and reason in done.stderr and "Traceback" not in done.stderr
    assert (lab.directory / "lab.json").read_text() == before


@needs_lab
def test_verbs_about_an_unknown_host_name_the_known(lab: Lab) -> None:
    """host-start of a host that is not there says which there are."""
    done = lab.call("host-start", "front9")
    assert done.returncode == 3 and "front1, stable1, web1" in done.stderr


def test_all_that_is_missing_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without root and without the programs, one error names both and says what to install."""
    monkeypatch.setattr(shutil, "which", lambda program: None)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(LabError) as caught:
        requirements.check()
    message = str(caught.value)
    assert "root" in message and "systemd-nspawn" in message and "mmdebstrap" in message
    assert "systemd-container" in message and message.count("cannot run a lab") == 1


def test_old_kernel_and_other_systems_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel without cgroup.kill, and a system that is not Linux, are named as what is in the way."""
    monkeypatch.setattr(os, "uname", lambda: os.uname_result(("Linux", "h", "5.10.0-8-amd64", "v", "x86_64")))
    assert any("5.14" in fault for fault in requirements.missing())
    monkeypatch.setattr(sys, "platform", "darwin")
    assert requirements.missing() == ["Linux (this is darwin)"]


def test_missing_permission_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Root that may not make namespaces, as in many containers, is told so."""

    def refuse(flags: int) -> None:
        raise OSError(1, "unshare: Operation not permitted")

    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(requirements.namespaces, "unshare", refuse)
    assert any("permission to make namespaces" in fault for fault in requirements.missing())


def test_requirements_runs_without_anything(tmp_path: Path) -> None:
    """requirements prints the missing packages with no program on PATH and no third-party Python package."""
    done = subprocess.run(
        [
            sys.executable,
            "-I",
            "-S",
            "-c",
            "import sys; sys.path.insert(0, sys.argv[1]);"
            "from habla.lab.__main__ import main; sys.exit(main(['requirements']))",
            str(REPOSITORY),
        ],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert {"systemd-container", "mmdebstrap"} <= set(done.stdout.split())


def test_status_and_start_of_nothing(tmp_path: Path) -> None:
    """status and start of a directory without a lab are no errors and make nothing."""
    if os.geteuid() != 0:
        pytest.skip("every verb but requirements needs root")
    lab = Lab(tmp_path / "none")
    assert lab.ask("status") == {"exists": False, "hosts": [], "supervisor": None}
    lab.ask("start")
    assert not lab.directory.exists()
