"""Calls of all remote clients: one bounded call, always cancelled, errors in our own words."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping
from contextlib import aclosing, asynccontextmanager, contextmanager
from typing import Any, Final

import anyio
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

__all__ = ["CONTEXT", "Item", "answer_of", "healthy", "items_of", "streamed"]
CONTEXT: Final = "come"
"""Keyword of a call's context: the only one that replicas of 0.1.0 know. Later ones take `context` too."""
_CLOSE_S: Final = 2.0
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


@asynccontextmanager
async def streamed(
    results: ResultStreamServer | None, ask: Callable[[Mapping[str, str | int]], Any]
) -> AsyncGenerator[AsyncIterator[Item], None]:
    """As `items_of`, for a call whose items come past Serve. `ask` makes it, with what it brings along.

    Without an inbox they come through Serve.
    """
    if results is None:
        async with aclosing(items_of(ask({}))) as items:
            yield items
        return
    with results.call() as call:
        reply = ask(call.back)
        following = asyncio.create_task(_follow(reply, call))
        try:
            yield call
        finally:
            reply.cancel()
            following.cancel()
            # A cancelled task would be cancelled again at the next `await`.
            with anyio.move_on_after(_CLOSE_S, shield=True):
                await asyncio.wait({following})


async def _follow(reply: Any, call: Call) -> None:
    """The call in Serve: how it ends, and its items where the replica has no other way to us."""
    failure: RhapsodeError | None = None
    try:
        with _in_our_words():
            async for item in reply:
                if WHOLE in item:
                    call.expect(item[WHOLE])
                else:
                    call.put(item)
    except asyncio.CancelledError:
        call.end(EngineDead("the call was cancelled"))
        raise
    except RhapsodeError as error:
        failure = error
    except Exception as error:
        failure = EngineFailed(f"the call failed: {type(error).__name__}")
    call.end(failure)


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
