"""Names of components and resources, and the rules for names of hosts, services, secrets and in HAProxy.

HAProxy's rule is that of ``invalid_char`` in its ``standard.c``: letters, digits, ``. : _ -``.
"""

from __future__ import annotations

import re
from ipaddress import IPv6Address
from typing import Annotated

from pydantic import AfterValidator, TypeAdapter, ValidationError

from habla.model.text_types import matching

__all__ = [
    "ANY_PASSWORD",
    "BALANCER",
    "CACHE_DB",
    "DEFAULT_DOMAIN",
    "LAB",
    "MONITOR",
    "NETWORK",
    "SUBNET",
    "WATCH",
    "DnsName",
    "HostName",
    "PasswordName",
    "RoleName",
    "SecretName",
    "ServerAddress",
    "ServiceName",
    "agent_file_resource",
    "agent_resource",
    "archive_resource",
    "contact_resource",
    "is_haproxy_name",
    "joined_resource",
    "lab_network_resource",
    "machine_resource",
    "node_resource",
    "secrets_resource",
    "state_resource",
]

# The domain of a fleet whose settings name none.
DEFAULT_DOMAIN = "hab.la"

# The components of a host besides that of its role.
NETWORK = "network"
CACHE_DB = "cachedb"
MONITOR = "monitor"
BALANCER = "balancer"
WATCH = "watch"

_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HAPROXY_NAME = re.compile(r"[A-Za-z0-9.:_-]+")

# A host is known by one lower-case DNS label: it becomes a hostname, an Erlang node and a HAProxy server.
HostName = Annotated[
    str,
    matching(_LABEL, "lower-case letters, digits and hyphens, up to 63 characters, no hyphen at either end"),
]
DnsName = Annotated[
    str,
    matching(
        rf"{_LABEL}(?:\.{_LABEL})*",
        "a DNS name: lower-case letters, digits, hyphens and dots, up to 63 characters between dots and 253 "
        "in all; an international name in its xn-- form",
        most=253,
    ),
]
_DNS: TypeAdapter[str] = TypeAdapter(DnsName)


def _server_address(value: str) -> str:
    """A name in the DNS, an IPv4 address or an IPv6 address, without brackets and port."""
    if ":" in value:
        try:
            return str(IPv6Address(value))
        except ValueError:
            pass
    else:
        try:
            # Capitals have no meaning in the DNS, and ssh looks for a host key under the name without them.
            return _DNS.validate_python(value.lower())
        except ValidationError:
            pass
    raise ValueError(
        "a name of the DNS or an address, such as front1.example.net, 198.51.100.10 or 2001:db8::10, "
        "without brackets and port"
    )


# Where SSH or a mail server answers.
ServerAddress = Annotated[str, AfterValidator(_server_address)]
# A role is also the name of a component on its hosts, so it begins with a letter.
RoleName = Annotated[
    str,
    matching(
        r"[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?",
        "lower-case letters, digits and hyphens, up to 63 characters, beginning with a letter",
    ),
]
# A service becomes a systemd unit, a HAProxy backend and the Unix user habla-NAME, of 32 characters at most.
ServiceName = Annotated[
    str,
    matching(
        r"[a-z](?:[a-z0-9-]{0,24}[a-z0-9])?",
        "lower-case letters, digits and hyphens, up to 26 characters, beginning with a letter",
    ),
]
SecretName = Annotated[
    str,
    matching(
        r"[a-z0-9][a-z0-9._-]*(?:/[a-z0-9._-]+)*",
        "lower-case letters, digits and . _ - between slashes, such as mysql/habla",
        most=200,
    ),
]
#: In the metadata of a field: its secret may be any text, because only habla's own services use it.
ANY_PASSWORD = "any password"
PasswordName = Annotated[SecretName, ANY_PASSWORD]


def is_haproxy_name(name: str) -> bool:
    """Whether HAProxy takes ``name`` for a proxy, server or ACL."""
    return _HAPROXY_NAME.fullmatch(name) is not None


# The names of Pulumi resources. People have them in their state: a change needs an alias.
SUBNET = "internal"
LAB = "lab"


def lab_network_resource(lab: str) -> str:
    """The command that makes the lab's networks."""
    return f"{lab}-network"


def machine_resource(host: str) -> str:
    """The command that makes a host of the lab."""
    return f"{host}-machine"


def contact_resource(host: str) -> str:
    """The command that looks at a host before anything is sent there."""
    return f"{host}-contact"


def agent_resource(host: str) -> str:
    """The command that installs the agent on a host."""
    return f"{host}-agent"


def agent_file_resource(host: str) -> str:
    """The file of the agent, sent to a host."""
    return f"{host}-agent-file"


def secrets_resource(host: str) -> str:
    """The command that hands a host its secrets."""
    return f"{host}-secrets"


def joined_resource(subnet: str, host: str) -> str:
    """The command that makes a host a member of the internal network."""
    return f"{subnet}-{host}"


def node_resource(host: str, component: str) -> str:
    """A component of a host in a stack."""
    return f"{host}-{component}"


def state_resource(node: str, part: str = "state") -> str:
    """The command that sends a host the state of a component, or of one ahead of it."""
    return f"{node}-{part}"


def archive_resource(node: str, sha256: str) -> str:
    """An archive of a component, sent to a host."""
    return f"{node}-archive-{sha256[:8]}"
