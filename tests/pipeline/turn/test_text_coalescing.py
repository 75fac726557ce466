"""Small deltas are merged, the first and the punctual ones are not, and no text is lost."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

import anyio
import anyio.lowlevel
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.web.ws_drain import until
from pipeline.engines.ports import ChatRequest, Completion
from pipeline.engines.routed_language_model import CoalescingLanguageModel
from schemas.errors import EngineFailed

pytestmark = pytest.mark.anyio
REQUEST = ChatRequest(())


class Typist:
    """Makes each delta when its clock says so; the clock moves only here."""

    def __init__(self, script: list[tuple[float, str]]) -> None:
        self.now = 100.0
        self.closed = False
        self._script = script

    async def stream(self, request: ChatRequest) -> AsyncGenerator[str | Completion, None]:
        try:
            for gap, delta in self._script:
                self.now += gap
                if not delta:
                    raise EngineFailed("The typist is ill.")
                yield delta
            yield Completion("stop")
        finally:
            self.closed = True

    async def aclose(self) -> None:
        """Nothing to close."""


async def collect(typist: Typist, interval_ms: int = 20) -> list[str | Completion]:
    model = CoalescingLanguageModel(typist, interval_ms, now=lambda: typist.now)
    return [item async for item in model.stream(REQUEST)]


async def test_the_first_delta_leaves_at_once_and_a_burst_behind_it_is_one() -> None:
    burst = [(0.0, "Once"), (0.001, " upon"), (0.001, " a"), (0.001, " time")]
    assert await collect(Typist(burst)) == ["Once", " upon a time", Completion("stop")]


async def test_deltas_that_come_about_each_interval_are_not_held() -> None:
    punctual = [(0.0199, word) for word in ("a", "b", "c", "d")]
    assert await collect(Typist(punctual)) == ["a", "b", "c", "d", Completion("stop")]


async def test_leaving_closes_the_engine() -> None:
    typist = Typist([(0.0, "a"), (0.0, "b"), (0.0, "c")])
    model = CoalescingLanguageModel(typist, 20, now=lambda: typist.now)
    async with aclosing(model.stream(REQUEST)) as items:
        assert await anext(items) == "a"
    assert typist.closed


async def test_text_before_a_failure_of_the_engine_is_not_lost() -> None:
    typist = Typist([(0.0, "Once"), (0.001, " upon"), (0.001, " a"), (0.001, "")])
    model = CoalescingLanguageModel(typist, 20, now=lambda: typist.now)
    async with aclosing(model.stream(REQUEST)) as items:
        assert [await anext(items), await anext(items)] == ["Once", " upon a"]
        with pytest.raises(EngineFailed):
            await anext(items)


@given(script=st.lists(st.tuples(st.floats(0, 0.05), st.text(min_size=1, max_size=4)), max_size=20))
def test_no_text_is_lost_and_the_completion_comes_last(script: list[tuple[float, str]]) -> None:
    items = anyio.run(collect, Typist(script))
    assert "".join(item for item in items[:-1] if isinstance(item, str)) == "".join(t for _, t in script)
    assert items[-1] == Completion("stop")
    assert all(items)


class Sluggish(Typist):
    """Takes a moment to stop; its second delta never comes."""

    async def stream(self, request: ChatRequest) -> AsyncGenerator[str | Completion, None]:
        try:
            yield "Once"
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(0.01)
            self.closed = True


async def test_a_caller_that_is_cancelled_closes_what_it_has_opened_all_the_same() -> None:
    """Cancelling comes again at every `await`, also on the way out."""
    typist, source = Sluggish([]), Sluggish([])
    streams = (
        CoalescingLanguageModel(typist, 20, now=lambda: typist.now).stream(REQUEST),
        until(anyio.sleep_forever, source.stream(REQUEST)),
    )

    async def read(items: AsyncGenerator[object, None], started: anyio.Event) -> None:
        async with aclosing(items):
            async for _ in items:
                started.set()

    for items in streams:
        async with anyio.create_task_group() as tasks:
            started = anyio.Event()
            tasks.start_soon(read, items, started)
            await started.wait()
            await anyio.lowlevel.checkpoint()
            tasks.cancel_scope.cancel()
    assert (typist.closed, source.closed) == (True, True)
