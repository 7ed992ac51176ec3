"""A plan of a whole stack."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field

from habla.model.site import FleetFacts
from habla.plan.addressing import AddressPlan
from habla.plan.data_places import DataPlace
from habla.plan.host_plan import HostPlan
from habla.settings.models import Settings

__all__ = ["FleetPlan"]


@dataclass(frozen=True)
class FleetPlan:
    """A whole stack. fleet: the facts that all hosts share. data: service -> the places of its data.

    notes: remarks about settings that are allowed.
    """

    settings: Settings
    addresses: AddressPlan
    _: KW_ONLY
    hosts: Mapping[str, HostPlan]
    fleet: FleetFacts = FleetFacts()
    data: Mapping[str, DataPlace] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
