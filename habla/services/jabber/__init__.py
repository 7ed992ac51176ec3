"""Jabber: ejabberd, one cluster over all hosts that run it."""

from habla.services.jabber.jabber import Jabber
from habla.services.jabber.jabber_spec import (
    ApiClientSpec,
    ArchiveBoundSpec,
    ComponentSpec,
    DomainSpec,
    JabberLimitsSpec,
    JabberSpec,
    ProgramSpec,
    RoomsSpec,
    UploadSpec,
)

__all__ = [
    "ApiClientSpec",
    "ArchiveBoundSpec",
    "ComponentSpec",
    "DomainSpec",
    "Jabber",
    "JabberLimitsSpec",
    "JabberSpec",
    "ProgramSpec",
    "RoomsSpec",
    "UploadSpec",
]
