"""A replica of ours in this process, called as if Serve were between."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from ray.exceptions import RayActorError

HERE = "127.0.0.1"


class NearReply:
    """As a DeploymentResponseGenerator: iterated once, cancelled from anywhere, fails with its replica."""

    def __init__(self, stream: AsyncIterator[dict[str, Any]]) -> None:
        self._items: asyncio.Queue[dict[str, Any] | BaseException | None] = asyncio.Queue()
        self._serving = asyncio.create_task(self._serve(stream))
        self.past_serve = True
        """Nothing but the call's end came this way."""

    async def _serve(self, stream: AsyncIterator[dict[str, Any]]) -> None:
        try:
            async for item in stream:
                self._items.put_nowait(item)
        except Exception as error:  # Serve passes on whatever a replica raises
            self._items.put_nowait(error)
        else:
            self._items.put_nowait(None)

    def cancel_for_its_request(self) -> None:
        """As Serve does when the request is over in which the call was made."""
        self._serving.cancel()
        self._items.put_nowait(asyncio.CancelledError())

    def kill(self) -> None:
        """The replica's process is gone."""
        self._serving.cancel()
        self._items.put_nowait(RayActorError())

    def cancel(self) -> None:
        self._serving.cancel()

    def __aiter__(self) -> "NearReply":
        return self

    async def __anext__(self) -> dict[str, Any]:
        item = await self._items.get()
        if isinstance(item, BaseException):
            raise item
        if item is None:
            raise StopAsyncIteration
        self.past_serve &= "handed_in" in item
        return item


class NearHandle:
    """As a DeploymentHandle to one replica."""

    def __init__(self, replica: Any, method: str = "") -> None:
        self._replica = replica
        self._method = method
        self.replies: list[NearReply] = []

    def options(self, *, method_name: str, **_: Any) -> "NearHandle":
        other = NearHandle(self._replica, method_name)
        other.replies = self.replies
        return other

    def remote(self, *arguments: Any, **named: Any) -> Any:
        answer = getattr(self._replica, self._method)(*arguments, **named)
        if hasattr(answer, "__aiter__"):
            answer = NearReply(answer)
            self.replies.append(answer)
        return answer
