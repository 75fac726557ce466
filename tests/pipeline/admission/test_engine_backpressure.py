"""The measure of what waits for the engines: when it says no, and whom it lets wait."""

from collections.abc import AsyncGenerator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.admission.engine_backpressure import EngineBackpressure, RetryWhenBusyLanguageModel
from pipeline.engines.ports import ChatRequest, Completion, Message, Written
from schemas.errors import EngineBusy, GatewayBusy
from schemas.settings.limit_settings import AdmissionSettings
from tests.support.clocks import Hours

pytestmark = pytest.mark.anyio
LIMITS = AdmissionSettings(waiting_turns=4, wait_s=10, busy_s=2, patience_s=5)
REQUEST = ChatRequest((Message("user", "Hello"),))


class Crowded:
    """A model that has no place for the first so many requests."""

    def __init__(self, refusals: int, *, after: int = 0) -> None:
        self.refusals = refusals
        self._after = after

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Written, None]:
        for _ in range(self._after):
            yield "word "
        if self.refusals:
            self.refusals -= 1
            raise EngineBusy("All places are taken.")
        yield "Hello."
        yield Completion("stop")

    async def aclose(self) -> None:
        pass


async def said(model: RetryWhenBusyLanguageModel, request: ChatRequest = REQUEST) -> str:
    return "".join([item async for item in model.stream(request) if isinstance(item, str)])


@given(st.lists(st.tuples(st.sampled_from(["ask", "answer", "leave"]), st.floats(0, 3)), max_size=60))
def test_it_says_no_exactly_while_too_many_wait_or_one_waits_too_long(steps: list[tuple[str, float]]) -> None:
    clock = Hours()
    backpressure, waiting = EngineBackpressure(LIMITS, clock), dict[int, float]()
    for what, pause in steps:
        clock.s += pause
        if what == "ask":
            waiting[backpressure.ask()] = clock.s
        elif waiting:
            call = next(iter(waiting))
            del waiting[call]
            (backpressure.answered if what == "answer" else backpressure.give_up)(call)
            backpressure.answered(call)
        oldest = clock.s - min(waiting.values(), default=clock.s)
        assert backpressure.waiting == len(waiting)
        assert bool(backpressure.saturated) == (
            len(waiting) >= LIMITS.waiting_turns or oldest > LIMITS.wait_s
        )
        assert 1 <= backpressure.retry_after_s <= 60


def test_when_to_come_back_follows_from_the_pace_of_the_last_answers() -> None:
    clock = Hours()
    backpressure = EngineBackpressure(LIMITS, clock)
    for _ in range(5):
        clock.s += 1
        backpressure.answered(backpressure.ask())
    for _ in range(4):
        backpressure.ask()
    with pytest.raises(GatewayBusy) as refused:
        backpressure.check()
    assert refused.value.retry_after_s == 8.0  # 4 wait, and 5 in 10 seconds are answered


async def test_a_turn_that_was_taken_waits_for_a_busy_engine_and_no_other_is_taken_meanwhile() -> None:
    clock = Hours()
    backpressure = EngineBackpressure(LIMITS, clock)
    assert await said(RetryWhenBusyLanguageModel(Crowded(3), backpressure)) == "Hello."
    assert backpressure.saturated
    assert backpressure.waiting == 0
    clock.s += LIMITS.busy_s
    assert not backpressure.saturated


@pytest.mark.parametrize(
    ("model", "request_", "least_s"),
    [
        (Crowded(1_000), REQUEST, 3.0),
        (Crowded(1, after=1), REQUEST, 0.0),
        (Crowded(1), ChatRequest(REQUEST.messages, provider="cloud"), 0.0),
    ],
    ids=["patience ends", "what was said is not said twice", "a provider elsewhere has its own guard"],
)
async def test_some_are_not_waited_for(model: Crowded, request_: ChatRequest, least_s: float) -> None:
    clock = Hours()
    backpressure = EngineBackpressure(LIMITS, clock)
    with pytest.raises(EngineBusy):
        await said(RetryWhenBusyLanguageModel(model, backpressure), request_)
    assert least_s <= clock.s <= LIMITS.patience_s
    assert backpressure.waiting == 0


def test_each_principal_asks_a_busy_engine_as_often_whether_one_or_sixty_of_its_calls_wait() -> None:
    backpressure = EngineBackpressure(LIMITS, Hours())
    for principal, calls in (("eve", 60), ("mallory", 60), ("bob", 1)):
        for _ in range(calls):
            backpressure.ask(principal)
    asks_per_s = {name: calls / backpressure.pause_s(name) for name, calls in (("eve", 60), ("bob", 1))}
    assert asks_per_s["eve"] <= 1.5 * asks_per_s["bob"]
    for call in range(1, 121):
        backpressure.give_up(call)
    assert backpressure.pause_s("eve") == backpressure.pause_s("bob") < 0.2
