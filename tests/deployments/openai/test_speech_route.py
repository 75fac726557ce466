"""Speech: every format, while it is being made, and never with a gap that nobody was told of."""

import base64
from contextlib import aclosing
from typing import Any

import httpx
import pytest

from pipeline.audio.audio_files import StoredChunk, file_stream
from pipeline.audio.audio_formats import STREAM_MIME, StreamFormat
from pipeline.audio.opus import PACKET_MS, OpusEncoder, frame
from tests.support.clients.openai_requests import SPEECH, STORY, events_of, kinds, log_events_of, seconds_of
from tests.support.servers.speech_server import FakeSpeechServer
from tests.support.speech.recordings import tone

pytestmark = pytest.mark.anyio


def wished(text: str = STORY, **more: Any) -> dict[str, Any]:
    return {"model": "tts-1", "voice": "alloy", "input": text} | more


@pytest.mark.parametrize("fmt", ["mp3", "opus", "aac", "flac", "wav"])
async def test_a_file_in_each_format_is_as_long_as_the_speech(http: httpx.AsyncClient, fmt: str) -> None:
    answer = await http.post(SPEECH, json=wished(response_format=fmt))
    assert answer.headers["content-type"] == STREAM_MIME[fmt]  # type: ignore[index]
    log_events = await log_events_of(http, answer.headers["X-Rhapsode-Session"])
    [made] = [
        log_event["data"]["audio_ms"] for log_event in log_events if log_event["type"] == "turn.completed"
    ]
    assert made > 1_000
    assert seconds_of(answer.content) * 1_000 == pytest.approx(made, abs=100)


async def test_pcm_is_24_khz_without_a_header(http: httpx.AsyncClient) -> None:
    answer = await http.post(SPEECH, json=wished(response_format="pcm"))
    log_events = await log_events_of(http, answer.headers["X-Rhapsode-Session"])
    [made] = [
        log_event["data"]["audio_ms"] for log_event in log_events if log_event["type"] == "turn.completed"
    ]
    assert len(answer.content) == made * 48


@pytest.mark.parametrize("fmt", ["mp3", "opus", "aac", "flac", "wav", "pcm"])
def test_the_first_chunk_gives_bytes_at_once(fmt: StreamFormat) -> None:
    encoder = OpusEncoder(16_000, 24_000)
    file = file_stream(fmt)

    def pushed(number: int) -> bytes:
        packets = encoder.encode(tone(400))
        return file.push(StoredChunk(frame(packets), number, PACKET_MS * len(packets)))

    assert len(pushed(0)) > 500
    assert pushed(1)
    assert pushed(0), "a new sentence"


@pytest.mark.parametrize("fmt", STREAM_MIME)
def test_nothing_at_all_is_a_file_too(fmt: StreamFormat) -> None:
    assert isinstance(file_stream(fmt).finish(), bytes)


async def test_the_first_bytes_leave_before_the_last_are_made(http: httpx.AsyncClient) -> None:
    text = STORY * 12
    async with http.stream("POST", SPEECH, json=wished(text, response_format="pcm")) as answer:
        session = answer.headers["X-Rhapsode-Session"]
        async with aclosing(answer.aiter_raw()) as pieces:
            await anext(pieces)
            so_far = kinds(await log_events_of(http, session))
    assert "audio.chunk" in so_far
    assert "turn.completed" not in so_far


async def test_a_client_that_hangs_up_stops_the_speech(http: httpx.AsyncClient) -> None:
    async with http.stream("POST", SPEECH, json=wished(STORY * 20, speed=0.25)) as answer:
        session = answer.headers["X-Rhapsode-Session"]
        async with aclosing(answer.aiter_raw()) as pieces:
            await anext(pieces)
    log_events = await log_events_of(http, session, to_its_end=True)
    assert kinds(log_events)[-1] == "session.ended"


async def test_speed_makes_it_shorter_and_longer(http: httpx.AsyncClient) -> None:
    lengths = [
        len((await http.post(SPEECH, json=wished(response_format="pcm", speed=speed))).content)
        for speed in (4.0, 1.0, 0.25)
    ]
    assert lengths[0] * 2 < lengths[1] < lengths[2] / 2


async def test_events_hold_the_file_and_what_it_took(http: httpx.AsyncClient) -> None:
    answer = await http.post(SPEECH, json=wished(stream_format="sse", response_format="wav"))
    events = [event.json for event in events_of(answer.text)]
    assert {event["type"] for event in events[:-1]} == {"speech.audio.delta"}
    file = b"".join(base64.b64decode(event["audio"]) for event in events[:-1])
    assert seconds_of(file) > 1
    assert events[-1]["type"] == "speech.audio.done"
    usage = events[-1]["usage"]
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"] > 20


async def test_a_voice_that_fails_at_once_is_an_error(http: httpx.AsyncClient) -> None:
    answer = await http.post(SPEECH, json=wished("The unspeakable thing."))
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "engine_error")


async def test_a_voice_that_fails_later_breaks_the_file_off(http: httpx.AsyncClient) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        await http.post(SPEECH, json=wished(f"{STORY} Then came the unspeakable thing. It went away."))


async def test_a_voice_that_fails_later_is_an_event(http: httpx.AsyncClient) -> None:
    text = f"{STORY} Then came the unspeakable thing. It went away."
    answer = await http.post(SPEECH, json=wished(text, stream_format="sse"))
    events = [event.json for event in events_of(answer.text)]
    assert events[0]["type"] == "speech.audio.delta"
    assert events[-1]["error"]["code"] == "engine_error"


async def test_a_provider_is_told_the_instructions(http: httpx.AsyncClient, remote: FakeSpeechServer) -> None:
    body = wished("Good morning.", model="house/tts-1", voice="joe", instructions="Gently.")
    answer = await http.post(SPEECH, json=body)
    assert answer.status_code == 200, answer.text
    assert remote.requests[0]["instructions"] == "Gently."
    assert remote.requests[0]["voice"] == "joe"
