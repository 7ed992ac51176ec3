"""The stand-in answers input that no engine should send with an error in words, and goes on serving."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import struct_pb2
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc

from standin.values import ASSET, OUTPUT_VALUE, SECRET, SIGNATURE

_CLONE = Path(__file__).parents[2]
_URN = "urn:pulumi:test::test::{}::c"
_LOCAL, _REMOTE, _COPY = "command:local:Command", "command:remote:Command", "command:remote:CopyToRemote"
_HOST = {"host": "h"}


@pytest.fixture(scope="module")
def plugin() -> Iterator[Any]:
    """The stand-in as its own process, without an engine."""
    process = subprocess.Popen(
        [sys.executable, "-m", "standin"], stdout=subprocess.PIPE, text=True, cwd=_CLONE
    )
    assert process.stdout is not None
    try:
        port = process.stdout.readline().strip()
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield provider_pb2_grpc.ResourceProviderStub(channel)
    finally:
        process.terminate()
        process.wait()


def _struct(values: dict[str, Any]) -> struct_pb2.Struct:
    struct = struct_pb2.Struct()
    struct.update(values)
    return struct


_MALFORMED = {
    "secret without a value": ({"stdin": {SIGNATURE: SECRET}}, "stdin: the secret has no value"),
    "below a list": (
        {"triggers": [1, {"a": {SIGNATURE: SECRET}}]},
        "triggers[1].a: the secret has no value",
    ),
    "in a secret": (
        {"stdin": {SIGNATURE: SECRET, "value": {SIGNATURE: SECRET}}},
        "stdin: the secret has no value",
    ),
    "in an output": (
        {"stdin": {SIGNATURE: OUTPUT_VALUE, "value": {SIGNATURE: SECRET}}},
        "stdin: the secret has no value",
    ),
    "unknown mark": (
        {"dir": {SIGNATURE: "x"}},
        "dir: the value is marked as a kind that the stand-in does not",
    ),
    "mark that is no text": ({"dir": {SIGNATURE: 5}}, "dir: the value is marked as a kind that"),
    "asset": ({"dir": {SIGNATURE: ASSET, "path": 5}}, "dir: the path of the asset must be a string"),
}


@pytest.mark.parametrize(("values", "words"), _MALFORMED.values(), ids=list(_MALFORMED))
def test_a_malformed_value_is_named_by_its_path(plugin: Any, values: dict[str, Any], words: str) -> None:
    """Every request that takes values refuses it, and none runs a command."""
    urn, good = _URN.format(_LOCAL), _struct({"create": "true"})
    bad = _struct({"create": "touch /nonexistent/never", **values})
    requests = [
        (plugin.Check, provider_pb2.CheckRequest(urn=urn, news=bad)),
        (plugin.Diff, provider_pb2.DiffRequest(urn=urn, olds=good, news=bad)),
        (plugin.Diff, provider_pb2.DiffRequest(urn=urn, olds=bad, news=good)),
        (plugin.Create, provider_pb2.CreateRequest(urn=urn, properties=bad)),
        (plugin.Update, provider_pb2.UpdateRequest(urn=urn, olds=good, news=bad)),
        (plugin.Delete, provider_pb2.DeleteRequest(urn=urn, properties=bad)),
        (plugin.Invoke, provider_pb2.InvokeRequest(tok="command:local:run", args=bad)),
    ]
    for call, request in requests:
        with pytest.raises(grpc.RpcError) as caught:
            call(request)
        assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert caught.value.details().startswith(f"malformed input from the engine: {words}")


@pytest.mark.parametrize(
    ("token", "values", "path", "words"),
    [
        (_REMOTE, {"connection": 5}, "connection", "connection must be a map"),
        (_REMOTE, {"connection": [_HOST]}, "connection", "connection must be a map"),
        (
            _REMOTE,
            {"connection": {SIGNATURE: SECRET, "value": "x"}},
            "connection",
            "connection must be a map",
        ),
        (_REMOTE, {"connection": {"host": 5}}, "connection.host", "connection.host must be a string"),
        (_LOCAL, {"environment": {"A": 5}}, "environment", "environment must be a map of strings"),
        (_LOCAL, {"interpreter": ["sh", None]}, "interpreter", "interpreter must be a list of strings"),
        (_COPY, {"connection": _HOST, "remotePath": "x", "source": "x"}, "source", "an asset or an archive"),
    ],
)
def test_a_value_of_a_wrong_type_is_a_fault_of_its_input(
    plugin: Any, token: str, values: dict[str, Any], path: str, words: str
) -> None:
    """The engine shows these faults together, before anything runs."""
    answer = plugin.Check(provider_pb2.CheckRequest(urn=_URN.format(token), news=_struct(values)))
    assert (path, True) in [(fault.property, words in fault.reason) for fault in answer.failures]


def test_a_text_that_is_no_urn_is_refused(plugin: Any) -> None:
    """The error shows it."""
    with pytest.raises(grpc.RpcError) as caught:
        plugin.Create(provider_pb2.CreateRequest(urn="c"))
    assert caught.value.details() == "malformed input from the engine: URN 'c'"


@pytest.mark.parametrize(
    "changes",
    [{"port": 99999}, {"host": ".x"}, {"host": "a" * 70}],
    ids=["port", "empty label", "long label"],
)
def test_a_host_that_no_network_has_fails_like_one_that_is_away(plugin: Any, changes: dict[str, Any]) -> None:
    """Python's own errors about addresses are dial errors too."""
    connection = {"host": "127.0.0.1", "port": 22, "dialErrorLimit": 0, **changes}
    request = provider_pb2.CreateRequest(
        urn=_URN.format(_REMOTE), properties=_struct({"create": "true", "connection": connection})
    )
    with pytest.raises(grpc.RpcError) as caught:
        plugin.Create(request)
    assert caught.value.details().startswith("after 0 failed attempts: dial tcp "), caught.value.details()
