"""A call of the voice stays open for the next sentence: by it go whole sentences, one after the other."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from contextvars import ContextVar
from typing import Any

import pytest

from deployments.rpc import result_stream_client
from deployments.rpc.replica_telemetry import Observed, streaming
from deployments.rpc.result_stream_client import ResultStreamClient
from deployments.rpc.result_stream_server import STAYS, ResultStreamServer
from deployments.rpc.serve_client import ReplicaCalls
from pipeline.observability import span_names
from pipeline.observability.trace_propagation import PropagatedContext
from pipeline.observability.tracer import CURRENT_CONTEXT
from schemas.errors import EngineBusy, EngineDead, EngineFailed
from tests.support.eventually import eventually
from tests.support.local_replicas import HERE, NearHandle, NearReply

pytestmark = pytest.mark.anyio

REQUEST: ContextVar[str] = ContextVar("REQUEST", default="none")
"""As Serve's: the request in which a call was made, and with which it is cancelled."""


class Voice(Observed):
    """Says each word of a sentence; "…" waits, "!" breaks."""

    def __init__(self, idle_calls: int = 8) -> None:
        self.leaving = False
        self.results = ResultStreamClient(idle_calls, lambda: self.leaving)
        self.held = asyncio.Event()
        self.ended: list[str] = []
        self.requests: list[str] = []

    @streaming(span_names.REPLICA_SYNTHESIZE)
    async def speak(self, text: str, extra: Any = None) -> AsyncGenerator[dict[str, Any], None]:
        self.requests.append(REQUEST.get())
        try:
            for word in text.split():
                if word == "…":
                    await self.held.wait()
                if word == "!":
                    raise EngineFailed("it broke")
                yield {"word": word, "session": CURRENT_CONTEXT.get().session, "extra": repr(extra)}
        finally:
            self.ended.append(text)

    def completed(self, arguments: tuple[Any, ...], context: PropagatedContext) -> tuple[Any, ...]:
        return (*arguments, context["wish"]) if "wish" in context else arguments


class Caller:
    """One gateway's calls of a voice."""

    def __init__(self, results: ResultStreamServer, voice: Voice) -> None:
        self.results = results
        self.handle = NearHandle(voice)
        self.calls = ReplicaCalls(self.handle.options(method_name="speak"), results)

    async def items(self, *arguments: Any, **context: str | int) -> AsyncGenerator[Any, None]:
        async with self.calls.stream(*arguments, context=context) as items:
            async for item in items:
                yield item

    async def say(self, *arguments: Any, **context: str | int) -> str:
        return " ".join([item["word"] async for item in self.items(*arguments, **context)])

    @property
    def made(self) -> int:
        """Calls that went through Serve."""
        return len(self.handle.replies)


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Items come past Serve, and calls stay, however long a test takes."""
    for name in ("_PATIENCE_S", "_IDLE_S", "_LONGEST_S"):
        monkeypatch.setattr(result_stream_client, name, 60.0)


@pytest.fixture
def voice() -> Voice:
    return Voice()


@pytest.fixture
def caller(results: ResultStreamServer, voice: Voice) -> Caller:
    return Caller(results, voice)


async def test_sentences_one_after_the_other_go_by_one_call(caller: Caller) -> None:
    assert [await caller.say(text) for text in ("one two", "", "three")] == ["one two", "", "three"]
    assert caller.made == 1
    assert caller.handle.replies[0].past_serve


async def test_sentences_at_once_are_calls_of_their_own_and_are_not_mixed_up(
    caller: Caller, voice: Voice
) -> None:
    for _ in range(3):
        voice.requests.clear()
        voice.held.clear()
        texts = [f"{number} … end of {number}" for number in range(5)]
        speaking = asyncio.gather(*map(caller.say, texts))
        await eventually(lambda: len(voice.requests) == 5)
        voice.held.set()
        assert await speaking == texts
    assert caller.made == 5


async def test_each_sentence_has_its_own_context_and_wishes(caller: Caller) -> None:
    deep: Any = {"seed": 10**30, "nan": [], "text": "\ud800"}
    first = [item async for item in caller.items("one", session="a", turn=2, wish="calm")]
    second = [item async for item in caller.items("two", deep, session="b", turn=9)]
    third = [item async for item in caller.items("three")]
    told = [(item["session"], item["extra"]) for item in (*first, *second, *third)]
    assert told == [("a", repr("calm")), ("b", repr(deep)), ("", repr(None))]
    assert caller.made == 1


async def test_a_call_is_made_in_no_request_so_that_it_outlives_the_one_of_its_first_sentence(
    caller: Caller, voice: Voice
) -> None:
    REQUEST.set("one that is cancelled")
    await caller.say("one")
    assert voice.requests == ["none"]


async def test_a_call_that_nobody_needs_any_more_ends_by_itself(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(result_stream_client, "_IDLE_S", 0.01)
    await caller.say("one")
    await eventually(lambda: not caller.calls._idle)
    await caller.handle.replies[0]._serving
    assert not caller.results._calls
    assert await caller.say("two") == "two"
    assert caller.made == 2


async def test_a_call_is_not_asked_for_ever_so_that_replicas_that_are_added_get_their_share(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(result_stream_client, "_LONGEST_S", 0.0)
    assert [await caller.say(text) for text in ("one", "two")] == ["one", "two"]
    assert caller.made == 2


async def test_a_sentence_that_is_given_up_ends_its_call(caller: Caller, voice: Voice) -> None:
    await caller.say("before")
    async with aclosing(caller.items("one … two")) as items:
        await anext(items)
    await eventually(lambda: voice.ended[-1] == "one … two")
    assert not caller.results._calls
    assert await caller.say("after") == "after"
    assert caller.made == 2


async def test_an_error_ends_the_call_and_is_its_sentences_alone(caller: Caller) -> None:
    await caller.say("before")
    with pytest.raises(EngineFailed, match="it broke"):
        await caller.say("one ! two")
    assert await caller.say("after") == "after"
    assert caller.made == 2


@pytest.mark.parametrize("fate", [NearReply.kill, NearReply.cancel_for_its_request])
@pytest.mark.parametrize("words", ["one … two", "… two"])
async def test_a_sentence_whose_replica_dies_ends_as_one_of_its_own_call(
    caller: Caller, fate: Callable[[NearReply], None], words: str
) -> None:
    await caller.say("before")
    speaking = asyncio.create_task(caller.say(words))
    await eventually(lambda: not caller.calls._idle)
    fate(caller.handle.replies[0])
    with pytest.raises(EngineDead):
        await speaking
    assert await caller.say("after") == "after"
    assert caller.made == 2


async def test_a_replica_that_dies_while_its_call_waits_is_not_asked(caller: Caller) -> None:
    await caller.say("before")
    caller.handle.replies[0].kill()
    await eventually(lambda: not caller.calls._idle)
    assert await caller.say("after") == "after"


async def test_a_connection_that_is_lost_while_its_call_waits_costs_no_sentence(
    caller: Caller, voice: Voice
) -> None:
    await caller.say("before")
    [connection] = caller.results._connections
    connection.close()
    assert await caller.say("after") == "after", "before anybody noticed"
    await caller.handle.replies[0]._serving
    assert caller.made == 2
    assert await caller.say("later") == "later"
    assert caller.made == 2


async def test_a_sentence_that_comes_as_the_call_ends_is_asked_for_anew(caller: Caller, voice: Voice) -> None:
    await caller.say("before")
    [connection] = voice.results._connections.values()
    found = await connection
    assert found is not None
    [waiting] = found.asked.values()
    waiting.set_result(None)  # the time is over, and the gateway has not been told yet
    assert await caller.say("after") == "after"
    assert voice.ended == ["before", "after"]
    assert caller.made == 2


@pytest.mark.parametrize("since", ["before", "while it waits"])
async def test_a_replica_that_is_being_stopped_takes_no_further_sentence(
    caller: Caller, voice: Voice, since: str
) -> None:
    voice.leaving = since == "before"
    await caller.say("before")
    voice.leaving = True
    assert await caller.say("after") == "after", "through Serve, which asks another one"
    assert caller.made == 2
    await eventually(lambda: not caller.results._calls)


async def test_of_a_replicas_calls_so_many_wait_as_it_says(results: ResultStreamServer) -> None:
    voice = Voice(idle_calls=2)
    gateways = [Caller(results, voice), Caller(results, voice)]
    sentences = [gateway.say("one … two") for gateway in gateways for _ in range(3)]
    speaking = asyncio.gather(*sentences)
    await eventually(lambda: sum(gateway.made for gateway in gateways) == 6)
    voice.held.set()
    await speaking
    await eventually(lambda: len(results._calls) == 2)
    assert sum(len(gateway.calls._idle) for gateway in gateways) == 2


async def test_gateways_and_replicas_of_earlier_releases_have_a_call_for_each_sentence(
    results: ResultStreamServer,
) -> None:
    replica_of_020 = Caller(results, Voice(idle_calls=0))
    assert [await replica_of_020.say(text) for text in ("one", "two")] == ["one", "two"]
    assert replica_of_020.made == 2
    call = results.call()
    assert call.back.pop(STAYS)  # as a gateway of 0.2.0, which says nothing of it
    [said] = [item async for item in Voice().speak("one two", context=call.back)]
    assert said == {"handed_in": 2}


async def test_a_busy_replica_refuses_a_sentence_by_an_open_call_as_by_a_new_one(
    caller: Caller, voice: Voice, monkeypatch: pytest.MonkeyPatch
) -> None:
    await caller.say("before")

    def busy(*_: Any) -> Any:
        raise EngineBusy("all slots are taken")

    monkeypatch.setattr(voice, "completed", busy)
    with pytest.raises(EngineBusy, match="all slots"):
        await caller.say("one")


async def test_calls_end_with_their_gateway(voice: Voice) -> None:
    async with ResultStreamServer(HERE) as results:
        caller = Caller(results, voice)
        await caller.say("one")
        assert caller.calls._idle
    await asyncio.wait({caller.handle.replies[0]._serving})
    assert not caller.calls._idle
