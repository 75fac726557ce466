"""A Wyoming server against a real gateway, by the protocol's own client, also over connections that break."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio
import pytest
from wyoming.asr import Transcribe, Transcript
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.client import AsyncTcpClient
from wyoming.event import Event, Eventable, async_write_event
from wyoming.info import Describe, Info
from wyoming.ping import Ping
from wyoming.pipeline import PipelineStage, RunPipeline
from wyoming.tts import Synthesize, SynthesizeChunk, SynthesizeStart, SynthesizeStop, SynthesizeVoice

from cluster.client.wyoming import wyoming_connection
from cluster.client.wyoming.wyoming_server import Conversations, WyomingServer, host_and_port, networks
from cluster.terminal.cli_errors import CliError
from rhapsode import AsyncRhapsode
from tests.support.clients.native_speaker import austen
from tests.support.cutting_relay import cutting_relay
from tests.support.running_app import RunningApp, app_fixture

pytestmark = pytest.mark.anyio

ANSWER = "The keeper lit the lamp. The fox came in from the rain and lay down."
SAID = "Please tell me a story."
SOUND = austen()[: 32 * 2_000]
app = app_fixture(
    llm={"reply": ANSWER, "delta_chars": 6, "per_delta_ms": 2}, stt={"texts": [SAID], "per_request_ms": 5}
)


@asynccontextmanager
async def connected(
    url: str, conversations: Conversations | None = None
) -> AsyncGenerator[AsyncTcpClient, None]:
    server = WyomingServer(url, conversations=conversations or Conversations())
    listening = await server.serve("127.0.0.1", 0)
    async with listening:
        host, port = listening.sockets[0].getsockname()
        async with AsyncTcpClient(host, port, read_timeout=60) as client:
            yield client


async def tell(client: AsyncTcpClient, *events: Eventable) -> None:
    for event in events:
        await client.write_event(event.event())


async def until(client: AsyncTcpClient, kind: str) -> list[Event]:
    events: list[Event] = []
    while not events or events[-1].type != kind:
        event = await client.read_event()
        assert event is not None, f"the connection ended before {kind}: {[each.type for each in events]}"
        assert event.type != "error" or kind == "error", event.data
        events.append(event)
    return events


def speech() -> list[Eventable]:
    about = {"rate": 16_000, "width": 2, "channels": 1}
    pieces = [SOUND[at : at + 2_048] for at in range(0, len(SOUND), 2_048)]
    return [AudioStart(**about), *(AudioChunk(audio=piece, **about) for piece in pieces), AudioStop()]


def sound_of(events: list[Event]) -> bytes:
    return b"".join(event.payload or b"" for event in events if event.type == "audio-chunk")


async def test_the_services_are_described(app: RunningApp) -> None:
    async with connected(app.url) as client:
        await tell(client, Describe())
        info = Info.from_event((await until(client, "info"))[-1])
        async with AsyncRhapsode(app.url) as ours:
            voices = await ours.voices()
        assert [voice.name for voice in info.tts[0].voices] == voices["voices"]
        assert "en" in info.asr[0].models[0].languages
        assert info.handle[0].supports_handled_streaming
        await tell(client, Ping(text="there?"))
        assert (await until(client, "pong"))[-1].data["text"] == "there?"


async def test_speech_becomes_text(app: RunningApp) -> None:
    async with connected(app.url) as client:
        for _ in range(2):
            await tell(client, Transcribe(language="en"), *speech())
            events = await until(client, "transcript")
            assert events[-1].data["text"] == SAID
            assert events[0].type == "transcript-start"


async def test_text_becomes_speech_whole_and_in_pieces(app: RunningApp) -> None:
    async with connected(app.url) as client:
        await tell(client, Synthesize(text=ANSWER))
        whole = await until(client, "audio-stop")
        assert whole[0].type == "audio-start"
        await tell(client, SynthesizeStart())
        for word in ANSWER.split(" "):
            await tell(client, SynthesizeChunk(text=f"{word} "))
        await tell(client, Synthesize(text=ANSWER), SynthesizeStop())
        pieces = await until(client, "synthesize-stopped")
        assert [event.type for event in pieces].count("audio-start") == 1
        assert len(sound_of(pieces)) >= 0.9 * len(sound_of(whole)) > 24_000


async def test_the_first_sentence_is_heard_while_the_text_still_comes(app: RunningApp) -> None:
    async with connected(app.url) as client:
        await tell(client, SynthesizeStart(), SynthesizeChunk(text="The keeper lit the lamp. The fox came "))
        await until(client, "audio-chunk")
        await tell(client, SynthesizeChunk(text="in."), SynthesizeStop())
        await until(client, "synthesize-stopped")


async def test_a_conversation_is_one_session(app: RunningApp) -> None:
    context, conversations = {"conversation_id": "01J-kitchen"}, Conversations()
    async with connected(app.url, conversations) as client:
        for _ in range(2):
            await tell(client, Transcript(text="Tell me a story.", context=context))
            events = await until(client, "handled-stop")
            handled = next(event for event in events if event.type == "handled")
            assert handled.data == {"text": ANSWER, "context": context}
            assert "".join(e.data["text"] for e in events if e.type == "handled-chunk") == ANSWER
    async with AsyncRhapsode(app.url) as ours:
        view = await ours.session(conversations.find("01J-kitchen") or "").view()
    assert (view["title"], len(view["turns"])) == ("Wyoming", 2)


async def test_speech_is_answered_by_speech_through_connections_that_break(app: RunningApp) -> None:
    async with cutting_relay(app.url, 9_000, cuts=4) as (url, broken), connected(url) as client:
        await tell(client, RunPipeline(start_stage=PipelineStage.ASR, end_stage=PipelineStage.TTS), *speech())
        events = await until(client, "audio-stop")
        kinds = [event.type for event in events]
        transcript = next(event for event in events if event.type == "transcript").data
        assert transcript["text"] == SAID
        assert next(event for event in events if event.type == "handled").data["text"] == ANSWER
        assert kinds.index("audio-start") > kinds.index("transcript")
        assert broken
    async with AsyncRhapsode(app.url) as ours:
        latest = ours.session(transcript["context"]["session_id"])
        recorded = [e.audio async for e in latest.events(audio="pcm16", follow=False) if e.audio]
    assert sound_of(events) == b"".join(recorded)


@pytest.mark.parametrize(
    ("event", "code"),
    [
        (AudioStop().event(), "event.invalid"),
        (Event("audio-start"), ""),
        (Event("audio-chunk", {"rate": 16_000, "width": 2, "channels": 1}, b"\0\0"), "event.invalid"),
        (Event("synthesize", {}), "event.invalid"),
        (Event("synthesize", {"text": 5}), None),
        (Event("synthesize", {"text": ""}), None),
        (Event("synthesize-stop"), "event.invalid"),
        (Event("run-pipeline", {"start_stage": "nowhere", "end_stage": "tts"}), "event.invalid"),
        (Synthesize(text="Hello.", voice=SynthesizeVoice(name="nobody")).event(), None),
    ],
)
async def test_a_wrong_event_is_told_and_the_connection_goes_on(
    app: RunningApp, event: Event, code: str | None
) -> None:
    async with connected(app.url) as client:
        await client.write_event(event)
        if code != "":
            told = (await until(client, "error"))[-1].data
            assert told["code"] == code or code is None
        await tell(client, Ping())
        await until(client, "pong")


@pytest.mark.parametrize(
    "sent",
    [
        b'{"type": "audio-chunk", "payload_length": 2000000000}\n',
        b'{"type": "describe", "data_length": 2000000000}\n',
        b"x" * 100_000 + b"\n",
        b"[]\n",
        b"{}\n",
        b'"describe"\n',
    ],
)
async def test_bytes_that_are_no_event_end_the_connection(app: RunningApp, sent: bytes) -> None:
    listening = await WyomingServer(app.url).serve("127.0.0.1", 0)
    async with listening:
        reader, writer = await asyncio.open_connection(*listening.sockets[0].getsockname())
        writer.write(sent)
        async with asyncio.timeout(30):
            assert await reader.read() == b""
        writer.close()


async def test_an_address_for_others_needs_networks() -> None:
    with pytest.raises(CliError, match="reached from other machines"):
        await WyomingServer("http://127.0.0.1:1").serve("0.0.0.0", 0)
    home = WyomingServer("http://127.0.0.1:1", networks(["192.168.1.0/24"]))
    assert home.admits("192.168.1.7")
    assert home.admits("127.0.0.1")
    assert home.admits("::1")
    assert not home.admits("192.168.2.7")
    assert not home.admits("::ffff:10.0.0.1")


@pytest.mark.parametrize("address", ["", "10500", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:70000"])
def test_an_address_has_a_host_and_a_port(address: str) -> None:
    with pytest.raises(CliError):
        host_and_port(address)
    with pytest.raises(CliError):
        networks(["kitchen"])


async def test_sound_that_ends_within_a_sample_is_refused_and_the_connection_stays(app: RunningApp) -> None:
    async with connected(app.url) as client:
        await tell(client, AudioStart(rate=44_100, width=2, channels=2))
        await tell(client, AudioChunk(rate=44_100, width=2, channels=2, audio=bytes(7)), Ping(text="here"))
        assert (await until(client, "error"))[-1].data["code"] == "event.invalid"
        await until(client, "pong")


async def test_a_client_that_does_not_read_is_closed(
    app: RunningApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wyoming_connection, "TAKES_S", 0.2)

    async def flood(writer: asyncio.StreamWriter) -> None:
        while True:
            await async_write_event(Ping(text="x" * 60_000).event(), writer)

    async with await WyomingServer(app.url).serve("127.0.0.1", 0) as listening:
        _, writer = await asyncio.open_connection(*listening.sockets[0].getsockname())
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        with anyio.fail_after(30), pytest.raises(ConnectionError):
            await flood(writer)
        writer.close()
