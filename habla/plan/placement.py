"""The rules of placement, applied before any host is touched. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from habla.errors import Fault
from habla.model.roles import Role
from habla.model.service import Service, Stability
from habla.services.catalog import beside_balancer

__all__ = ["placement_faults"]


def placement_faults(placement: Mapping[str, tuple[Role, Sequence[Service]]]) -> list[Fault]:
    """Every breach of a placement rule; each names the rule, the host and the service.

    placement: host name -> its role and the services that it would run.
    """
    faults = []
    for host, (role, services) in sorted(placement.items()):
        balanced = any(service.balances for service in services)
        stable = sorted(item.name for item in services if item.stability is Stability.STABLE)
        for service in services:
            path = f"hosts.{host}.services"
            volatile = service.stability is Stability.VOLATILE
            if service.kind not in role.kinds:
                what = f"{service.name} may not run on a host of role {role.name}"
                rule = f"role {role.name} allows only {', '.join(role.kinds) or 'nothing'}"
                fix = f"move {service.name} to a host of another role"
                faults.append(Fault(path, what, value=service.name, rule=rule, fix=fix))
            elif balanced and not service.beside_balancer:
                what = f"{service.name} would share a host with HAProxy"
                rule = f"a host of HAProxy runs only {', '.join(beside_balancer())}"
                fix = f"move {service.name} to another host"
                faults.append(Fault(path, what, value=service.name, rule=rule, fix=fix))
            if volatile and not role.volatile:
                what = f"{service.name} is volatile, and role {role.name} is not"
                rule = "volatile services run only on hosts of a volatile role"
                fix = f"move {service.name} to a host of role volatile"
                faults.append(Fault(path, what, value=service.name, rule=rule, fix=fix))
            if volatile and stable:
                what = f"{service.name} is volatile and would share a host with {', '.join(stable)}"
                rule = "stable services run on machines that run only stable services"
                fix = f"move {service.name} or {', '.join(stable)}"
                faults.append(Fault(path, what, value=service.name, rule=rule, fix=fix))
    return faults
