"""Which names may stand where: hosts (DNS), HAProxy objects, services, secrets.

HAProxy's rule is that of ``invalid_char`` in its ``standard.c``: letters, digits, ``. : _ -``.
"""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import StringConstraints

__all__ = ["AbsolutePath", "DnsName", "HostName", "SecretName", "ServiceName", "is_haproxy_name"]

_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HAPROXY_NAME = re.compile(r"[A-Za-z0-9.:_-]+")

# A host is known by one lower-case DNS label: it becomes a hostname, an Erlang node and a HAProxy server.
HostName = Annotated[str, StringConstraints(pattern=rf"^{_LABEL}$")]
DnsName = Annotated[str, StringConstraints(pattern=rf"^{_LABEL}(?:\.{_LABEL})*$", max_length=253)]
# A service becomes a systemd unit, a Unix user (32 characters at most) and a HAProxy backend.
ServiceName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,29}$")]
SecretName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]*(?:/[a-z0-9._-]+)*$")]
AbsolutePath = Annotated[str, StringConstraints(pattern=r"^/[^\x00\n]*$")]


def is_haproxy_name(name: str) -> bool:
    """Whether HAProxy takes ``name`` for a proxy, server or ACL."""
    return _HAPROXY_NAME.fullmatch(name) is not None
