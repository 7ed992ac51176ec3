"""The sections of a stack, as far as they follow from the list of services."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from pydantic import create_model

from habla.model.service import Service
from habla.model.snmp import SnmpSpec
from habla.model.spec import Spec
from habla.services.catalog import daemons

__all__ = ["SERVICES", "section_names", "service_settings", "services_model"]

SERVICES = "services"
# The sections that every stack may have, in the order in which messages list them. Sections of one service
# come in between.
_BEFORE = ("domain", "network", "roles", "hosts", SERVICES, "apps")
_AFTER = ("ssh", "lab", "partitions", "logs", "alerts", "start_empty", "secrets")


def section_names() -> tuple[str, ...]:
    """The names of all sections."""
    own = (service.section for service in daemons().values() if "." not in service.section)
    return (*_BEFORE, *own, *_AFTER)


class HostsServices(Spec):
    """The part of the section ``services`` that concerns every host: how snmpd is asked."""

    snmp: SnmpSpec = SnmpSpec()


def services_model() -> type[HostsServices]:
    """The model of the section ``services``: a field for each service, and one for snmpd on every host."""
    return _services_model(tuple(daemons().values()))


@functools.cache
def _services_model(services: tuple[type[Service], ...]) -> type[HostsServices]:
    models: dict[str, type[Spec]] = {
        service.section.removeprefix(f"{SERVICES}."): service.Settings
        for service in services
        if service.section.startswith(f"{SERVICES}.")
    }
    fields: dict[str, Any] = {name: (model, model()) for name, model in models.items()}
    made: type[HostsServices] = create_model("ServicesSettings", __base__=HostsServices, **fields)
    return made


def service_settings(sections: Mapping[str, Spec]) -> dict[str, Spec]:
    """Kind -> settings. sections: the valid sections of a stack that hold settings of services."""
    found = {}
    for kind, service in daemons().items():
        section, _, key = service.section.partition(".")
        found[kind] = getattr(sections[section], key) if key else sections[section]
    return found
