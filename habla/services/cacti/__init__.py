"""Cacti: graphs of the fleet's disks, load, memory, traffic and sessions, made from the stack's settings."""

from habla.services.cacti.cacti import Cacti, CactiSpec

__all__ = ["Cacti", "CactiSpec"]
