"""Seed 000, point by point: the answer is heard while it is still being written."""

import json
from itertools import accumulate
from typing import Any

import anyio
import httpx
import pytest
from websockets.asyncio.client import connect

from tests.support.clients.assistant_client import LIMIT_S, Message, assistant, mp3_ms, say, until
from tests.support.clients.logged_utterances import of
from tests.support.clients.native_speaker import Event, austen, events_of, silence
from tests.support.running_app import RunningApp, app_fixture
from tests.support.speech.sound_files import wav

pytestmark = pytest.mark.anyio

ANSWER = (
    "The old keeper lit the great lamp, and then he climbed the long stairs up to the gallery, where the "
    "wind was cold. He saw the fox. It sat by the door and waited for him, as it did every evening. So they "
    "shared the fish"
)
QUESTION = "Please tell me of the keeper."
SPEECH = silence(300) + austen() + silence(900)

Talk = tuple[list[Message], list[Event]]
app = app_fixture(
    llm={"reply": ANSWER, "delta_chars": 5, "per_delta_ms": 20, "first_delta_ms": 20},
    tts={"ms_per_char": 5, "first_chunk_ms": 5},
    stt={"texts": [QUESTION], "per_request_ms": 5},
    language_model={"coalesce_ms": 0},
    limits={"heartbeat_s": 0.2, "rejoin_s": 0.3},
)
"""Writes a token every 20 ms, so that speaking has time to overtake writing."""


async def talk(app: RunningApp, **query: Any) -> Talk:
    """One question and its answer: the messages, and the session's events."""
    async with assistant(app, **query) as (socket, session):
        await say(socket, SPEECH)
        heard = await until(socket, "done")
    return heard, await events_of(app, session)


@pytest.fixture(scope="module")
def talked(app: RunningApp) -> Talk:
    """One talk, which several tests look at."""
    return anyio.run(talk, app)


def kinds(heard: list[Message]) -> list[str]:
    return [message["type"] for message in heard]


def seqs(events: list[Event], kind: str) -> list[int]:
    return [event["seq"] for event in events if event["type"] == kind]


def sentences(events: list[Event]) -> list[str]:
    """As they were cut for speaking."""
    answer = "".join(data["text"] for data in of(events, "text.delta"))
    return [answer[data["start"] : data["end"]].strip() for data in of(events, "sentence.ready")]


# ---------------------------------------------------------------- 3: the socket


async def test_3_1_tokens_come_while_they_are_written_and_the_sound_between_them(talked: Talk) -> None:
    heard, _ = talked
    told = kinds(heard)
    assert "".join(message["token"] for message in heard if message["type"] == "token") == ANSWER
    assert told.count("token") > 10
    last_token = len(told) - 1 - told[::-1].index("token")
    assert told.index("token") < told.index("audio-chunk") < last_token
    assert told[: last_token + 1].count("audio-chunk") >= 3


async def test_3_2_at_the_end_the_rest_is_spoken_and_then_it_is_said_that_this_was_all(talked: Talk) -> None:
    heard, events = talked
    told = kinds(heard)
    assert told[-2:] == ["audio-done", "done"]
    assert told.count("audio-done") == told.count("done") == 1
    spoken = sentences(events)
    assert spoken[-1].endswith("shared the fish")
    assert told.count("audio-chunk") == len(spoken)


async def test_3_3_text_is_spoken_after_fifty_characters_or_at_the_end_of_a_sentence(talked: Talk) -> None:
    _, events = talked
    spoken = sentences(events)
    assert " ".join(spoken) == ANSWER
    assert len(spoken) >= 5
    for text in spoken[:-1]:
        assert text.endswith((".", ",")) or 40 <= len(text) <= 60, text
    assert all(len(text) <= 60 for text in spoken)


async def test_3_4_a_chunk_is_an_mp3_file_of_what_was_spoken(talked: Talk) -> None:
    heard, events = talked
    chunks = [message["chunk"] for message in heard if message["type"] == "audio-chunk"]
    lengths = [data["ms"] for data in of(events, "sentence.completed")]
    for chunk, ms in zip(chunks, lengths, strict=True):
        assert abs(mp3_ms(chunk) - ms) < 150  # MP3 comes in whole frames, with silence around them


async def test_5_one_call_waits_for_the_one_before_so_the_order_is_that_of_the_text(talked: Talk) -> None:
    _, events = talked
    chunks = [data["sentence"] for data in of(events, "audio.chunk")]
    assert chunks == sorted(chunks)
    done = [data["sentence"] for data in of(events, "sentence.completed")]
    assert done == list(range(len(done)))
    assert [data["at_ms"] for data in of(events, "audio.chunk")] == list(
        accumulate((data["ms"] for data in of(events, "audio.chunk")), initial=0)
    )[:-1]


async def test_the_client_may_send_its_sound_as_base64_and_end_its_utterance(app: RunningApp) -> None:
    async with assistant(app) as (socket, _):
        await say(socket, silence(200) + austen(), base64_chunks=True)
        await socket.send(json.dumps({"type": "commit"}))
        heard = await until(socket, "done")
    assert [message["text"] for message in heard if message["type"] == "transcript"] == [QUESTION]


async def test_nothing_that_is_sent_before_the_session_is_named_is_lost(app: RunningApp) -> None:
    async with connect(f"{app.ws_url}/ws/voice", max_size=None) as socket:
        with anyio.fail_after(LIMIT_S):
            await say(socket, austen() + silence(900))  # it begins with a word
            heard = await until(socket, "done")
    events = await events_of(app, heard[0]["session_id"])
    assert of(events, "input.closed") == [] or of(events, "input.closed")[0]["ms"] > 0
    assert of(events, "speech.started")[0]["at_ms"] < 400


async def test_a_conversation_goes_on_in_its_session(app: RunningApp) -> None:
    async with assistant(app) as (socket, session):
        await say(socket, SPEECH)
        await until(socket, "done")
    async with assistant(app, session_id=session) as (socket, again):
        assert again == session
        await say(socket, SPEECH)
        await until(socket, "done")
    assert len(of(await events_of(app, session), "turn.completed")) == 2


WRONG = [
    ("no json", "input.invalid", None),
    ('{"type": "sing"}', "input.invalid", "type"),
    ('{"type": "audio-chunk"}', "input.invalid", "chunk"),
    ('{"type": "audio-chunk", "chunk": "?"}', "sound.unreadable", "chunk"),
    ('{"type": "audio-chunk", "chunk": "äöü"}', "sound.unreadable", "chunk"),
    ('{"type": "playback", "turn": 1}', "input.invalid", "ms"),
    ('{"type": "playback", "turn": 1, "ms": 5}', "turn.not_found", "turn"),
    ('{"type": "stop"}', "turn.none_running", "turn"),
    (bytes(1_000_001), "body.too_large", "chunk"),
]


async def test_a_faulty_message_is_told_and_the_conversation_goes_on(app: RunningApp) -> None:
    async with assistant(app) as (socket, _):
        for message, code, field in WRONG:
            await socket.send(message)
            [told] = await until(socket, "error")
            assert (told["code"], told.get("field")) == (code, field), message
        await say(socket, SPEECH)
        assert kinds(await until(socket, "done"))[-2:] == ["audio-done", "done"]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"mode": "fast"}, "mode"),
        ({"rate": 44_100}, "rate"),
        ({"format": "mp3"}, "format"),
        ({"session_id": "x"}, "session_id"),
    ],
)
async def test_a_wrong_wish_names_its_field(app: RunningApp, query: dict[str, Any], field: str) -> None:
    wishes = "&".join(f"{name}={value}" for name, value in query.items())
    async with connect(f"{app.ws_url}/ws/voice?{wishes}") as socket:
        told = json.loads(await socket.recv())
        await socket.wait_closed()
    assert (told["type"], told["field"]) == ("error", field)
    assert socket.close_code in (4422, 4404)


# ---------------------------------------------------------------- 4 and 7: the old way, to compare


async def at_once(app: RunningApp, mode: str) -> tuple[Message, list[Event]]:
    async with httpx.AsyncClient(base_url=app.url, timeout=LIMIT_S) as http:
        answer = await http.post("/api/voice", params={"mode": mode}, content=wav(SPEECH))
    assert answer.status_code == 200, answer.text
    reply = answer.json()
    return reply, await events_of(app, reply["session_id"])


async def test_4_the_legacy_way_does_one_step_after_the_other(app: RunningApp) -> None:
    reply, events = await at_once(app, "legacy")
    assert (reply["transcript"], reply["reply"], reply["mode"]) == (QUESTION, ANSWER, "legacy")
    assert mp3_ms(reply["audio"]) > 0.9 * of(events, "turn.completed")[0]["audio_ms"]
    [written] = seqs(events, "text.completed")
    assert [data["text"] for data in of(events, "text.delta")] == [ANSWER]
    assert min(seqs(events, "audio.chunk")) > written
    assert min(seqs(events, "sentence.ready")) > seqs(events, "text.delta")[0]


async def test_4_the_streaming_way_does_not(talked: Talk) -> None:
    _, events = talked
    [written] = seqs(events, "text.completed")
    assert len(of(events, "text.delta")) > 10
    assert len([seq for seq in seqs(events, "audio.chunk") if seq < written]) >= 3


async def test_7_the_same_engines_are_heard_earlier_in_the_streaming_way(
    app: RunningApp, talked: Talk
) -> None:
    """As the order of events: what the old way can only begin when all is written is heard before that."""
    _, streamed = talked
    _, legacy = await at_once(app, "legacy")

    def first_sound_ms(events: list[Event]) -> int:
        asked = next(event["ts"] for event in events if event["type"] == "turn.requested")
        return int(next(event["ts"] for event in events if event["type"] == "audio.chunk") - asked)

    def written_ms(events: list[Event]) -> int:
        asked = next(event["ts"] for event in events if event["type"] == "turn.requested")
        return int(next(event["ts"] for event in events if event["type"] == "text.completed") - asked)

    assert first_sound_ms(streamed) < written_ms(streamed)
    assert first_sound_ms(legacy) >= written_ms(legacy)


async def test_7_nothing_said_is_an_answer_too(app: RunningApp) -> None:
    async with httpx.AsyncClient(base_url=app.url, timeout=LIMIT_S) as http:
        answer = await http.post("/api/voice", content=wav(silence(1_000)))
        broken = await http.post("/api/voice", content=b"no recording")
        unknown = await http.post("/api/voice", params={"session_id": "x"}, content=wav(SPEECH))
    assert (answer.status_code, answer.json()["turn"], answer.json()["audio"]) == (200, None, "")
    assert (broken.status_code, broken.json()["code"]) == (422, "sound.unreadable")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "session.not_found")
