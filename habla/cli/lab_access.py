"""The ports of this machine that lead into a lab, and the accounts that may log in there."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from habla.cli.ssh import Shells
from habla.model.lab_forward import Forward
from habla.onhost.agent.places import SECRETS
from habla.plan import FleetPlan

__all__ = ["Access", "accesses", "passwords", "wanted_secrets"]


@dataclass(frozen=True)
class Access:
    """A way into the lab. user: an account, whose password is the secret of that name."""

    what: str
    url: str
    user: str = ""
    secret: str = ""

    def login(self, known: Mapping[str, str]) -> str:
        """Account and password for people; "?" if its host does not run. known: secret -> value."""
        return f"{self.user} / {known.get(self.secret, '?')}" if self.user else ""

    def plain(self, known: Mapping[str, str]) -> dict[str, Any]:
        """As values of JSON. The password is null where it is not known."""
        return {"what": self.what, "url": self.url, "user": self.user, "password": known.get(self.secret)}


def accesses(plan: FleetPlan, forwards: Mapping[str, Mapping[str, int]]) -> list[Access]:
    """The website first, then the accounts of the settings, then all other ports.

    forwards: host -> name of a forward -> port of this machine.
    """
    services = [(host.site, service) for host in plan.hosts.values() for service in host.services]
    known = {name: forward for site, service in services for name, forward in service.forwards(site).items()}
    found = []
    for ports in forwards.values():
        for name, port in ports.items():
            forward = known.get(name, Forward(port, name))
            access = Access(forward.label, forward.url.format(port=port), forward.user, forward.secret)
            found.append((name != "www", access))
    accounts = plan.settings.lab.accounts if plan.settings.lab else ()
    found += [(False, Access(one.what, one.url, one.user, one.secret)) for one in accounts]
    return [access for _, access in sorted(found, key=lambda item: item[0])]


def wanted_secrets(
    plan: FleetPlan, ways: Sequence[Access], *, running: Collection[str]
) -> dict[str, list[str]]:
    """Host -> the secrets to read there. Each is read on the first host that runs and has it."""
    found: dict[str, list[str]] = {}
    for secret in sorted({way.secret for way in ways} - {""}):
        host = next(
            (name for name, host in plan.hosts.items() if name in running and secret in host.secrets), None
        )
        if host is not None:
            found.setdefault(host, []).append(secret)
    return found


def passwords(shells: Shells, wanted: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Secret -> value, from the hosts that have them. Raises UnreachableError."""
    found: dict[str, str] = {}
    for host, names in wanted.items():
        values = json.loads(shells.run(host, f"cat {SECRETS}"))
        found |= {name: values[name] for name in names if name in values}
    return found
