"""The settings of Jabber: ``habla:services.jabber`` of a stack."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from habla.model.names import SecretName
from habla.model.spec import PortNumber, Spec
from habla.model.text_types import Jid

__all__ = ["JabberSpec"]


class JabberSpec(Spec):
    """ejabberd, one cluster over all the hosts that run it.

    certificate: the secret that holds private key and certificate chain as PEM; when it is not given each
        host signs one for itself, which clients cannot verify.
    cookie: the secret that holds the Erlang cookie, which lets a node into the cluster.
    net_ticktime: seconds until a lost node is given up; logins on the others wait for as long.
    s2s_port: for other XMPP servers; null turns that off.
    proxy_protocol: HAProxy hands on the client's address. HAProxy 1.3 cannot: then it must be false.
    """

    c2s_port: PortNumber = 5222
    s2s_port: PortNumber | None = 5269
    http_port: PortNumber = 5280
    cluster_port: PortNumber = 5210
    certificate: SecretName | None = None
    cookie: SecretName = "jabber/cookie"
    net_ticktime: Annotated[int, Field(ge=4, le=120)] = 8
    proxy_protocol: bool = True
    admins: tuple[Jid, ...] = ()
    max_sessions_per_user: Annotated[int, Field(ge=1, le=10_000)] = 10
