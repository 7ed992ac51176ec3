"""The HAProxy instances of a host, as ``/etc/habla/haproxy.json`` describes them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Dict

__all__ = ["LEFT_OUT", "OLD", "RUNNING", "STATE", "Instance", "directory", "flag", "load", "unit", "write"]

#: Files in the directory of an instance below /run: the config that runs, the servers that it leaves out, the
#: state of servers for 2.x, and the processes that 1.3 has replaced.
RUNNING, LEFT_OUT, STATE, OLD = "haproxy.cfg", "left-out.json", "servers", "replaced.json"


@dataclass(frozen=True)
class Instance:
    """An instance. old: whether it speaks 1.3. run: its directory below /run.

    stop_after: the seconds after which a replaced process ends. stats_port: of the statistics page.
    """

    name: str
    old: bool
    config: str
    run: str
    unit: str
    stats_port: int
    stop_after: int

    @property
    def responder(self) -> str:
        """The word of a server line in front of the responder's port."""
        return "port" if self.old else "agent-port"

    def path(self, name: str) -> Path:
        """A file of its directory below /run."""
        return Path(self.run) / name


def load(path: str) -> Dict[str, Instance]:
    """Name -> instance. Raises OSError and ValueError."""
    found = json.loads(Path(path).read_text("utf-8"))
    return {name: Instance(name, **values) for name, values in found.items()}


def directory(name: str) -> str:
    """The directory below /run of the instance of this name."""
    return f"/run/haproxy-{name}"


def unit(name: str) -> str:
    """The unit of the instance of this name."""
    return f"haproxy@{name}.service"


def flag(name: str) -> Path:
    """The file that puts an instance into maintenance for as long as it is there."""
    return Path(f"/etc/habla/maintenance-{name}")


def write(path: Path, text: str) -> None:
    """Replace a file in one step."""
    new = path.with_name(path.name + ".new")
    new.write_text(text, "utf-8")
    new.replace(path)
