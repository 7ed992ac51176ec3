"""Jabber: ejabberd, one cluster over all hosts that run it."""

from habla.services.jabber.jabber import Jabber
from habla.services.jabber.jabber_spec import JabberSpec

__all__ = ["Jabber", "JabberSpec"]
