"""Cacti: graphs of the fleet's disks, load, memory, traffic and sessions, made from the stack's settings."""

from habla.services.cacti.service import Cacti, Device

__all__ = ["Cacti", "Device"]
