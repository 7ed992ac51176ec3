"""Turns settings into the plan of a stack: addresses, placement, and the state of every host. Pure.

``habla render`` prints the plan and the components deploy it, so a reviewer reads the very files of a host.
"""

from habla.plan.fleet_plan import FleetPlan
from habla.plan.host_plan import HostPlan
from habla.plan.making import make_plan
from habla.plan.plan_faults import missing_secrets
from habla.plan.stack_addresses import plan_stack_addresses, stack_ranges, stack_roles

__all__ = [
    "FleetPlan",
    "HostPlan",
    "make_plan",
    "missing_secrets",
    "plan_stack_addresses",
    "stack_ranges",
    "stack_roles",
]
