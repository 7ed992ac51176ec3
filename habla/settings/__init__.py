"""The settings of a stack."""

from habla.settings.loading import load_settings
from habla.settings.models import Settings
from habla.settings.stackfile import data_places_path, held_addresses_path, read_stack, stack_path

__all__ = ["Settings", "data_places_path", "held_addresses_path", "load_settings", "read_stack", "stack_path"]
