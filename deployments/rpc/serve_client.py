"""Calls of all remote clients: one bounded call, always cancelled, errors in our own words."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager, contextmanager
from typing import Any, Final

from grpc import StatusCode
from grpc.aio import AioRpcError
from ray.exceptions import RayActorError, RayError
from ray.serve.exceptions import (
    BackPressureError,
    DeploymentUnavailableError,
    RayServeException,
    RequestCancelledError,
)

from deployments.rpc.result_stream_server import WHOLE, Call, Item, ResultStreamServer, unless_error
from schemas.errors import EngineBusy, EngineDead, EngineError, EngineFailed, RhapsodeError

__all__ = ["CONTEXT", "Item", "ReplicaCalls", "answer_of", "healthy", "items_of"]
CONTEXT: Final = "come"
"""Keyword of a call's context: the only one that replicas of 0.1.0 know. Later ones take `context` too."""
_GONE: Final = (StatusCode.CANCELLED, StatusCode.UNAVAILABLE)
"""Ray tells of a replica that shuts down in gRPC's words, where it does so in the middle of a stream."""


async def items_of(reply: Any) -> AsyncGenerator[Item, None]:
    """A streaming handle call's items. Closing it stops the replica, which Serve does not do by itself.

    Raises EngineBusy, EngineDead, EngineFailed, or what the replica reported.
    """
    try:
        with _in_our_words():
            async for item in reply:
                yield unless_error(item)
    finally:
        reply.cancel()


class ReplicaCalls:
    """Calls of one method of a deployment, whose items come past Serve, or through it without `results`.

    Where a replica says that a call stays open, the next one goes by it instead of through Serve.
    """

    def __init__(self, method: Any, results: ResultStreamServer | None) -> None:
        """`method`: a handle's, with its options."""
        self._method = method
        self._results = results
        self._idle: list[Call] = []
        """Open and unused, the latest last; so those that are not needed end."""

    @asynccontextmanager
    async def stream(
        self, *arguments: Any, context: Mapping[str, str | int]
    ) -> AsyncGenerator[AsyncIterator[Item], None]:
        """As `items_of`. A block that is left before the last item ends the call."""
        if (results := self._results) is None:
            reply = self._method.remote(*arguments, **{CONTEXT: context})
            async with aclosing(items_of(reply)) as items:
                yield items
            return
        call = self._asked(results, arguments, context)
        try:
            while not await call.begun():
                results.forget(call)
                call = self._asked(results, arguments, context)
            yield call
        finally:
            if call.idle:
                self._idle.append(call)
            else:
                call.scope.cancel()
                results.forget(call)

    def _asked(
        self, results: ResultStreamServer, arguments: Sequence[Any], context: Mapping[str, str | int]
    ) -> Call:
        while self._idle:
            call = self._idle.pop()
            if call.idle:
                call.ask(arguments, context)
                return call
            results.forget(call)
        call = results.call()
        results.spawn(self._follow, results, call, arguments, context)
        return call

    async def _follow(
        self,
        results: ResultStreamServer,
        call: Call,
        arguments: Sequence[Any],
        context: Mapping[str, str | int],
    ) -> None:
        """The call in Serve: how it ends, and its items where the replica has no other way to us."""
        failure: RhapsodeError | None = EngineDead("the call was cancelled")
        try:
            with call.scope:
                reply = self._method.remote(*arguments, **{CONTEXT: {**context, **call.back}})
                async with aclosing(items_of(reply)) as items:
                    async for item in items:
                        if WHOLE in item:
                            call.expect(item[WHOLE])
                        else:
                            call.put(item)
                failure = None
        except RhapsodeError as error:
            failure = error
        except Exception as error:
            failure = EngineFailed(f"the call failed: {type(error).__name__}")
        finally:
            call.end(failure)
            if call in self._idle:
                self._idle.remove(call)
                results.forget(call)


async def healthy(reply: Any, unreachable: str) -> None:
    """Waits for a replica's `check_health`. Raises EngineError with its reason, or with `unreachable`."""
    try:
        await reply
    except Exception as error:
        cause = getattr(error, "cause", error)  # Ray wraps what a replica raises
        raise EngineError(str(cause) if isinstance(cause, EngineDead) else unreachable) from error


async def answer_of(reply: Any) -> Item:
    """Awaits the result of a handle call. Cancelling it cancels the call. Raises as `items_of`."""
    try:
        with _in_our_words():
            return unless_error(await reply)
    finally:
        reply.cancel()


@contextmanager
def _in_our_words() -> Iterator[None]:
    try:
        yield
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        # No caller cancelled this task: Serve ended the call with the request that it was made in.
        raise EngineDead("the call was cancelled with its request") from error
    except BackPressureError as error:
        raise EngineBusy("all replicas are at their limit") from error
    except (RayActorError, DeploymentUnavailableError) as error:
        raise EngineDead("the replica died") from error
    except RequestCancelledError as error:
        raise EngineDead("the replica was stopped") from error
    except EngineError:
        raise
    except AioRpcError as error:
        if error.code() not in _GONE:
            raise EngineFailed(f"the replica failed: {error.code().name}") from error
        raise EngineDead("the replica has gone") from error
    except (RayError, RayServeException) as error:
        raise EngineFailed(f"the replica failed: {type(error).__name__}") from error
