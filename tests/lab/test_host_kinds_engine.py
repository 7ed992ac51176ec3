"""What a user of ``pulumi up`` sees of hosts that habla cannot use, while the others are done."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hosts import Lab

from stacks import PULUMI, Stack

pytestmark = [pytest.mark.lab, pytest.mark.engine]

_NAMES = ("fine", "shell", "python", "link", "sudo")


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    """A host for each kind of fault, and one without."""
    if not PULUMI.exists():
        pytest.skip("no pulumi CLI: make toolchain")
    lab = Lab(tmp_path / "lab")
    try:
        lab.create("iproute2", "logrotate")
        lab.together(*({"name": name, "outside_address": None, "forwards": {}} for name in _NAMES))
        yield lab
    finally:
        lab.ask("lab-delete")


def test_each_host_is_named_with_its_fault_and_the_next_up_is_well(lab: Lab, tmp_path: Path) -> None:
    """Each fault has host, fact, need and fix; other hosts are done, and mended ones at the next up."""
    faults = {
        "shell": ("usermod -s /usr/sbin/nologin operator", "usermod -s /bin/bash operator"),
        "python": ("mv /usr/bin/python3 /usr/bin/python3.away", "mv /usr/bin/python3.away /usr/bin/python3"),
        "link": (
            "ip link set internal0 down; ip link set internal0 name wrong0",
            "ip link set wrong0 down; ip link set wrong0 name internal0; ip link set internal0 up",
        ),
        "sudo": ("mv /etc/sudoers.d /etc/sudoers.away", "mv /etc/sudoers.away /etc/sudoers.d"),
    }
    stack = Stack(tmp_path / "stack", lab, machines={name: name for name in _NAMES})
    stack.settings["hosts"] = {name: {"role": "web"} for name in _NAMES}
    for name, (do, _) in faults.items():
        lab.run(name, do)
    users = {"shell": "operator", "sudo": "operator"}
    stack.users.update(users)
    done = stack.up("--continue-on-error")
    assert not done.ok
    words = done.diagnostics
    assert "no()" not in words, words
    for line in (
        "habla: python: it has no python3, and habla needs Python 3.9 or newer with its standard library",
        "habla: link: step begin: interface: this host has no network interface internal0, only ",
        "habla: sudo: operator may not use sudo without a password (sudo: a password is required), and ",
        "habla on shell needs a login shell that runs commands: usermod -s /bin/bash operator",
        "This account is currently not available.",
    ):
        assert line in words, words
    for name in ("shell", "python", "sudo"):
        assert f"{name}-contact" in words
        assert lab.run(name, "find /root /home /usr/local /var/lib -name '*habla*'") == ""
    assert "fine-" not in words
    for name, (_, undo) in faults.items():
        lab.run(name, undo)
    done = stack.up()
    assert done.ok, done.output
    assert stack.as_planned()
    assert stack.up().unchanged
    assert stack.destroy().ok
