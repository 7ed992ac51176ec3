"""The sections of a stack, as far as they follow from the list of services."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from pydantic import create_model

from habla.model.disk import AlertsSpec, LogsSpec, PartitionSpec
from habla.model.service import Service
from habla.model.snmp import SnmpSpec
from habla.model.spec import Spec
from habla.services.app_spec import AppSpec
from habla.services.catalog import daemons
from habla.settings.models import HostSettings, LabSettings, NetworkSettings, RoleSettings, SshSettings

__all__ = ["SERVICES", "section_names", "section_types", "service_settings", "services_model"]

SERVICES = "services"


def section_types() -> dict[str, Any]:
    """Section -> the type of its value, in the order in which messages list them."""
    own = [service for service in daemons().values() if "." not in service.section]
    return {
        "domain": str,
        "network": NetworkSettings,
        "roles": dict[str, RoleSettings],
        "hosts": dict[str, HostSettings],
        SERVICES: services_model(),
        "apps": dict[str, AppSpec],
        **{service.section: service.Settings for service in own},
        "ssh": SshSettings,
        "lab": LabSettings | None,
        "partitions": dict[str, PartitionSpec],
        "logs": LogsSpec,
        "alerts": AlertsSpec,
        "start_empty": list[str],
        "secrets": dict[str, str],
    }


def section_names() -> tuple[str, ...]:
    """The names of all sections."""
    return tuple(section_types())


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
