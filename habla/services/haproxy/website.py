"""The names of the website: its virtual hosts, those that are sent to it, and the domain of its cookies.

Names that the settings do not give follow from the fleet's domain and from the other names.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from habla.errors import Fault
from habla.model.offer import Balancer, Offer, Route
from habla.model.site import FleetFacts
from habla.services.haproxy.haproxy_spec import HaproxySpec

__all__ = ["Website", "route_faults", "website", "website_faults", "website_names", "website_url"]

_PATH = "load_balancer"


@dataclass(frozen=True, kw_only=True)
class Website:
    """hosts: its virtual hosts, the first is its name. redirects: those that are sent there.

    cookie_domain: cookies are for this domain. stale_domains: old ones may be for these.
    """

    hosts: tuple[str, ...]
    redirects: tuple[str, ...]
    cookie_domain: str
    stale_domains: tuple[str, ...]


def website(spec: HaproxySpec, domain: str) -> Website:
    """The website of a fleet. domain: the fleet's."""
    hosts = spec.hosts or (f"www.{domain}",)
    redirects = spec.redirects
    if redirects is None:
        redirects = () if domain in hosts else (domain,)
    cookie = spec.cookies.domain or hosts[0]
    stale = spec.cookies.stale_domains
    if stale is None:
        parent = hosts[0].partition(".")[2]
        # Browsers refuse cookies for a single label, such as la.
        stale = tuple(dict.fromkeys([*([f".{parent}"] if "." in parent else []), f".{cookie}"]))
    return Website(hosts=hosts, redirects=redirects, cookie_domain=cookie, stale_domains=stale)


def website_url(spec: HaproxySpec) -> str:
    """The URL of the website, without a slash at its end; ``{domain}`` becomes the fleet's domain."""
    name, tls = website(spec, "{domain}").hosts[0], spec.www.tls
    if tls is None:
        return f"http://{name}"
    return f"https://{name}" + (f":{tls.port}" if tls.port != 443 else "")


def website_names(spec: HaproxySpec, fleet: FleetFacts) -> list[str]:
    """All names that HAProxy's www instance answers to, the website's own first."""
    names = website(spec, fleet.domain)
    offers = fleet.behind(Balancer.WWW).values()
    hosts = sorted({route.host for ends in offers for route in ends[0].offer.routes} - {""})
    return list(dict.fromkeys([*names.hosts, *names.redirects, *hosts]))


def website_faults(site: Website) -> Iterator[Fault]:
    """Virtual hosts that are named twice, and cookies that every browser would refuse."""
    for key, names in (("hosts", site.hosts), ("redirects", site.redirects)):
        for name, count in Counter(names).items():
            if count > 1:
                rule = "a virtual host can be listed only once"
                yield Fault(f"{_PATH}.{key}", "named twice", value=name, rule=rule, fix="remove one")
    for name in sorted({*site.hosts} & {*site.redirects}):
        rule = f"it is a virtual host of the website, so the redirect to {site.hosts[0]} would never end"
        fix = f"remove it from {_PATH}.hosts or from {_PATH}.redirects"
        yield Fault(f"{_PATH}.redirects", "redirects to itself", value=name, rule=rule, fix=fix)
    for name in site.hosts:
        if name != site.cookie_domain and not name.endswith(f".{site.cookie_domain}"):
            rule = f"browsers refuse a cookie that {name} sets for {site.cookie_domain}: nobody could log in"
            fix = f"set it to {name}, or to a domain that contains all of {_PATH}.hosts"
            yield Fault(
                f"{_PATH}.cookies.domain",
                "not a domain of the website",
                value=site.cookie_domain,
                rule=rule,
                fix=fix,
            )


def route_faults(site: Website, routes: list[tuple[Route, Offer]]) -> Iterator[Fault]:
    """Routes with two targets, routes that nothing reaches, and routes that hide the website.

    routes: in the order in which they are asked.
    """
    for (route, offer), (other, second) in pairwise(routes):
        if route == other:
            value = f"{route.host}{route.path}" or "default"
            rule, fix = "a route leads to one app", "change the host or the path of one of the routes"
            yield Fault(second.setting, f"{offer.name} has the same route", value=value, rule=rule, fix=fix)
    default = next((offer.name for route, offer in routes if route == Route()), "")
    for route, offer in routes:
        if route.host in site.redirects:
            rule = f"HAProxy redirects all requests for {route.host} to {site.hosts[0]}"
            fix = f"remove {route.host} from {_PATH}.redirects, or give the route another host"
            yield Fault(offer.setting, "no request reaches this route", value=route.host, rule=rule, fix=fix)
        if route.host in site.hosts and not route.path and default not in ("", offer.name):
            rule = f"{route.host} is a virtual host of the website, so {default} would get no request for it"
            fix = "give the route another host, or a path"
            yield Fault(
                offer.setting, "the route takes the whole website", value=route.host, rule=rule, fix=fix
            )
