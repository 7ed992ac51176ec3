"""Two machines, named in the stack's config, become a chat service."""

import pulumi
from chat import chat

from habla import ExistingHost

config = pulumi.Config()


def machine(name: str) -> ExistingHost:
    """A machine that is there: its address and its pinned host key are config, its private key a secret."""
    return ExistingHost(
        address=config.require(f"{name}-address"),
        port=config.get_int(f"{name}-port") or 22,
        user=config.get(f"{name}-user") or "root",
        host_key=config.require(f"{name}-host-key"),
        private_key=config.require_secret("private-key"),
    )


service = chat(
    machine("front"), machine("stable"), config.require("outside-address"), config.require_secret("cookie")
)
pulumi.export("addresses", service.subnet.addresses)
