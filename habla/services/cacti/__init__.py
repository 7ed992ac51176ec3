"""Cacti: graphs of the fleet's disks, load, memory, traffic and sessions, made from the stack's settings."""

from habla.services.cacti.cacti import ALIVE_PATH, Cacti, CactiSpec, Device

__all__ = ["ALIVE_PATH", "Cacti", "CactiSpec", "Device"]
