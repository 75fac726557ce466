"""Tasks that outlive a request know nothing of it."""

from contextvars import ContextVar

import anyio
import pytest

from pipeline.core.task_scope import TaskScope

pytestmark = pytest.mark.anyio

REQUEST: ContextVar[str] = ContextVar("request", default="none")


class Errands(TaskScope):
    """Notes in which request an errand is run."""

    def __init__(self) -> None:
        super().__init__()
        self.run_in: list[tuple[str, str]] = []
        self.done = anyio.Event()

    def ask(self, errand: str) -> None:
        self.spawn(self._run, errand)

    async def _run(self, errand: str) -> None:
        self.run_in.append((errand, REQUEST.get()))
        self.done.set()


async def test_it_is_in_no_requests_context() -> None:
    async with Errands() as errands:
        token = REQUEST.set("somebody's")
        errands.ask("milk")
        REQUEST.reset(token)
        with anyio.fail_after(5):
            await errands.done.wait()
    assert errands.run_in == [("milk", "none")]
