"""`make up` goes on where it stopped: its script, with the real engine and real hosts."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from fleet import PULUMI, copy_project
from hosts import REPOSITORY, Lab, wait_for

pytestmark = pytest.mark.lab

# Two hosts with a service each, of which one has a port to change.
HOSTS = {
    "front1": {"role": "front", "services": ["memqd"]},
    "stable1": {"role": "stable", "services": ["static"]},
}
UNITS = {"front1": "beanstalkd", "stable1": "nginx"}
NOTHING = "nothing was changed"


@dataclass
class Clone:
    """A clone of the project in which `make toolchain` has run."""

    root: Path
    lab: Lab

    def start(self) -> subprocess.Popen[str]:
        """What `make up` runs, begun."""
        environment = {name: value for name, value in os.environ.items() if "PULUMI" not in name}
        return subprocess.Popen(
            [self.root / "toolchain" / "up"],
            env=environment | {"PULUMI_BACKEND_URL": f"file://{self.root}/.lab/state"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            # Of its own, so that a test can end all of it at once.
            process_group=0,
        )

    def up(self) -> tuple[int, str]:
        """Its exit status and what it printed."""
        with self.start() as process:
            output, _ = process.communicate(timeout=300)
        return process.returncode, output

    def configure(self, port: int, **more: Any) -> None:
        """The stack, with this port of memqd and further sections."""
        path = self.root / "stacks" / "Pulumi.lab.yaml"
        document = yaml.safe_load(path.read_text())
        document["config"] = {
            "habla:lab": {},
            "habla:hosts": HOSTS,
            "habla:services": {"memqd": {"port": port}, "static": {}},
        } | {f"habla:{name}": value for name, value in more.items()}
        path.write_text(yaml.safe_dump(document))

    def expect_all_well(self) -> None:
        """The script ends well, every host runs its service, and a second run changes nothing."""
        status, output = self.up()
        assert status == 0, output
        self.lab.hosts = {host["name"]: host for host in self.lab.ask("status")["hosts"]}
        for host, unit in UNITS.items():
            assert self.lab.run(host, f"systemctl is-active {unit}") == "active"
        status, output = self.up()
        assert status == 0 and NOTHING in output, output
        assert "stopped" not in output.rpartition(NOTHING)[2]


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clone]:
    """One that nothing was deployed from yet."""
    if not PULUMI.exists():
        pytest.skip("no pulumi CLI: make toolchain")
    root = tmp_path_factory.mktemp("again") / "clone"
    copy_project(root)
    for name in (".venv", ".toolchain"):
        (root / name).symlink_to(REPOSITORY / name)
    (root / "Pulumi.yaml").write_text("name: habla\nruntime: python\nstackConfigDir: stacks\n")
    (root / ".lab" / "state").mkdir(parents=True)
    found = Clone(root, Lab(root / ".lab"))
    found.configure(11300)
    try:
        yield found
    finally:
        found.lab.ask("lab-delete")


def lab_cannot_be_made(clone: Clone) -> Callable[[Clone], None]:
    """The directory of the packages is a file."""
    path = clone.root / ".lab" / "pool"
    path.write_text("in the way")
    return lambda clone: path.unlink()


def host_cannot_be_made(clone: Clone) -> Callable[[Clone], None]:
    """The files at a mount point do not fit into its partition."""
    clone.configure(11300, partitions={"/usr": {"size": "16M"}})
    return lambda clone: clone.configure(11300)


def component_fails(clone: Clone) -> Callable[[Clone], None]:
    """A directory has the name of the config that the change would write."""
    path = "/etc/default/beanstalkd"
    clone.lab.run("front1", f"rm {path}; mkdir -p {path}/of-the-operator")
    clone.configure(11301)
    return lambda clone: clone.lab.run("front1", f"rm -r {path}") and None


def script_is_killed(clone: Clone) -> None:
    """With the engine and its program, in the middle of a change."""
    clone.configure(11302)
    process = clone.start()
    wait_for(lambda: _runs(process.pid, "pulumi.* up "), 30, "the engine")
    time.sleep(0.8)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def _runs(group: int, program: str) -> bool:
    command = ["pgrep", "--pgroup", str(group), "--full", program]
    return subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode == 0


def power_is_cut(clone: Clone) -> None:
    """Of one host."""
    clone.lab.ask("host-kill", "front1")


def supervisor_is_killed(clone: Clone) -> None:
    """And every host with it."""
    os.kill(clone.lab.ask("status")["supervisor"], signal.SIGKILL)
    wait_for(lambda: not clone.lab.processes())


def files_are_deleted(clone: Clone) -> None:
    """Those of one host, while it runs."""
    shutil.rmtree(clone.root / ".lab" / "hosts" / "stable1")


def host_is_made_anew(clone: Clone) -> None:
    """By hand, under its own name."""
    clone.lab.ask("host-delete", "front1")
    clone.lab.ask("host-create", document={"name": "front1"})


@pytest.mark.parametrize("fault", [lab_cannot_be_made, host_cannot_be_made, component_fails])
def test_what_failed_is_said_and_the_next_run_goes_on(
    clone: Clone, fault: Callable[[Clone], Callable[[Clone], None]]
) -> None:
    """The script fails while the fault is there, and finishes the work when it is gone."""
    undo = fault(clone)
    status, output = clone.up()
    assert status != 0, output
    undo(clone)
    clone.expect_all_well()


@pytest.mark.parametrize(
    "fault", [script_is_killed, power_is_cut, supervisor_is_killed, files_are_deleted, host_is_made_anew]
)
def test_what_was_lost_is_there_again_after_one_run(clone: Clone, fault: Callable[[Clone], None]) -> None:
    """Hosts that stopped run again, and those that are gone are made and deployed again."""
    if not clone.lab.hosts:
        clone.expect_all_well()
    fault(clone)
    clone.expect_all_well()
