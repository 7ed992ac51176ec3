"""Which services may stand on which host: the rules, applied before any host is touched. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from habla.errors import Fault
from habla.model.roles import BALANCER_COMPANY, EVERYWHERE, Role
from habla.model.service import Service, Stability

__all__ = ["placement_faults"]


def placement_faults(placement: Mapping[str, tuple[Role, Sequence[Service]]]) -> list[Fault]:
    """Every breach of a placement rule; each names the rule, the host and the service.

    placement: host name -> its role and the services that would stand on it.
    """
    faults = []
    for host, (role, services) in sorted(placement.items()):
        placed = [service for service in services if service.kind not in EVERYWHERE]
        kinds = {service.kind for service in placed}
        stable = sorted(item.name for item in placed if item.stability is Stability.STABLE)
        for service in placed:
            path = f"hosts.{host}.services"
            volatile = service.stability is Stability.VOLATILE
            if service.kind not in role.kinds:
                rule = f"role {role.name} carries only {', '.join(role.kinds) or 'nothing'}"
                fix = f"move {service.name} to a host of another role"
                faults.append(Fault(path, f"{service.name} does not belong here", service.name, rule, fix))
            elif "haproxy" in kinds and service.kind not in BALANCER_COMPANY:
                rule = f"the host of HAProxy gives only {', '.join(BALANCER_COMPANY)}"
                fix = f"move {service.name} to another host"
                faults.append(Fault(path, f"{service.name} stands beside HAProxy", service.name, rule, fix))
            if volatile and not role.volatile:
                rule = f"what can run away stands on hosts of a volatile role; {role.name} is not one"
                fix = f"move {service.name} to a host of role volatile"
                faults.append(Fault(path, f"{service.name} can run away", service.name, rule, fix))
            if volatile and stable:
                rule = "stable services run on machines that run only stable services"
                fix = f"move {service.name} or {', '.join(stable)}"
                what = f"{service.name} can run away with {', '.join(stable)}"
                faults.append(Fault(path, what, service.name, rule, fix))
    return faults
