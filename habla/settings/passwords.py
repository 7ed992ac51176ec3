"""The secrets that only habla's own services share, so that any random text will do."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import BaseModel

from habla.model.names import ANY_PASSWORD
from habla.settings.models import Settings

__all__ = ["generated_names"]


def generated_names(settings: Settings) -> set[str]:
    """The secrets that habla may generate: the values of all fields of the type ``PasswordName``."""
    specs = (*settings.services.values(), settings.snmp)
    return {name for spec in specs if isinstance(spec, BaseModel) for name in _names(spec)}


def _names(spec: BaseModel) -> Iterator[str]:
    for name, field in type(spec).model_fields.items():
        if ANY_PASSWORD in field.metadata:
            yield str(getattr(spec, name))
