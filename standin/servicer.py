"""The engine's protocol: each request is answered by `schema` or `operations`.

The answer to a failure has its message and no traceback.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace
from typing import Any, TypeAlias, TypeVar

import grpc
import grpc.aio
from google.protobuf import empty_pb2
from pulumi.runtime.proto import (
    engine_pb2,
    engine_pb2_grpc,
    plugin_pb2,
    provider_pb2,
    provider_pb2_grpc,
)

from standin import operations, schema
from standin.output import CommandError, Operation
from standin.values import MalformedError, Values, from_struct, to_struct

T = TypeVar("T")
Context: TypeAlias = grpc.aio.ServicerContext

_DIFF_KINDS = {
    ("add", False): provider_pb2.PropertyDiff.ADD,
    ("add", True): provider_pb2.PropertyDiff.ADD_REPLACE,
    ("delete", False): provider_pb2.PropertyDiff.DELETE,
    ("delete", True): provider_pb2.PropertyDiff.DELETE_REPLACE,
    ("update", False): provider_pb2.PropertyDiff.UPDATE,
    ("update", True): provider_pb2.PropertyDiff.UPDATE_REPLACE,
}


class EngineLog:
    """Sends lines to the engine's display, in order. A writer does not wait until a line is sent."""

    def __init__(self, engine: grpc.aio.Channel | None) -> None:
        self._stub = engine_pb2_grpc.EngineStub(engine) if engine is not None else None

    def operation(self, urn: str) -> tuple[Operation, Callable[[], Awaitable[None]]]:
        """An operation for one resource, and a function that waits until its lines have been sent."""
        queue: asyncio.Queue[engine_pb2.LogRequest | None] = asyncio.Queue()
        sender = asyncio.create_task(self._send(queue))

        def enqueue(severity: engine_pb2.LogSeverity.ValueType, ephemeral: bool) -> Callable[[str], None]:
            def log(message: str) -> None:
                queue.put_nowait(
                    engine_pb2.LogRequest(severity=severity, message=message, urn=urn, ephemeral=ephemeral)
                )

            return log

        async def finish() -> None:
            queue.put_nowait(None)
            await sender

        return Operation(enqueue(engine_pb2.INFO, True), enqueue(engine_pb2.WARNING, False)), finish

    async def _send(self, queue: asyncio.Queue[engine_pb2.LogRequest | None]) -> None:
        while (request := await queue.get()) is not None:
            if self._stub is not None:
                try:
                    await self._stub.Log(request)
                except grpc.RpcError:
                    # The engine is gone or ending. The command goes on without a display of its output.
                    self._stub = None


class CommandServicer(provider_pb2_grpc.ResourceProviderServicer):
    """Serves the resources in `schema.INPUTS`. Any number of operations may run at a time."""

    def __init__(self, version: str, log: EngineLog) -> None:
        self._version = version
        self._log = log
        self._running: dict[asyncio.Task[Any], Operation] = {}

    async def GetPluginInfo(self, request: Any, context: Context) -> plugin_pb2.PluginInfo:  # noqa: N802
        """The version the engine asked for."""
        return plugin_pb2.PluginInfo(version=self._version)

    async def CheckConfig(self, request: Any, context: Context) -> provider_pb2.CheckResponse:  # noqa: N802
        """The provider has no configuration of its own."""
        return provider_pb2.CheckResponse(inputs=request.news)

    async def DiffConfig(self, request: Any, context: Context) -> provider_pb2.DiffResponse:  # noqa: N802
        """Nothing in the configuration matters to a resource."""
        return provider_pb2.DiffResponse(changes=provider_pb2.DiffResponse.DIFF_NONE)

    async def Configure(self, request: Any, context: Context) -> provider_pb2.ConfigureResponse:  # noqa: N802
        """Tell the engine what it may send."""
        return provider_pb2.ConfigureResponse(acceptSecrets=True, supportsPreview=True, acceptResources=False)

    async def Check(self, request: Any, context: Context) -> provider_pb2.CheckResponse:  # noqa: N802
        """The inputs of a resource with defaults, and their faults."""
        token = await _token(request.urn, context)
        inputs, failures = schema.check(token, await _values(request.news, context))
        return provider_pb2.CheckResponse(
            inputs=to_struct(inputs),
            failures=[provider_pb2.CheckFailure(property=path, reason=reason) for path, reason in failures],
        )

    async def Diff(self, request: Any, context: Context) -> provider_pb2.DiffResponse:  # noqa: N802
        """The inputs that differ, and whether the difference replaces the resource."""
        token = await _token(request.urn, context)
        kept = schema.INPUTS[token]
        old = await _values(request.old_inputs if request.HasField("old_inputs") else request.olds, context)
        old = {name: value for name, value in old.items() if name in kept}
        changed = schema.changes(old, await _values(request.news, context))
        some, none = provider_pb2.DiffResponse.DIFF_SOME, provider_pb2.DiffResponse.DIFF_NONE
        return provider_pb2.DiffResponse(
            changes=some if changed else none,
            replaces=sorted({schema.REPLACING for change in changed if change.replaces}),
            diffs=[change.path for change in changed],
            detailedDiff={
                change.path: provider_pb2.PropertyDiff(
                    kind=_DIFF_KINDS[change.how, change.replaces], inputDiff=True
                )
                for change in changed
            },
            hasDetailedDiff=True,
        )

    async def Create(self, request: Any, context: Context) -> provider_pb2.CreateResponse:  # noqa: N802
        """Run the command of a new resource."""
        token = await _token(request.urn, context)
        inputs = await _values(request.properties, context)
        resource_id = operations.new_id(token, request.urn.rsplit("::", 1)[-1])
        if request.preview:
            state = operations.preview(token, inputs)
        else:
            state = await self._operate(
                request,
                context,
                work=lambda operation: operations.create(token, inputs, operation=operation),
            )
        return provider_pb2.CreateResponse(id=resource_id, properties=to_struct(state))

    async def Update(self, request: Any, context: Context) -> provider_pb2.UpdateResponse:  # noqa: N802
        """Run the command of a changed resource."""
        token = await _token(request.urn, context)
        old, inputs = await _values(request.olds, context), await _values(request.news, context)
        if request.preview:
            state = operations.preview(token, inputs)
        else:
            state = await self._operate(
                request,
                context,
                work=lambda operation: operations.update(token, inputs, old=old, operation=operation),
            )
        return provider_pb2.UpdateResponse(properties=to_struct(state))

    async def Delete(self, request: Any, context: Context) -> empty_pb2.Empty:  # noqa: N802
        """Run the command of a resource that is deleted."""
        token = await _token(request.urn, context)
        state = await _values(request.properties, context)
        await self._operate(
            request,
            context,
            work=lambda operation: operations.delete(token, state, operation=operation),
        )
        return empty_pb2.Empty()

    async def Read(self, request: Any, context: Context) -> provider_pb2.ReadResponse:  # noqa: N802
        """Return the stored state. Nothing is read from a host."""
        await _token(request.urn, context)
        return provider_pb2.ReadResponse(id=request.id, properties=request.properties, inputs=request.inputs)

    async def Invoke(self, request: Any, context: Context) -> provider_pb2.InvokeResponse:  # noqa: N802
        """Run the command of `command:local:run`, in previews too."""
        if request.tok != schema.LOCAL_RUN:
            await context.abort(grpc.StatusCode.UNIMPLEMENTED, schema.refusal(request.tok))
        arguments, failures = schema.check(request.tok, await _values(request.args, context))
        if failures:
            return provider_pb2.InvokeResponse(
                failures=[
                    provider_pb2.CheckFailure(property=path, reason=reason) for path, reason in failures
                ]
            )
        result = await self._operate(
            request, context, work=lambda operation: operations.invoke(arguments, operation)
        )
        return provider_pb2.InvokeResponse(**{"return": to_struct(result)})

    async def Cancel(self, request: Any, context: Context) -> empty_pb2.Empty:  # noqa: N802
        """Stop local commands, copies and dialling. A remote command that has started goes on."""
        for task, operation in self._running.items():
            if not operation.started.is_set():
                task.cancel()
        return empty_pb2.Empty()

    async def _operate(
        self,
        request: Any,
        context: Context,
        *,
        work: Callable[[Operation], Coroutine[Any, Any, T]],
    ) -> T:
        operation, finish = self._log.operation(getattr(request, "urn", ""))
        operation = replace(operation, timeout=getattr(request, "timeout", 0) or None)
        task = asyncio.create_task(work(operation))
        self._running[task] = operation
        try:
            return await task
        except CommandError as error:
            await finish()
            await context.abort(grpc.StatusCode.UNKNOWN, str(error))
            raise
        except asyncio.CancelledError:
            if task.cancelled():
                await context.abort(grpc.StatusCode.CANCELLED, "context canceled")
            raise
        finally:
            del self._running[task]
            await finish()


async def _values(struct: Any, context: Context) -> Values:
    """The values of a message. Aborts the request if they are malformed."""
    try:
        return from_struct(struct)
    except MalformedError as error:
        await context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"malformed input from the engine: {error}")
        raise


async def _token(urn: str, context: Context) -> str:
    """The resource type in a URN, without the parents' types. Aborts the request if it is not served."""
    parts = urn.split("::")
    if len(parts) < 4:
        await context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"malformed input from the engine: URN {urn!r}")
    token = parts[2].rsplit("$", 1)[-1]
    if token not in schema.INPUTS or token == schema.LOCAL_RUN:
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, schema.refusal(token))
    return token
