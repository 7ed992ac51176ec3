"""Settings -> everything a stack will be: addresses, placement, and the state of every host. Pure.

``habla render`` prints it and ``fleet`` deploys it, so what a reviewer reads is what a host gets.
"""

from habla.plan.addresses import plan_stack_addresses, stack_ranges, stack_roles
from habla.plan.faults import missing_secrets
from habla.plan.making import make_plan
from habla.plan.model import BALANCER, CACHE_DB, MONITOR, WATCH, FleetPlan, HostPlan

__all__ = [
    "BALANCER",
    "CACHE_DB",
    "MONITOR",
    "WATCH",
    "FleetPlan",
    "HostPlan",
    "make_plan",
    "missing_secrets",
    "plan_stack_addresses",
    "stack_ranges",
    "stack_roles",
]
