"""Results of engines reach the gateway past Serve: whole, in order, and never mixed up."""

import asyncio
import json
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any, cast

import pytest

from deployments.replicas.language_model import LanguageModelReplica, RemoteLanguageModel
from deployments.replicas.text_to_speech import RemoteSpeaker, TextToSpeechReplica
from deployments.rpc import result_stream_client
from deployments.rpc.replica_telemetry import Observed, streaming
from deployments.rpc.result_stream_server import ResultStreamServer
from deployments.rpc.serve_client import ReplicaCalls
from pipeline.engines.ports import ChatRequest, EngineResult, Message, OpusChunk, SpokenBy, Written
from pipeline.engines.scripted import ScriptedLanguageModel
from pipeline.observability import span_names
from rhapsode.testing.language_model_contract import LanguageModelContract
from schemas.errors import EngineDead, EngineFailed
from schemas.settings import LanguageModelSettings, TextToSpeechSettings
from tests.contracts.speaker import SpeakerContract
from tests.support.eventually import eventually
from tests.support.local_replicas import HERE, NearHandle, NearReply

pytestmark = pytest.mark.anyio


class Counter(Observed):
    """Counts as far as it is told; may stop and wait on the way."""

    def __init__(self) -> None:
        self.held = asyncio.Event()
        self.closed = asyncio.Event()

    @streaming(span_names.REPLICA_CHAT)
    async def count(self, to: int, stop_at: int = -1) -> AsyncGenerator[dict[str, Any], None]:
        try:
            for number in range(to):
                if number == stop_at:
                    await self.held.wait()
                yield {"number": number, "sound": bytes([number % 256]) * number}
        finally:
            self.closed.set()

    @streaming(span_names.REPLICA_CHAT)
    async def break_down(self) -> AsyncGenerator[dict[str, Any], None]:
        yield {"number": 0}
        raise EngineFailed("it broke")


async def counted(
    results: ResultStreamServer | None, handle: NearHandle, *arguments: int, method: str = "count"
) -> AsyncGenerator[Any, None]:
    calls = ReplicaCalls(handle.options(method_name=method), results)
    async with calls.stream(*arguments, context={}) as items:
        async for item in items:
            yield item


async def until_it_failed(
    stream: AsyncIterator[Any], found: list[int], then: Callable[[int], Awaitable[None]]
) -> None:
    """`then` is told how many came, with each."""
    async for item in stream:
        found.append(item["number"])
        await then(len(found))


async def numbers(stream: AsyncIterator[Any]) -> list[int]:
    return [item["number"] async for item in stream]


class CountingRemote(RemoteLanguageModel):
    """Knows the engine behind the replica."""

    engine: ScriptedLanguageModel

    @property
    def open_streams(self) -> int:
        return self.engine.open_streams


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Items come past Serve, however long it takes until there is a way."""
    monkeypatch.setattr(result_stream_client, "_PATIENCE_S", 30.0)


class TestRemoteLanguageModel(LanguageModelContract):
    @pytest.fixture
    async def model(self, tmp_path: Path, results: ResultStreamServer) -> CountingRemote:
        script = tmp_path / "script.json"
        script.write_text(json.dumps({"delta_chars": 8, "per_delta_ms": 1}))
        settings = LanguageModelSettings(engine="scripted", script=script, coalesce_ms=0)
        replica = LanguageModelReplica.__new__(LanguageModelReplica)
        engine = ScriptedLanguageModel(settings)
        await replica._begin(engine, settings)
        model = CountingRemote(cast(Any, NearHandle(replica)), results)
        model.engine = engine
        return model


class OfTheVersionBefore(LanguageModelReplica):
    """Knows the fields of a request that 0.1.0 had, and refuses others."""

    def completed(self, arguments: tuple[Any, ...], context: Any) -> tuple[Any, ...]:
        assert "whole" not in arguments[0]
        return arguments


class Remembering(ScriptedLanguageModel):
    asked: ChatRequest | None = None

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Written, None]:
        self.asked = request
        async with aclosing(super().stream(request)) as items:
            async for item in items:
                yield item


@pytest.mark.parametrize(("kind", "told"), [(LanguageModelReplica, True), (OfTheVersionBefore, False)])
async def test_a_field_that_old_replicas_do_not_know_reaches_new_ones_alone(
    kind: type[LanguageModelReplica], told: bool
) -> None:
    settings = LanguageModelSettings(engine="scripted", coalesce_ms=0)
    replica, engine = kind.__new__(kind), Remembering(settings)
    await replica._begin(engine, settings)
    model = RemoteLanguageModel(cast(Any, NearHandle(replica)))
    request = ChatRequest((Message("user", "Hello"),), max_tokens=2, whole=True)
    assert [item async for item in model.stream(request)]
    assert engine.asked is not None
    assert engine.asked.whole is told


class SpeakerReplicaOf020(TextToSpeechReplica):
    """Reads nothing of a delivery from `context`, and refuses fields that 0.2.0 did not have."""

    def completed(self, arguments: tuple[Any, ...], context: Any) -> tuple[Any, ...]:
        assert set(arguments[3]) <= {"provider", "timeout_s", "extra"}
        return arguments


@pytest.mark.parametrize(("kind", "ignored"), [(TextToSpeechReplica, ("style",)), (SpeakerReplicaOf020, ())])
async def test_wishes_that_old_speech_replicas_do_not_know_reach_new_ones_alone(
    tmp_path: Path, kind: type[TextToSpeechReplica], ignored: tuple[str, ...]
) -> None:
    replica = kind.__new__(kind)
    await TextToSpeechReplica.__init__(replica, TextToSpeechSettings(engine="scripted"), tmp_path)
    speaker = await RemoteSpeaker.connect(cast(Any, NearHandle(replica)))
    delivery = EngineResult(language="en", style="calm", pause_ms=100)
    items = [item async for item in speaker.speak("Hello there.", voice=speaker.voices[0], delivery=delivery)]
    assert [item.ignored for item in items if isinstance(item, SpokenBy)] == [ignored]
    assert any(isinstance(item, OpusChunk) for item in items)


class TestRemoteSpeaker(SpeakerContract):
    @pytest.fixture
    async def speaker(self, tmp_path: Path, results: ResultStreamServer) -> RemoteSpeaker:
        replica = TextToSpeechReplica.__new__(TextToSpeechReplica)
        await TextToSpeechReplica.__init__(replica, TextToSpeechSettings(engine="scripted"), tmp_path)
        return await RemoteSpeaker.connect(cast(Any, NearHandle(replica)), results)


async def test_items_come_whole_in_order_and_not_through_serve(
    results: ResultStreamServer, patient: None
) -> None:
    handle = NearHandle(Counter())
    items = [item async for item in counted(results, handle, 300)]
    assert [item["number"] for item in items] == list(range(300))
    assert all(item["sound"] == bytes([n % 256]) * n for n, item in enumerate(items))
    assert handle.replies[0].past_serve


async def test_calls_at_once_share_a_connection_and_are_not_mixed_up(results: ResultStreamServer) -> None:
    handle = NearHandle(Counter())
    lengths = [0, 1, 7, 50, 200] * 6
    found = await asyncio.gather(*(numbers(counted(results, handle, length)) for length in lengths))
    assert found == [list(range(length)) for length in lengths]
    assert len(results._connections) == 1


async def test_a_replica_that_cannot_reach_the_gateway_answers_through_serve(
    results: ResultStreamServer,
) -> None:
    with socket.create_server((HERE, 0)) as nobody:
        gone = nobody.getsockname()[1]
    handle = NearHandle(Counter())
    results._port = gone
    assert await numbers(counted(results, handle, 20)) == list(range(20))
    assert not handle.replies[0].past_serve


async def test_a_call_that_names_no_inbox_is_answered_through_serve() -> None:
    handle = NearHandle(Counter())
    assert await numbers(counted(None, handle, 20)) == list(range(20))


async def test_an_error_comes_after_what_was_made_before_it(results: ResultStreamServer) -> None:
    found: list[int] = []

    async def then(_: int) -> None:
        pass

    with pytest.raises(EngineFailed, match="it broke"):
        await until_it_failed(counted(results, NearHandle(Counter()), method="break_down"), found, then)
    assert found == [0]


async def test_a_client_that_stops_listening_stops_the_replica(results: ResultStreamServer) -> None:
    counter = Counter()
    async with aclosing(counted(results, NearHandle(counter), 100, 3)) as stream:
        async for item in stream:
            if item["number"] == 2:
                break
    async with asyncio.timeout(5):
        await counter.closed.wait()
    assert not results._calls


async def test_a_lost_connection_ends_the_call_and_the_next_one_makes_another(
    results: ResultStreamServer, patient: None
) -> None:
    counter, found = Counter(), list[int]()
    handle = NearHandle(counter)

    async def then(count: int) -> None:
        if count == 3:
            for connection in list(results._connections):
                connection.close()
            await eventually(lambda: not results._connections)
            counter.held.set()

    with pytest.raises(EngineDead):
        await until_it_failed(counted(results, handle, 100, 3), found, then)
    assert found == [0, 1, 2]
    assert await numbers(counted(results, handle, 5)) == list(range(5))


@pytest.mark.parametrize("fate", [NearReply.kill, NearReply.cancel_for_its_request])
async def test_of_a_call_that_is_cut_off_what_was_made_is_heard(
    results: ResultStreamServer, fate: Callable[[NearReply], None]
) -> None:
    handle, found = NearHandle(Counter()), list[int]()

    async def then(count: int) -> None:
        if count == 3:
            fate(handle.replies[0])

    with pytest.raises(EngineDead):
        await until_it_failed(counted(results, handle, 100, 3), found, then)
    assert found == [0, 1, 2]


async def test_a_client_that_hangs_up_on_replicas_is_no_way_and_their_calls_answer_through_serve(
    results: ResultStreamServer,
) -> None:
    def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with await asyncio.start_server(hang_up, HERE, 0) as sidecar:
        results._port = sidecar.sockets[0].getsockname()[1]
        handle = NearHandle(Counter())
        for _ in range(3):
            assert await numbers(counted(results, handle, 20)) == list(range(20))
    assert not any(reply.past_serve for reply in handle.replies)


async def test_a_gateway_that_does_not_answer_keeps_no_call_waiting(
    results: ResultStreamServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(result_stream_client, "_CONNECT_S", 0.05)
    held, came = asyncio.Event(), list[int]()

    async def say_nothing(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.append(1)
        await held.wait()
        writer.close()

    async with await asyncio.start_server(say_nothing, HERE, 0) as silent:
        results._port = silent.sockets[0].getsockname()[1]
        counter = Counter()
        handle = NearHandle(counter)
        for _ in range(3):
            assert await numbers(counted(results, handle, 20)) == list(range(20))
            [way] = counter.results._connections.values()
            assert await way is None
        assert not any(reply.past_serve for reply in handle.replies)
        assert len(came) == 1, "it is not tried again for a while"
        held.set()


async def test_a_way_that_was_made_since_outlives_the_wait_for_the_one_before(
    results: ResultStreamServer, patient: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    counter = Counter()
    handle = NearHandle(counter)
    assert await numbers(counted(results, handle, 5)) == list(range(5))
    [(address, way)] = counter.results._connections.items()
    counter.results._lost(address, asyncio.current_task())
    assert counter.results._connections == {address: way}
    counter.results._lost(address, way)
    assert counter.results._connections == {}
