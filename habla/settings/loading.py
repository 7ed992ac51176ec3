"""Raw values of a stack -> Settings, with every fault reported at once and its YAML path."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from habla.errors import Fault, SettingsError, not_one_of, raise_faults
from habla.model.disk import AlertsSpec, LogsSpec, MountPoint, PartitionSpec
from habla.model.names import DEFAULT_DOMAIN, DnsName, HostName, RoleName, SecretName, ServiceName
from habla.model.spec import Spec
from habla.model.text_types import matching
from habla.services.app_spec import AppSpec
from habla.services.catalog import daemons
from habla.settings.fault_words import rule_of, validation_faults
from habla.settings.fleet_faults import fleet_faults
from habla.settings.models import (
    HostSettings,
    LabSettings,
    NetworkSettings,
    RoleSettings,
    Settings,
    SshSettings,
)
from habla.settings.section_merging import with_domain
from habla.settings.sections import SERVICES, section_names, service_settings, services_model
from habla.settings.unknown_keys import belongs_to, path_text, unknown_key

__all__ = ["load_settings"]

T = TypeVar("T")
_DOMAIN: TypeAdapter[str] = TypeAdapter(
    Annotated[
        DnsName,
        matching(".*", "up to 110 characters, because longer names are made from it", most=110),
    ]
)


def load_settings(environment: str, raw: Mapping[str, Any]) -> Settings:
    """Check the sections of a stack and how they fit together.

    raw: section -> plain YAML values; under ``secrets`` only the names count, the values are not looked at.
    Raises SettingsError with all faults found.
    """
    faults: list[Fault] = []
    raw = with_domain(raw, raw.get("domain"), faults=faults)
    for section in raw:
        if section not in section_names():
            faults.append(unknown_key((section,)))
    domain = raw.get("domain", DEFAULT_DOMAIN)
    network = _one(NetworkSettings, "network", value=raw.get("network", {}), faults=faults)
    services = _one(services_model(), SERVICES, value=raw.get(SERVICES, {}), faults=faults)
    sections: dict[str, Spec | None] = {SERVICES: services}
    for service in daemons().values():
        if "." not in service.section:
            value = raw.get(service.section, {})
            sections[service.section] = _one(service.Settings, service.section, value=value, faults=faults)
    ssh = _one(SshSettings, "ssh", value=raw.get("ssh", {}), faults=faults)
    lab = _one(LabSettings, "lab", value=raw["lab"], faults=faults) if raw.get("lab") is not None else None
    roles = _many(RoleSettings, "roles", value=raw.get("roles", {}), names=RoleName, faults=faults)
    hosts = _many(HostSettings, "hosts", value=raw.get("hosts", {}), names=HostName, faults=faults)
    apps = _many(AppSpec, "apps", value=raw.get("apps", {}), names=ServiceName, faults=faults)
    logs = _one(LogsSpec, "logs", value=raw.get("logs", {}), faults=faults)
    alerts = _one(AlertsSpec, "alerts", value=raw.get("alerts", {}), faults=faults)
    partitions = _many(
        PartitionSpec, "partitions", value=raw.get("partitions", {}), names=MountPoint, faults=faults
    )
    start_empty = _start_empty(raw.get("start_empty"), apps, faults=faults)
    secrets = _named(raw.get("secrets", {}), "secrets", names=SecretName, faults=faults)
    try:
        _DOMAIN.validate_python(domain)
    except ValidationError as error:
        faults.extend(validation_faults(("domain",), error, value=domain))
    if not raw.get("hosts"):
        fix = "add at least one host under habla:hosts"
        faults.append(
            Fault("hosts", "the fleet is empty", rule="a stack must have at least one host", fix=fix)
        )
    faults.extend(fleet_faults(hosts, roles, apps=apps, ssh=ssh, lab=lab))
    raise_faults(SettingsError, faults)
    valid = {name: model for name, model in sections.items() if model is not None}
    if not (network and services and ssh and logs and alerts):  # pragma: no cover
        raise AssertionError("a section failed without a fault")
    return Settings(
        environment=environment,
        domain=domain,
        network=network,
        roles=roles,
        hosts=hosts,
        services=service_settings(valid),
        snmp=services.snmp,
        apps=apps,
        ssh=ssh,
        lab=lab,
        partitions=partitions,
        logs=logs,
        alerts=alerts,
        start_empty=start_empty,
        secrets=frozenset(secrets),
    )


def _start_empty(value: Any, apps: Mapping[str, AppSpec], *, faults: list[Fault]) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        rule = "a list of services, such as [mysql]"
        faults.append(
            Fault("start_empty", "not a list of names", value=str(value), rule=rule, fix="correct it")
        )
        return ()
    known = (*daemons(), *apps)
    for index, name in enumerate(value):
        if name not in known:
            path = f"start_empty[{index}]"
            faults.append(not_one_of(path, "unknown service", value=name, known=known))
    return tuple(value)


def _one(model: type[T], *steps: str, value: Any, faults: list[Fault]) -> T | None:
    """steps: the way to the value."""
    try:
        # By way of JSON, for there strict mode takes a string for an address and a list for a tuple.
        text = json.dumps({} if value is None else value, default=str, allow_nan=False)
        return TypeAdapter(model).validate_json(text)
    except ValidationError as error:
        faults.extend(validation_faults(steps, error, value=value))
    except (TypeError, ValueError, RecursionError) as error:
        # A program of a user may give anything.
        rule = "settings are texts, numbers, lists, and mappings of texts to these"
        path = path_text(steps)
        faults.append(Fault(path, "not plain values", value=str(error), rule=rule, fix="correct it"))
    return None


def _many(model: type[T], section: str, *, value: Any, names: Any, faults: list[Fault]) -> dict[str, T]:
    """Each entry by itself, so that a fault in one does not hide those of another."""
    found = {}
    for name, item in _named(value, section, names=names, faults=faults).items():
        entry = _one(model, section, name, value=item, faults=faults)
        if entry is not None:
            found[name] = entry
    return found


def _named(value: Any, section: str, *, names: Any, faults: list[Fault]) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        shown = type(value).__name__
        faults.append(Fault(section, "not a mapping", value=shown, rule="name: {…}", fix="write NAME: {…}"))
        return {}
    adapter = TypeAdapter(names)
    for name in value:
        try:
            adapter.validate_python(name)
        except ValidationError as error:
            what = "not a name that can be used"
            rule, fix = rule_of(error), belongs_to((section, str(name)), most=1) or "rename it"
            faults.append(Fault(f"{section}.{name}", what, value=str(name), rule=rule, fix=fix))
    return {str(name): item for name, item in value.items()}
