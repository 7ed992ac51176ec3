"""The installed ``habla`` command, run as people run it: with pipes, or on a terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
HABLA = Path(sys.executable).parent / "habla"
HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB9dG4kjRhQTtWTVzd2t27+t0DEHBPW7iOD23TUiYLio"
# The variables that choose a stack, or change the looks of the output.
_OURS = (
    "PULUMI_STACK",
    "PULUMI_HOME",
    "PULUMI_BACKEND_URL",
    "NO_COLOR",
    "COLUMNS",
    "SSH_AUTH_SOCK",
    "_HABLA_COMPLETE",
)


def environment(**changes: str) -> dict[str, str]:
    """The environment of a user who has chosen nothing yet, with changes."""
    kept = {name: value for name, value in os.environ.items() if name not in _OURS}
    return {**kept, "PULUMI_HOME": "/nonexistent", **changes}


def habla(*words: str, cwd: Path = ROOT, **changes: str) -> subprocess.CompletedProcess[str]:
    """Run ``habla`` with pipes. changes: variables of its environment."""
    return subprocess.run(
        [HABLA, *words],
        cwd=cwd,
        env=environment(**changes),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def on_terminal(*words: str, columns: int, cwd: Path = ROOT, typed: str = "", **changes: str) -> list[str]:
    """Run ``habla`` on a terminal of this width; the lines that it shows. typed: what its user types."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    variables = environment(TERM="xterm-256color", **changes)
    with subprocess.Popen(
        [HABLA, *words], cwd=cwd, env=variables, stdin=theirs, stdout=theirs, stderr=subprocess.DEVNULL
    ) as process:
        os.close(theirs)
        os.write(ours, typed.encode())
        shown = read_terminal(ours)
        process.wait()
    return shown.replace("\r\n", "\n").splitlines()


def read_terminal(ours: int) -> str:
    """All that programs write to a terminal, until the last of them has closed it. ours: its other end."""
    shown = b""
    try:
        while part := os.read(ours, 65536):
            shown += part
    except OSError:
        pass  # The other end is closed.
    os.close(ours)
    return shown.decode()


def project(directory: Path, *stacks: str) -> Path:
    """A project with copies of these stacks of the repository."""
    (directory / "stacks").mkdir(parents=True)
    for name in ("Pulumi.yaml", "examples"):
        (directory / name).symlink_to(ROOT / name)
    for stack in stacks:
        for name in (f"Pulumi.{stack}.yaml", f"addresses.{stack}.yaml"):
            (directory / "stacks" / name).write_text((ROOT / "stacks" / name).read_text("utf-8"), "utf-8")
    return directory


def remote_project(directory: Path, port: int) -> Path:
    """A project with one stack, ``remote``, whose only host is reached on a port of the loopback address."""
    ssh = {"address": "127.0.0.1", "port": port, "host_key": HOST_KEY}
    front = {"role": "front", "outside_address": "203.0.113.10", "ssh": ssh}
    config = {"habla:load_balancer": {"dialect": "2.x"}, "habla:hosts": {"front1": front}}
    (directory / "stacks").mkdir(parents=True)
    (directory / "Pulumi.yaml").write_text("name: habla\nruntime: python\nstackConfigDir: stacks\n")
    (directory / "stacks" / "Pulumi.remote.yaml").write_text(yaml.safe_dump({"config": config}))
    return directory
