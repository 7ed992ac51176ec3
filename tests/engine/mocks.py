"""Pulumi's mocks for tests of what is declared: they answer as the lab and the agents would."""

from __future__ import annotations

import json
from typing import Any

import pulumi


class Recorder(pulumi.runtime.Mocks):
    """Keeps the type and the inputs of every resource, by name, in the order in which they are made.

    private_key: the lab's, as it answers with it.
    """

    def __init__(self, private_key: str = "key") -> None:
        self._private_key = private_key
        self.types: dict[str, str] = {}
        self.inputs: dict[str, dict[str, Any]] = {}

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        self.types[args.name], self.inputs[args.name] = args.typ, args.inputs
        answer: dict[str, Any] = {}
        if args.name.endswith("-machine"):
            forwards = dict.fromkeys(json.loads(args.inputs["stdin"])["forwards"], 20000)
            answer = {"address": "127.0.0.1", "port": 22, "host_key": "ssh-ed25519 A", "forwards": forwards}
        elif args.name == "lab-network":
            answer = {"private_key": self._private_key}
        return f"{args.name}-id", {**args.inputs, "stdout": json.dumps(answer)}

    def call(self, args: pulumi.runtime.MockCallArgs) -> dict[str, Any]:
        return {}
