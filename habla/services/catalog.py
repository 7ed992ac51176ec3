"""The list of services, and everything that follows from the list as a whole.

A new service is one module and one entry in ``SERVICES``; see docs/adding-a-service.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from habla.model.roles import ROLES, Role
from habla.model.service import Service
from habla.services.app import App
from habla.services.cacti import Cacti
from habla.services.haproxy import Haproxy
from habla.services.jabber import Jabber
from habla.services.memcached import Memcached
from habla.services.memqd import Memqd
from habla.services.mysql import Mysql
from habla.services.static import Static

__all__ = ["SERVICES", "beside_balancer", "daemons", "default_roles", "kinds"]

# In the order in which messages and documents list them. The last one is the user's own programs.
SERVICES: tuple[type[Service], ...] = (Haproxy, Memcached, Memqd, Mysql, Jabber, Static, Cacti, App)


def daemons() -> dict[str, type[Service]]:
    """Kind -> class, of the services that a fleet has once, with settings of their own."""
    return {service.kind: service for service in SERVICES if service.section}


def kinds() -> tuple[str, ...]:
    """The kinds of all services."""
    return tuple(service.kind for service in SERVICES)


def beside_balancer() -> tuple[str, ...]:
    """The kinds of services that may run on a host of HAProxy."""
    return tuple(service.kind for service in SERVICES if service.beside_balancer)


def default_roles() -> Mapping[str, Role]:
    """The built-in roles by name, for settings that change none."""
    return {
        role.name: replace(
            role,
            kinds=tuple(service.kind for service in SERVICES if role.name in service.roles),
            defaults=tuple(service.kind for service in SERVICES if role.name in service.default_roles),
        )
        for role in ROLES
    }
