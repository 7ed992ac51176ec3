"""Names that a fleet needs in the DNS."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass

__all__ = ["PublicName", "ServiceRecord"]


@dataclass(frozen=True, order=True)
class ServiceRecord:
    """An SRV record (RFC 2782) of a name: ``_xmpp-client`` on a port of the fleet's public addresses."""

    service: str
    port: int


@dataclass(frozen=True, order=True)
class PublicName:
    """A name by which people reach the fleet. Its addresses are the public ones of HAProxy.

    services: its SRV records. web: URLs that clients find at the name, for the reader. addressed: whether the
    name needs an address of its own, besides those records.
    """

    name: str
    _: KW_ONLY
    services: tuple[ServiceRecord, ...] = ()
    addressed: bool = True
    web: tuple[str, ...] = ()
