"""The offers of Jabber to HAProxy and to the apps of the fleet."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from habla.model.offer import Balancer, HttpCheck, Offer, OfferedValue, XmppCheck
from habla.model.public_names import PublicName, ServiceRecord
from habla.model.site import FleetFacts
from habla.onhost.made_secrets import made_secret
from habla.services.jabber.jabber_domains import API_DOMAIN, domains_of, main_domain, service_names
from habla.services.jabber.jabber_spec import JabberSpec
from habla.services.jabber.user_files import WEB_PORTS, files_offer, host_meta

__all__ = ["jabber_names", "jabber_offers"]


def jabber_offers(spec: JabberSpec, *, section: str) -> tuple[Offer, ...]:
    """All offers of Jabber, the same on every host."""
    return (*_balanced(spec), files_offer(spec, section=section), *_for_apps(spec))


def jabber_names(spec: JabberSpec, fleet: FleetFacts) -> Iterator[PublicName]:
    """The names of its domains in the DNS, and those of their services."""
    public = {end.offer.name: end.offer.public_port for end in fleet.endpoints.all}
    clients = [
        ServiceRecord(record, public[offer])
        for record, offer in (("_xmpp-client", "c2s"), ("_xmpps-client", "c2s-tls"))
        if offer in public
    ]
    servers = [ServiceRecord("_xmpp-server", public["s2s"])] if "s2s" in public else []
    for name, domain in domains_of(spec, fleet.domain).items():
        reached = servers if domain.allows("s2s") else []
        # Clients in a browser ask the domain of the website by HTTP (XEP-0156); others need no address of it.
        main = name == main_domain(spec, fleet.domain)
        web = tuple(host_meta(spec, fleet).values()) if main else ()
        yield PublicName(name, services=(*clients, *reached), addressed=main, web=web)
        if reached:
            for service in service_names(name, domain, upload=spec.upload is not None):
                yield PublicName(service, services=tuple(reached), addressed=False)


def _balanced(spec: JabberSpec) -> Iterator[Offer]:
    jabber = partial(
        Offer,
        balancer=Balancer.JABBER,
        proxy_protocol=spec.proxy_protocol,
        sessions=spec.expected_sessions,
    )
    # Without domains of its own the server has the fleet's, which is unknown here.
    domain = main_domain(spec, "") if spec.domains else ""
    check = partial(XmppCheck, domain=domain)
    yield jabber(
        "c2s",
        spec.c2s_port,
        public_port=5222,
        check=check("jabber:client"),
        label="Jabber clients",
    )
    scheme, port = ("http", "{bosh_port}") if spec.https_port is None else ("https", "{bosh-tls_port}")
    web_origin = f"{scheme}://{{website_host}}:{port}"
    yield jabber(
        "bosh",
        spec.http_port,
        public_port=WEB_PORTS["bosh"],
        check=HttpCheck("/bosh"),
        # To the node that has a client's BOSH session; another one would have to ask that.
        by_source=True,
        values=(
            OfferedValue("jabber.bosh_address", "{address}"),
            OfferedValue("jabber.web_origin", web_origin),
        ),
        label="Jabber over BOSH",
        url="http://127.0.0.1:{port}/bosh",
    )
    # HAProxy does not speak TLS to a port, so it asks the other port of the same daemon.
    check_c2s = check("jabber:client", port=spec.c2s_port)
    if spec.direct_tls_port is not None:
        yield jabber(
            "c2s-tls",
            spec.direct_tls_port,
            public_port=5223,
            check=check_c2s,
            label="Jabber over TLS",
        )
    if spec.https_port is not None:
        yield jabber(
            "bosh-tls", spec.https_port, public_port=WEB_PORTS["bosh-tls"], check=check_c2s, by_source=True
        )
    if spec.s2s_port is not None:
        yield jabber(
            "s2s",
            spec.s2s_port,
            public_port=5269,
            check=check("jabber:server"),
            label="Jabber servers",
        )


def _for_apps(spec: JabberSpec) -> Iterator[Offer]:
    if spec.api:
        users = tuple(sorted(spec.api))
        value = partial(OfferedValue, users=users)
        yield Offer(
            "jabber-api",
            spec.api_port,
            values=(
                value("jabber.api", f"http://{{address}}:{spec.api_port}/api"),
                value("jabber.api_user", f"{{app}}@{API_DOMAIN}"),
                value("jabber.api_token", secret=made_secret("api-{app}", base=spec.cookie)),
            ),
        )
    if spec.components:
        users = tuple(sorted({component.app for component in spec.components.values()}))
        value = partial(OfferedValue, users=users)
        yield Offer(
            "jabber-component",
            spec.component_port,
            values=(
                value("jabber.component", f"{{address}}:{spec.component_port}"),
                value("jabber.component_secret", secret=made_secret("component-{app}", base=spec.cookie)),
            ),
        )
