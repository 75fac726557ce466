"""Jobs of one input, one after the other, while its next sound is listened to."""

from collections.abc import Awaitable, Callable
from typing import Final

import anyio

Job = Callable[[], Awaitable[object]]
_WAITING: Final = 256


class SerialTaskQueue:
    """Runs jobs in order, beside the task that puts them, which waits while too many wait."""

    def __init__(self) -> None:
        self._send, self._receive = anyio.create_memory_object_stream[Job](_WAITING)

    async def run(self) -> None:
        """Until it is closed. Raises what a job raises; later jobs are kept and not run."""
        async for job in self._receive:
            await job()
        self._receive.close()

    async def put(self, job: Job) -> None:
        await self._send.send(job)

    async def flush(self) -> None:
        """Return when every job put so far is done."""
        done = anyio.Event()

        async def tell() -> None:
            done.set()

        await self._send.send(tell)
        await done.wait()

    def close(self) -> None:
        """Nothing more will be put; `run` ends when what waits is done."""
        self._send.close()
