"""The domains of the server and the names that belong to it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from habla.errors import Fault
from habla.services.jabber.jabber_spec import DomainSpec, JabberSpec

__all__ = ["API_DOMAIN", "domain_faults", "domains_of", "main_domain", "service_names"]

# The accounts of apps that use the API; RFC 9476 and ICANN keep such names out of the DNS.
API_DOMAIN = "api.internal"


def domains_of(spec: JabberSpec, fleet_domain: str) -> dict[str, DomainSpec]:
    """Name -> domain, the main one first."""
    given = spec.domains or {fleet_domain: DomainSpec()}
    main = main_domain(spec, fleet_domain)
    return {name: given[name] for name in sorted(given, key=lambda name: (name != main, name))}


def main_domain(spec: JabberSpec, fleet_domain: str) -> str:
    """The domain of the operators: the fleet's, or the first with accounts."""
    if not spec.domains or fleet_domain in spec.domains:
        return fleet_domain
    with_accounts = [name for name, domain in spec.domains.items() if not domain.visitors]
    return min(with_accounts or spec.domains)


def service_names(name: str, domain: DomainSpec, *, upload: bool) -> dict[str, str]:
    """Name in the DNS -> the service of a domain that has it."""
    found = {f"pubsub.{name}": "publish and subscribe"} if not domain.visitors else {}
    if domain.allows("rooms"):
        found[f"conference.{name}"] = "rooms"
    if upload and not domain.visitors:
        found[f"upload.{name}"] = "files"
    return found


def domain_faults(spec: JabberSpec, fleet_domain: str, *, section: str) -> Iterator[Fault]:
    """Names that two parts of the server would have, and visitors without anybody to talk to."""
    domains = domains_of(spec, fleet_domain)
    owners: dict[str, list[tuple[str, str]]] = {API_DOMAIN: [("", "the API")]}
    for name, domain in domains.items():
        owners.setdefault(name, []).append((f"{section}.domains.{name}", f"the domain {name}"))
        for service, words in service_names(name, domain, upload=spec.upload is not None).items():
            owners.setdefault(service, []).append((f"{section}.domains.{name}", f"the {words} of {name}"))
    for name in spec.components:
        owners.setdefault(name, []).append((f"{section}.components.{name}", f"the component {name}"))
    for name, claims in owners.items():
        if len(claims) > 1:
            yield _shadowed(name, claims)
    if all(domain.visitors for domain in domains.values()):
        rule = "visitors talk to operators, who have accounts on a domain of another auth"
        fix = f"add a domain, such as {fleet_domain}: {{}}"
        yield Fault(
            f"{section}.domains", "no domain has accounts", value=", ".join(domains), rule=rule, fix=fix
        )


def _shadowed(name: str, claims: Sequence[tuple[str, str]]) -> Fault:
    path = claims[-1][0]
    words = " and ".join(sorted(words for _, words in claims))
    return Fault(
        path,
        "two parts of the server would have one name",
        value=name,
        rule=f"{words} need different names",
        fix="choose another name for one of them",
    )
