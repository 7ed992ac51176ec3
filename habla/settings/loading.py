"""Raw values of a stack -> Settings, with every fault reported at once and its YAML path."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from habla.errors import Fault, SettingsError, raise_faults
from habla.model.disk import AlertsSpec, LogsSpec, MountPoint, PartitionSpec
from habla.model.names import DnsName, HostName, RoleName, SecretName, ServiceName
from habla.model.spec import Spec
from habla.services.app_spec import AppSpec
from habla.services.catalog import daemons, default_roles, kinds
from habla.settings.models import (
    HostSettings,
    LabSettings,
    NetworkSettings,
    RoleSettings,
    Settings,
    SshSettings,
)
from habla.settings.sections import SERVICES, section_names, service_settings, services_model

__all__ = ["load_settings"]

T = TypeVar("T")
_NAME_RULES = {
    "secrets": "lower-case letters, digits, dots, dashes and slashes",
    "partitions": "an absolute path",
    "roles": "lower-case letters, digits and hyphens, up to 63 characters, beginning with a letter",
}
_DOMAIN: TypeAdapter[str] = TypeAdapter(DnsName)


def load_settings(environment: str, raw: Mapping[str, Any]) -> Settings:
    """Check the sections of a stack and how they fit together.

    raw: section -> plain YAML values; under ``secrets`` only the names count, the values are not looked at.
    Raises SettingsError with all faults found.
    """
    faults: list[Fault] = []
    for section in raw:
        if section not in section_names():
            faults.append(_unknown(section, section_names()))
    domain = raw.get("domain", "hab.la")
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
        faults.extend(_faults("domain", error, model=None))
    if not raw.get("hosts"):
        fix = "add at least one host under habla:hosts"
        faults.append(
            Fault("hosts", "the fleet is empty", rule="a stack describes at least one host", fix=fix)
        )
    faults.extend(_fleet_faults(hosts, roles, apps=apps, ssh=ssh, lab=lab))
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
            faults.append(_not_one_of(path, "unknown service", value=name, known=known))
    return tuple(value)


def _fleet_faults(
    hosts: Mapping[str, HostSettings],
    roles: Mapping[str, RoleSettings],
    *,
    apps: Mapping[str, AppSpec],
    ssh: SshSettings | None,
    lab: LabSettings | None,
) -> list[Fault]:
    """What each section cannot see alone. Sections that are wrong in themselves are left out by then."""
    known = sorted({*default_roles(), *roles})
    runnable = (*daemons(), *apps)
    faults = []
    for name, change in roles.items():
        for key, chosen in (("services", change.services), ("defaults", change.defaults)):
            for index, kind in enumerate(chosen or ()):
                if kind not in kinds():
                    path = f"roles.{name}.{key}[{index}]"
                    faults.append(_not_one_of(path, "unknown kind of service", value=kind, known=kinds()))
    for name, host in hosts.items():
        if host.role not in known:
            faults.append(_not_one_of(f"hosts.{name}.role", "unknown role", value=host.role, known=known))
        for index, service in enumerate(host.services or ()):
            if service not in runnable:
                path = f"hosts.{name}.services[{index}]"
                faults.append(_not_one_of(path, "unknown service", value=service, known=runnable))
        faults.extend(_connection_faults(name, host, ssh=ssh, lab=lab))
    for name, app in apps.items():
        for index, role in enumerate(app.roles):
            if role not in known:
                faults.append(
                    _not_one_of(f"apps.{name}.roles[{index}]", "unknown role", value=role, known=known)
                )
        if app.balanced and app.health is None:
            rule = "what HAProxy sends requests to must say how it is checked"
            fix = "add health: {path: /…}"
            faults.append(Fault(f"apps.{name}.health", "missing", rule=rule, fix=fix))
        if (app.balanced or app.health) and app.port is None:
            rule = "a program that answers requests says on which port"
            faults.append(Fault(f"apps.{name}.port", "missing", rule=rule, fix="add port: NUMBER"))
    return faults


def _connection_faults(
    name: str, host: HostSettings, *, ssh: SshSettings | None, lab: LabSettings | None
) -> list[Fault]:
    if host.ssh is None and lab is not None:
        return []
    path = f"hosts.{name}.ssh"
    faults = []
    if host.ssh is None or host.ssh.address is None:
        fix = "add ssh: {address: …, host_key: …}, or a habla:lab section to make the hosts on this machine"
        faults.append(
            Fault(
                f"{path}.address",
                "missing",
                rule="a host outside the lab is reached by SSH",
                fix=fix,
            )
        )
    if host.ssh is None or host.ssh.host_key is None:
        fix = "add its public host key, as `ssh-keyscan -t ed25519 ADDRESS` prints it after the address"
        faults.append(
            Fault(f"{path}.host_key", "missing", rule="outside the lab host keys are pinned", fix=fix)
        )
    if ssh is not None and ssh.address is not None:
        rule = "an address belongs to one host"
        faults.append(
            Fault("ssh.address", "not for all hosts", value=ssh.address, rule=rule, fix="move it to the host")
        )
    return faults


def _one(model: type[T], path: str, *, value: Any, faults: list[Fault]) -> T | None:
    try:
        # By way of JSON, for there strict mode takes a string for an address and a list for a tuple.
        text = json.dumps({} if value is None else value, default=str, allow_nan=False)
        return TypeAdapter(model).validate_json(text)
    except ValidationError as error:
        faults.extend(_faults(path, error, model=model))
    except (TypeError, ValueError, RecursionError) as error:
        # A program of a user may give anything.
        rule = "settings are texts, numbers, lists, and mappings of texts to these"
        faults.append(Fault(path, "not plain values", value=str(error), rule=rule, fix="correct it"))
    return None


def _many(model: type[T], path: str, *, value: Any, names: Any, faults: list[Fault]) -> dict[str, T]:
    """Each entry by itself, so that a fault in one does not hide those of another."""
    found = {}
    for name, item in _named(value, path, names=names, faults=faults).items():
        entry = _one(model, f"{path}.{name}", value=item, faults=faults)
        if entry is not None:
            found[name] = entry
    return found


def _named(value: Any, path: str, *, names: Any, faults: list[Fault]) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        faults.append(
            Fault(path, "not a mapping", value=type(value).__name__, rule="name: {…}", fix="write NAME: {…}")
        )
        return {}
    adapter = TypeAdapter(names)
    for name in value:
        try:
            adapter.validate_python(name)
        except ValidationError:
            rule = "lower-case letters, digits and dashes, as in the DNS"
            rule = _NAME_RULES.get(path, rule)
            faults.append(
                Fault(
                    f"{path}.{name}",
                    "not a name that can be used",
                    value=str(name),
                    rule=rule,
                    fix="rename it",
                )
            )
    return {str(name): item for name, item in value.items()}


def _faults(path: str, error: ValidationError, *, model: Any) -> list[Fault]:
    faults = []
    for detail in error.errors(include_url=False):
        where = path
        for part in detail["loc"]:
            where += f"[{part}]" if isinstance(part, int) else f".{part}"
        message = detail["msg"].removeprefix("Value error, ")
        value = detail["input"]
        shown = "" if isinstance(value, (dict, list)) else str(value)
        if detail["type"] == "extra_forbidden":
            faults.append(_unknown(where, _keys(model, detail["loc"][:-1])))
        elif detail["type"] == "missing":
            faults.append(Fault(where, "missing", rule="this key is required", fix="add it"))
        else:
            faults.append(Fault(where, "not valid", value=shown, rule=message, fix="correct the value"))
    return faults


def _keys(model: Any, loc: tuple[int | str, ...]) -> tuple[str, ...]:
    """The known keys of the model at ``loc`` below ``model``."""
    for part in loc:
        field = getattr(model, "model_fields", {}).get(part)
        if field is None:
            continue
        candidates = [field.annotation, *getattr(field.annotation, "__args__", ())]
        model = next((c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)), model)
    return tuple(getattr(model, "model_fields", ()))


def _unknown(path: str, known: tuple[str, ...]) -> Fault:
    key = path.rpartition(".")[2]
    close = difflib.get_close_matches(key, known, n=1)
    fix = f"did you mean {close[0]}?" if close else "remove it"
    return Fault(path, "unknown key", rule=f"known here: {', '.join(known)}", fix=fix)


def _not_one_of(path: str, what: str, *, value: str, known: Any) -> Fault:
    close = difflib.get_close_matches(value, known, n=1)
    fix = f"did you mean {close[0]}?" if close else "choose one of these"
    return Fault(path, what, value=value, rule=f"known: {', '.join(known)}", fix=fix)
