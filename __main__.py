"""The program of the stacks: ``pulumi up -s ENV`` deploys what stacks/Pulumi.ENV.yaml describes."""

import sys
from pathlib import Path

import pulumi

from habla.components.stack import deploy_stack
from habla.errors import Faults

try:
    deploy_stack(Path(__file__).resolve().parent)
except Faults as error:
    # What is wrong with the settings is for their author; a traceback would only hide it.
    pulumi.log.error(str(error))
    sys.exit(1)
