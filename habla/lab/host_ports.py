"""The loopback ports of the hosts of a lab: one to each host's SSH, and one for each of its forwards."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from habla.lab.forward import Forward, Network, Target, listen
from habla.lab.lab_host import LabHost
from habla.lab.lab_network import LabNetwork
from habla.lab.records import HostRecord, Port

__all__ = ["HostPorts"]

_SSH = "ssh"


class HostPorts:
    """All open ports of one lab.

    machine: file descriptor of the machine's network namespace, in which they listen. start: where the search
    for a free port begins, so that two labs seldom look at the same ports.
    """

    def __init__(self, network: LabNetwork, machine: int, *, start: int) -> None:
        self._network = network
        self._machine = machine
        self._start = start
        self._open: dict[tuple[str, str], Forward] = {}

    async def open(self, host: LabHost, record: HostRecord, *, others: Iterable[HostRecord]) -> HostRecord:
        """Open the ports of a host, recorded or newly chosen, and close those that it no longer has.

        record: the wanted state of the host. others: the records of all hosts, whose ports are not chosen.
        Returns the record with all ports chosen. Raises LabError if a port is in use.
        """
        wanted: dict[str, tuple[Port, Target]] = {
            _SSH: (record.ssh, Target(self._network.inside, host.address, record.ssh.port))
        }
        for name, port in record.forwards.items():
            network: Network = host.own_network if port.itself else self._network.outside
            target = Target(network, port.address or record.outside_address or "", port.port)
            wanted[f"to {name}"] = (port, target)
        await self._close(key for key in self._of(record.name) if key[1] not in wanted)
        taken = {number for other in others for number in _numbers(other)}
        chosen = {}
        for name, (port, target) in wanted.items():
            forward = self._open.get((record.name, name))
            if forward is not None and (forward.target != target or port.listen not in (0, forward.listen)):
                await self._close([(record.name, name)])
                forward = None
            if forward is None:
                forward = Forward(listen(self._machine, port.listen, start=self._start, taken=taken), target)
                await forward.start()
                self._open[record.name, name] = forward
            taken.add(forward.listen)
            chosen[name] = replace(port, listen=forward.listen)
        ssh = chosen.pop(_SSH)
        return replace(record, ssh=ssh, forwards={name[3:]: port for name, port in chosen.items()})

    async def close(self, name: str) -> None:
        """Close all ports of a host."""
        await self._close(self._of(name))

    def _of(self, name: str) -> list[tuple[str, str]]:
        return [key for key in self._open if key[0] == name]

    async def _close(self, keys: Iterable[tuple[str, str]]) -> None:
        for key in list(keys):
            await self._open.pop(key).stop()


def _numbers(record: HostRecord) -> list[int]:
    return [record.ssh.listen, *(port.listen for port in record.forwards.values())]
