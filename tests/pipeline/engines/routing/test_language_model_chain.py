"""Retries, fallback and the breaker of language models, against real servers of ours."""

from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.engines.llm.openai_chat import OpenAiChat
from pipeline.engines.ports import ChatRequest, Completion, Message
from pipeline.engines.routed import Breaker, Retry, Target
from pipeline.engines.routed_language_model import RoutedLanguageModel, open_language_model
from pipeline.engines.scripted import ScriptedLanguageModel
from rhapsode.testing.language_model_contract import LanguageModelContract, answer
from schemas.errors import EngineBusy, EngineDead, EngineError, EngineFailed, UnknownModel, UnknownProvider
from schemas.settings import LanguageModelSettings
from tests.support.clocks import HandClock
from tests.support.eventually import eventually
from tests.support.servers.chat_server import ANSWER, FakeChatServer, fake_chat_server

pytestmark = pytest.mark.anyio
HERE = ChatRequest((Message("user", "Which colour?"),))
CLOUD = replace(HERE, provider="cloud")


@pytest.fixture(scope="module")
def running_other() -> Iterator[FakeChatServer]:
    with fake_chat_server() as remote:
        yield remote


@pytest.fixture
def other(running_other: FakeChatServer) -> FakeChatServer:
    running_other.forget()
    return running_other


@pytest.fixture
def local() -> ScriptedLanguageModel:
    return ScriptedLanguageModel(LanguageModelSettings())


def opened(
    local: ScriptedLanguageModel, fallback: list[str], clock: HandClock | None = None, **providers: Any
) -> RoutedLanguageModel:
    given = {"engine": "scripted", "providers": providers, "fallback": fallback}
    return open_language_model(local, LanguageModelSettings.model_validate(given), clock=clock or HandClock())


async def failing(model: RoutedLanguageModel, request: ChatRequest = CLOUD) -> EngineError:
    with pytest.raises(EngineError) as failed:
        await answer(model, request)
    return failed.value


# ---------------------------------------------------------------- who answers


class Counting(RoutedLanguageModel):
    """One that says how much is open, as the contract wants to know."""

    def __init__(self, local: ScriptedLanguageModel, elsewhere: FakeChatServer) -> None:
        cloud = OpenAiChat("cloud", elsewhere.settings())
        super().__init__([Target("local", local), Target("cloud", cloud, choices=("fox-1",))], ("cloud",))
        self._local = local

    @property
    def open_streams(self) -> int:
        return self._local.open_streams


class TestLocalAmongOthers(LanguageModelContract):
    @pytest.fixture
    async def model(self, tmp_path: Path, elsewhere: FakeChatServer) -> AsyncGenerator[Counting, None]:
        script = tmp_path / "script.json"
        script.write_text('{"delta_chars": 8, "per_delta_ms": 1}')
        model = Counting(ScriptedLanguageModel(LanguageModelSettings(script=script)), elsewhere)
        yield model
        await model.aclose()


async def test_the_model_in_this_server_answers_unless_somebody_else_is_chosen(
    local: ScriptedLanguageModel, elsewhere: FakeChatServer, other: FakeChatServer
) -> None:
    model = opened(local, [], cloud=elsewhere.settings(), box=other.settings())
    asked = (HERE, replace(HERE, provider="local"), CLOUD, replace(HERE, provider="box"))
    who = [(await answer(model, request))[1].provider for request in asked]
    assert who == ["local", "local", "cloud", "box"]
    assert (local.calls, len(elsewhere.requests), len(other.requests)) == (2, 1, 1)
    await model.aclose()


async def test_a_model_is_one_of_the_chosen_providers(
    local: ScriptedLanguageModel, elsewhere: FakeChatServer
) -> None:
    model = opened(local, [], cloud=elsewhere.settings(models=["fox-2"]))
    for name in (None, "fox-1", "fox-2"):
        await answer(model, replace(CLOUD, model=name))
    assert [asked["model"] for asked in elsewhere.requests] == ["fox-1", "fox-1", "fox-2"]
    with pytest.raises(UnknownModel, match="cloud has no model 'fox-3'; there is: fox-1, fox-2"):
        await answer(model, replace(CLOUD, model="fox-3"))
    with pytest.raises(UnknownModel, match="local has no model 'fox-1'"):
        await answer(model, replace(HERE, model="fox-1"))
    with pytest.raises(UnknownProvider, match="'nobody'"):
        await answer(model, replace(HERE, provider="nobody"))
    await model.aclose()


# ---------------------------------------------------------------- when somebody cannot


async def test_the_fallback_order_is_kept(
    local: ScriptedLanguageModel, elsewhere: FakeChatServer, other: FakeChatServer
) -> None:
    model = opened(local, ["box", "local"], cloud=elsewhere.settings(), box=other.settings())
    elsewhere.refusals, other.refusals = [(503, {}), (404, {})], [(503, {})]
    who = [(await answer(model, CLOUD))[1].provider for _ in range(3)]
    assert who == ["local", "box", "cloud"]
    assert (len(elsewhere.requests), len(other.requests), local.calls) == (3, 2, 1)
    await model.aclose()


async def test_a_model_that_the_fallback_does_not_have_becomes_its_usual_one(
    local: ScriptedLanguageModel, elsewhere: FakeChatServer, other: FakeChatServer
) -> None:
    cloud = elsewhere.settings(models=["fox-2", "fox-3"])
    model = opened(local, ["box"], cloud=cloud, box=other.settings(model="owl-1", models=["fox-2"]))
    elsewhere.refusals = [(503, {})] * 2
    for name in ("fox-2", "fox-3"):
        await answer(model, replace(CLOUD, model=name))
    assert [asked["model"] for asked in other.requests] == ["fox-2", "owl-1"]
    await model.aclose()


async def test_no_engine_takes_over_after_the_first_word(
    local: ScriptedLanguageModel, elsewhere: FakeChatServer
) -> None:
    model = opened(local, ["local"], cloud=elsewhere.settings(attempts=3))
    elsewhere.deltas = 1
    error = await failing(model)
    assert (type(error), str(error)) == (EngineFailed, "cloud broke off in the middle of its answer.")
    assert (len(elsewhere.requests), local.calls) == (1, 0)
    await model.aclose()


async def test_when_nobody_can_all_reasons_are_told_and_whether_that_may_pass(
    local: ScriptedLanguageModel, elsewhere: FakeChatServer, other: FakeChatServer
) -> None:
    model = opened(local, ["box"], cloud=elsewhere.settings(), box=other.settings())
    elsewhere.refusals = [(422, {"detail": "too sad"})] * 2
    other.refusals = [(503, {}), (422, {"detail": "too long"})]
    error = await failing(model)
    assert str(error) == "cloud refused this (HTTP 422): too sad box is busy (HTTP 503)."
    assert (type(error), error.retryable) == (EngineBusy, True)
    assert not (await failing(model)).retryable
    await model.aclose()


async def test_closing_hangs_up_at_once(local: ScriptedLanguageModel, elsewhere: FakeChatServer) -> None:
    elsewhere.deltas, elsewhere.stalls = 1, True
    model = opened(local, ["local"], cloud=elsewhere.settings())
    async with aclosing(model.stream(CLOUD)) as items:
        await anext(items)
        assert elsewhere.writing == 1
    await eventually(lambda: (elsewhere.writing, elsewhere.hung_up) == (0, 1))
    assert local.calls == 0
    await model.aclose()


# ---------------------------------------------------------------- asking again, and leaving alone


async def test_a_busy_server_is_asked_again_until_it_answers(elsewhere: FakeChatServer) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    elsewhere.refusals = [(503, {}), (429, {}), (500, {})]
    retry = Retry(Breaker(99, 10.0, HandClock()), 4, sleep, draw=lambda low, high: high)
    model = RoutedLanguageModel([Target("local", OpenAiChat("cloud", elsewhere.settings()), retry)], ())
    deltas, completion = await answer(model, HERE)
    assert ("".join(deltas), completion.provider) == (ANSWER, "cloud")
    assert (len(elsewhere.requests), slept) == (4, [0.25, 0.5, 1.0])
    await model.aclose()


@pytest.mark.parametrize(("trouble", "asked"), [((400, {}), 1), ((503, {}), 3)])
async def test_only_what_may_pass_is_asked_again(
    local: ScriptedLanguageModel, elsewhere: FakeChatServer, trouble: tuple[int, Any], asked: int
) -> None:
    elsewhere.refusals = [trouble] * 5
    retry = Retry(Breaker(99, 10.0, HandClock()), 3, draw=lambda low, high: low)
    model = RoutedLanguageModel([Target("local", OpenAiChat("cloud", elsewhere.settings()), retry)], ())
    await failing(model, HERE)
    assert len(elsewhere.requests) == asked
    await model.aclose()


async def test_a_server_that_keeps_failing_is_left_alone_until_it_had_its_rest(
    local: ScriptedLanguageModel, elsewhere: FakeChatServer
) -> None:
    clock = HandClock()
    cloud = elsewhere.settings(breaker_failures=2, breaker_reset_s=10)
    model = opened(local, [], clock, cloud=cloud)
    elsewhere.deltas = 1
    for _ in range(2):
        await failing(model)
    error = await failing(model)
    assert (type(error), len(elsewhere.requests)) == (EngineDead, 2)
    assert str(error) == "cloud keeps failing and is left alone for a moment."
    elsewhere.deltas = None
    clock.advance(10)
    assert (await answer(model, CLOUD))[1] == Completion("stop", 7, 4, "cloud", "fox-1-2026")
    await model.aclose()


async def test_while_it_is_left_alone_the_next_one_answers_at_once(
    local: ScriptedLanguageModel, elsewhere: FakeChatServer
) -> None:
    model = opened(local, ["local"], cloud=elsewhere.settings(breaker_failures=1))
    elsewhere.refusals = [(500, {})]
    for _ in range(3):
        assert (await answer(model, CLOUD))[1].provider == "local"
    assert len(elsewhere.requests) == 1
    await model.aclose()
