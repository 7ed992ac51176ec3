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
    """snmpd on every host of a fleet with a monitor. It answers only the monitor."""

    version: Literal["3", "2c"] = "3"
    """The version of SNMP: ``"3"`` with a user and encryption, or ``"2c"`` with a community."""
    port: PortNumber = 161
    """The UDP port on the internal address."""
    user: SnmpUser = "habla"
    """The user of version 3."""
    auth: PasswordName = "snmp/auth"
    """The secret that holds the authentication passphrase of version 3, of 8 characters or more."""
    privacy: PasswordName = "snmp/privacy"
    """The secret that holds the encryption passphrase of version 3, of 8 characters or more."""
    community: PasswordName = "snmp/community"
    """The secret that holds the community of version 2c."""


def extend_name(instance: str) -> str:
    """The name by which snmpd publishes the sessions of an HAProxy instance."""
    return f"haproxy-{instance}"


def sessions_oid(instance: str) -> str:
    """The OID of the sessions of an HAProxy instance: nsExtendOutput1Line, indexed by name."""
    name = extend_name(instance).encode()
    return ".".join([".1.3.6.1.4.1.8072.1.3.2.3.1.1", str(len(name)), *map(str, name)])
