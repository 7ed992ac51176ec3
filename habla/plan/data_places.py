"""Remembers the places of data, and finds changes that would start a service without its data. Pure.

A service that moves to another machine, or gets another name, finds an empty directory there, while its data
stays at the old place without a word. Such a change is a fault; ``start_empty`` of a stack allows it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import KW_ONLY, dataclass

from habla.errors import Fault
from habla.model.service import Service
from habla.model.site import Site

__all__ = ["DataPlace", "data_faults", "data_places"]


@dataclass(frozen=True)
class DataPlace:
    """The data of one service. name: of the data itself, such as a database's. paths: its directories.

    hosts: host -> machine (``ADDRESS:PORT`` of SSH); "" for a host of a lab, which is made anew under another
    name. needs_host_name: the data is of no use on a host of another name.
    """

    name: str
    paths: tuple[str, ...]
    hosts: Mapping[str, str]
    _: KW_ONLY
    needs_host_name: bool = False


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
            hosts = {**(before.hosts if before else {}), host: machines.get(host, "")}
            found[service.name] = DataPlace(
                service.data_name(sites[host]), paths, hosts, needs_host_name=service.data_needs_host_name
            )
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
                yield _fault(service, place, was=was, reason="the data has another name now")
        elif was.name != place.name:
            yield _fault(
                service, place, was=was, reason=f"the data there is of {was.name}, not of {place.name}"
            )
        elif not _kept(was, place):
            reason = "the service does not run on any of these hosts now"
            if set(was.hosts) & set(place.hosts):
                reason = "each of these hosts is another machine now"
            yield _fault(service, place, was=was, reason=reason)


def _kept(was: DataPlace, now: DataPlace) -> bool:
    """Whether one host keeps the data: its machine is the same, perhaps under another name.

    A machine that is not known, such as that of a lab, is the same as long as its host has the same name.
    """
    for host, machine in now.hosts.items():
        if host in was.hosts and (machine == was.hosts[host] or not machine or not was.hosts[host]):
            return True
        if machine and machine in was.hosts.values() and not now.needs_host_name:
            return True
    return False


def _fault(service: str, now: DataPlace, *, was: DataPlace, reason: str) -> Fault:
    return Fault(
        f"start_empty.{service}",
        f"{service} would start with empty data on {', '.join(sorted(now.hosts))}",
        value=", ".join(now.paths),
        rule=f"its data is in {', '.join(was.paths)} on {', '.join(sorted(was.hosts))}, and {reason}",
        fix=f"undo the change; or copy the data first, then add {service} to habla:start_empty for one "
        "deployment",
    )
