"""The components can be described to programs in other languages."""

from __future__ import annotations

import inspect
import json
from typing import Any

import pulumi
import pytest
from pulumi.provider.experimental.analyzer import Analyzer
from throwaway import CLONE, Stack

from habla import components

# Every class that a program can make; a Node is the base of those for its services.
COMPONENTS = [
    kind
    for name, kind in vars(components).items()
    if name in components.__all__
    and issubclass(kind, pulumi.ComponentResource)
    and kind is not components.Node
]
_RUNTIME = f"runtime: {{name: python, options: {{virtualenv: {CLONE / '.venv'}}}}}\n"
_PROVIDER = """\
import pulumi
from habla import components
from pulumi.provider.experimental import component_provider_host

component_provider_host([getattr(components, name) for name in NAMES], name="habla")
"""


def test_the_library_has_components_to_describe() -> None:
    """Otherwise the tests below say nothing."""
    assert {"Fleet", "Host", "LoadBalancerPair", "HostWatch"} <= {kind.__name__ for kind in COMPONENTS}


@pytest.mark.parametrize("kind", COMPONENTS, ids=lambda kind: kind.__name__)
def test_every_component_passes_the_schema_analyzer(kind: type[pulumi.ComponentResource]) -> None:
    """Inputs are the fields of its arguments, optional where they have a default; outputs are its outputs."""
    found = Analyzer("habla").analyze([kind])["component_definitions"][kind.__name__]
    arguments = getattr(components, inspect.get_annotations(kind.__init__)["args"].__name__)
    parameters = inspect.signature(arguments).parameters
    assert {found.inputs_mapping[name]: item.optional for name, item in found.inputs.items()} == {
        name: parameter.default is not parameter.empty for name, parameter in parameters.items()
    }
    assert found.outputs and all(
        "Output[" in str(_annotation(kind, name)) for name in found.outputs_mapping.values()
    )


@pytest.mark.engine
def test_pulumi_makes_a_schema_of_all_components(stack: Stack) -> None:
    """``pulumi package get-schema`` reads them as a provider's, with a description of every own argument."""
    names = [kind.__name__ for kind in COMPONENTS]
    provider = stack.directory / "provider"
    provider.mkdir()
    (provider / "PulumiPlugin.yaml").write_text(_RUNTIME)
    (provider / "__main__.py").write_text(_PROVIDER.replace("NAMES", repr(names)))
    done = stack.cli("--cwd", str(provider), "package", "get-schema", str(provider))
    assert done.ok, done.output
    resources = json.loads(done.output[done.output.index("{") :])["resources"]
    assert set(resources) == {f"habla:index:{name}" for name in names}
    host = resources["habla:index:Host"]
    assert host["requiredInputs"] == ["driver"] and all(
        item.get("description") for item in host["inputProperties"].values()
    )


def _annotation(kind: type, name: str) -> Any:
    return next(
        vars(base)["__annotations__"][name] for base in kind.__mro__ if name in inspect.get_annotations(base)
    )
