"""A plan -> Pulumi resources: what ``pulumi up`` of a stack deploys."""

from habla.fleet.deploy import deploy_fleet
from habla.fleet.stack import deploy_stack

__all__ = ["deploy_fleet", "deploy_stack"]
