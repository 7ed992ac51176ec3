"""SNMP: the settings and numbers that snmpd on every host and the monitor must agree on."""

from __future__ import annotations

from typing import Annotated, Literal

from habla.model.names import PasswordName
from habla.model.spec import PortNumber, Spec
from habla.model.text_types import matching

__all__ = ["SnmpSpec", "extend_name", "sessions_oid"]


# USM takes 32 characters (RFC 3414).
SnmpUser = Annotated[
    str,
    matching(r"[a-z][a-z0-9_]{0,31}", "lower-case letters, digits and _, up to 32, beginning with a letter"),
]


class SnmpSpec(Spec):
    """snmpd on every host, for the monitor only.

    version 3: a user with authentication and privacy; auth, privacy: the secrets that hold its passphrases,
    of 8 characters or more. version 2c: community is the secret.
    """

    version: Literal["3", "2c"] = "3"
    port: PortNumber = 161
    user: SnmpUser = "habla"
    auth: PasswordName = "snmp/auth"
    privacy: PasswordName = "snmp/privacy"
    community: PasswordName = "snmp/community"


def extend_name(instance: str) -> str:
    """The name under which snmpd tells the sessions of an HAProxy instance."""
    return f"haproxy-{instance}"


def sessions_oid(instance: str) -> str:
    """The OID of the sessions of an HAProxy instance: nsExtendOutput1Line, indexed by name."""
    name = extend_name(instance).encode()
    return ".".join([".1.3.6.1.4.1.8072.1.3.2.3.1.1", str(len(name)), *map(str, name)])
