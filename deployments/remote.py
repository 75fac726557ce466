"""What all remote clients share: one bounded call, always cancelled, errors in our own words."""

from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from ray.exceptions import RayActorError, RayError
from ray.serve.exceptions import (
    BackPressureError,
    DeploymentUnavailableError,
    RayServeException,
    RequestCancelledError,
)

from schemas import errors
from schemas.errors import EngineBusy, EngineDead, EngineError, EngineFailed, RhapsodeError
from schemas.retrieval_errors import BY_CODE

Item = Mapping[str, Any]
"""What crosses a handle: str, bytes, numbers, lists and dicts only, so that environments may differ."""

_BY_CODE: Final[dict[str, type[RhapsodeError]]] = BY_CODE | {
    kind.code: kind
    for kind in (
        *(errors.UnknownVoice, errors.UnknownProvider, errors.UnknownModel),
        *(EngineBusy, EngineFailed, EngineDead),
    )
}


def error_item(error: RhapsodeError) -> dict[str, Any]:
    """An error as an item: exceptions themselves do not travel."""
    return {"error": error.code, "message": str(error), "field": error.field}


async def items_of(reply: Any) -> AsyncGenerator[Item, None]:
    """A streaming handle call's items. Closing it stops the replica, which Serve does not do by itself.

    Raises EngineBusy, EngineDead, EngineFailed, or what the replica reported.
    """
    try:
        with _in_our_words():
            async for item in reply:
                yield _unless_error(item)
    finally:
        reply.cancel()


async def answer_of(reply: Any) -> Item:
    """What a handle call returns. Cancelling it cancels the call. Raises as `items_of`."""
    try:
        with _in_our_words():
            return _unless_error(await reply)
    finally:
        reply.cancel()


def _unless_error(item: Item) -> Item:
    if "error" in item:
        raise _BY_CODE.get(item["error"], EngineFailed)(item["message"], field=item["field"])
    return item


@contextmanager
def _in_our_words() -> Iterator[None]:
    try:
        yield
    except BackPressureError as error:
        raise EngineBusy("all replicas are at their limit") from error
    except (RayActorError, DeploymentUnavailableError) as error:
        raise EngineDead("the replica died") from error
    except RequestCancelledError as error:
        raise EngineDead("the replica was stopped") from error
    except EngineError:
        raise
    except (RayError, RayServeException) as error:
        raise EngineFailed(f"the replica failed: {type(error).__name__}") from error
