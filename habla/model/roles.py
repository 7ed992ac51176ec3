"""Roles: the purpose of a machine, its range of addresses, and the services that it may run.

The roles are data. ``habla:roles`` of a stack changes them or adds to them. Ranges are offsets in a /24;
another network needs ranges of its own. The services themselves name the roles that may hold them
(``habla.services.catalog``).
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass

__all__ = ["ROLES", "Role"]


@dataclass(frozen=True)
class Role:
    """A role: the purpose of a machine.

    offsets: first and last address as offsets in a /24. kinds: kinds of services that its hosts may run.
    defaults: kinds that each of its hosts runs unless the settings have others.
    volatile: whether its hosts may run programs that may use up their machine.
    """

    name: str
    offsets: tuple[tuple[int, int], ...] = ()
    _: KW_ONLY
    kinds: tuple[str, ...] = ()
    defaults: tuple[str, ...] = ()
    volatile: bool = False


ROLES = (
    Role("front", ((10, 19),)),
    Role("monitor", ((20, 29),)),
    Role("stable", ((100, 119),)),
    Role("web", ((120, 139),)),
    Role("volatile", ((200, 219),), volatile=True),
)
