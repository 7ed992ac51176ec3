"""Roles: what a machine is for, where its addresses lie, and what may be placed on it.

All of it is data. The defaults are the fleet's rules (rows 2, 3 and 7): ``habla:roles`` of a stack changes or
adds to them. Ranges are offsets in a /24; another network needs ranges of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["APP", "BALANCER_COMPANY", "DEFAULT_ROLES", "EVERYWHERE", "SERVICE_KINDS", "Role"]

APP = "app"
SERVICE_KINDS = ("haproxy", "memcached", "memqd", "mysql", "jabber", "static", "cacti", APP)
# Row 2: the machine of HAProxy gives only these besides.
BALANCER_COMPANY = ("haproxy", "memcached", "memqd", "mysql")
# What watches a host stands on every one, whatever its role.
EVERYWHERE = ("partitions", "snmp", "system-logs", "watch")


@dataclass(frozen=True)
class Role:
    """A role.

    offsets: first and last address as offsets in a /24. kinds: service kinds that may be placed on it.
    defaults: kinds that each of its hosts runs unless told otherwise. volatile: whether programs that can
    run away may be placed on it.
    """

    name: str
    offsets: tuple[tuple[int, int], ...]
    kinds: tuple[str, ...]
    defaults: tuple[str, ...] = ()
    volatile: bool = False


DEFAULT_ROLES = {
    role.name: role
    for role in (
        Role("front", ((10, 19),), BALANCER_COMPANY, BALANCER_COMPANY),
        Role("monitor", ((20, 29),), ("cacti", APP), ("cacti",)),
        Role("stable", ((100, 119),), ("jabber", "static", APP), ("jabber", "static", APP)),
        Role("web", ((120, 139),), ("static", APP), (APP,)),
        Role("volatile", ((200, 219),), (APP,), (APP,), volatile=True),
    )
}
