"""A call that Serve ends with its request is a dead engine to us; one that we end ourselves is not."""

import asyncio
from typing import Any

import pytest

from deployments.rpc.serve_client import answer_of, items_of
from schemas.errors import EngineDead

pytestmark = pytest.mark.anyio


class Answer:
    """As a DeploymentResponse or its generator, in the hands of a request that is over."""

    def __init__(self, *, cancelled: bool) -> None:
        self._cancelled = cancelled

    async def _come(self) -> dict[str, Any]:
        if self._cancelled:
            raise asyncio.CancelledError
        await asyncio.Event().wait()
        raise AssertionError("nobody sets it")

    def __await__(self) -> Any:
        return self._come().__await__()

    def __aiter__(self) -> "Answer":
        return self

    async def __anext__(self) -> dict[str, Any]:
        return await self._come()

    def cancel(self) -> None:
        """Nothing runs."""


async def heard(answer: Answer, *, whole: bool) -> None:
    if whole:
        await answer_of(answer)
    else:
        async for _ in items_of(answer):
            pass


@pytest.mark.parametrize("whole", [True, False])
async def test_a_call_that_serve_cancels_is_a_dead_engine(whole: bool) -> None:
    with pytest.raises(EngineDead, match="with its request"):
        await heard(Answer(cancelled=True), whole=whole)


@pytest.mark.parametrize("whole", [True, False])
async def test_a_client_that_stops_listening_is_cancelled_as_ever(whole: bool) -> None:
    listener = asyncio.create_task(heard(Answer(cancelled=False), whole=whole))
    await asyncio.sleep(0)
    listener.cancel()
    with pytest.raises(asyncio.CancelledError):
        await listener
