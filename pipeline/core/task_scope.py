"""Objects with tasks of their own, which end with them."""

from collections.abc import Callable, Coroutine
from contextvars import Context
from types import TracebackType
from typing import Any, Self, TypeVarTuple

import anyio
from anyio.abc import TaskGroup

Arguments = TypeVarTuple("Arguments")


class TaskScope:
    """An async context manager whose tasks begin with the block, or later, and are cancelled at its end."""

    def __init__(self) -> None:
        self._group: TaskGroup | None = None

    @property
    def _tasks(self) -> TaskGroup:
        """Task group of the block."""
        assert self._group is not None
        return self._group

    def spawn(self, work: Callable[[*Arguments], Coroutine[Any, Any, None]], *arguments: *Arguments) -> None:
        """Start what goes on when whoever asked for it has left.

        In no request's context: Serve cancels, with a request, what was called in its context.
        """
        Context().run(lambda: self._tasks.start_soon(work, *arguments))

    def _begin(self, tasks: TaskGroup) -> None:
        """Start what runs all the time; nothing by itself."""

    async def __aenter__(self) -> Self:
        self._group = anyio.create_task_group()
        await self._group.__aenter__()
        self._begin(self._group)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        group, self._group = self._tasks, None
        group.cancel_scope.cancel()
        return await group.__aexit__(kind, error, trace)
