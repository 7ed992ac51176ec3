"""Where the data of services was last, and changes that would start one of them with empty data. Pure.

A service that moves to another host, or that gets another name, finds an empty directory there, while its
data is somewhere else and nobody says so. Such a change is a fault; ``start_empty`` of a stack allows it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from habla.errors import Fault
from habla.model.service import Service
from habla.model.site import Site

__all__ = ["DataPlace", "data_faults", "data_places"]


@dataclass(frozen=True)
class DataPlace:
    """The data of one service. name: of the data itself, such as a database's. paths: its directories.

    hosts: host -> machine (``ADDRESS:PORT`` of SSH); "" for a host of a lab, which is made anew under another
    name, and for data that is of no use under another name.
    """

    name: str
    paths: tuple[str, ...]
    hosts: Mapping[str, str]


def data_places(
    sites: Mapping[str, Site], placed: Mapping[str, Iterable[Service]], *, machines: Mapping[str, str]
) -> dict[str, DataPlace]:
    """Service -> where its data will be, of all services that keep data. machines: host -> machine."""
    found: dict[str, DataPlace] = {}
    for host, services in sorted(placed.items()):
        for service in services:
            paths = service.data_paths()
            if not paths:
                continue
            before = found.get(service.name)
            machine = "" if service.data_needs_host_name else machines.get(host, "")
            hosts = {**(before.hosts if before else {}), host: machine}
            found[service.name] = DataPlace(service.data_name(sites[host]), paths, hosts)
    return found


def data_faults(
    before: Mapping[str, DataPlace], now: Mapping[str, DataPlace], *, allowed: Iterable[str]
) -> Iterator[Fault]:
    """Services that would start with empty data. allowed: those that may."""
    for service, place in now.items():
        if service in allowed:
            continue
        was = before.get(service)
        if was is None:
            was = next(
                (old for name, old in before.items() if name not in now and old.name == place.name), None
            )
            if was is not None:
                yield _fault(service, place, was=was, reason="it has another name now")
        elif was.name != place.name:
            yield _fault(
                service, place, was=was, reason=f"the data there is of {was.name}, not of {place.name}"
            )
        elif not _kept(was, place):
            yield _fault(service, place, was=was, reason="it runs on none of these hosts any more")


def _kept(was: DataPlace, now: DataPlace) -> bool:
    """Whether one host keeps the data: it is the same, or it is the same machine under another name."""
    machines = set(was.hosts.values()) - {""}
    return bool(set(was.hosts) & set(now.hosts)) or bool(machines & set(now.hosts.values()))


def _fault(service: str, now: DataPlace, *, was: DataPlace, reason: str) -> Fault:
    return Fault(
        f"start_empty.{service}",
        f"{service} would start with empty data on {', '.join(sorted(now.hosts))}",
        value=", ".join(now.paths),
        rule=f"its data is in {', '.join(was.paths)} on {', '.join(sorted(was.hosts))}, and {reason}",
        fix=f"take the change back; or copy the data first, then add {service} to habla:start_empty for one "
        "deployment",
    )
