"""A microphone's socket takes whatever comes: every mistake has a name, and what is right goes on."""

from itertools import pairwise
from typing import Any

import anyio
import av
import numpy as np
import pytest

from tests.support.clients.native_speaker import Caller, austen, calling, events_of, new_session, silence
from tests.support.running_app import RunningApp

pytestmark = pytest.mark.anyio
SPEECH = silence(300) + austen() + silence(1_200)
TEXT = "Please tell me a story."
INPUT = "0190163d-8694-739b-aea5-966c26f8ad90"


def samples(pcm: bytes) -> Any:
    return np.frombuffer(pcm, "<i2").astype(np.float64)


def pcm(sound: Any) -> bytes:
    return bytes(np.clip(np.rint(sound), -32_768, 32_767).astype("<i2").tobytes())


async def heard_in(app: RunningApp, sound: bytes, *, frame_bytes: int = 1_280, **wish: Any) -> list[str]:
    """The texts of what is understood of this sound."""
    session = await new_session(app, reply=False)
    async with calling(app, session) as caller:
        await caller.open(**wish)
        for start in range(0, len(sound), frame_bytes):
            await caller.raw(sound[start : start + frame_bytes])
        assert (await caller.answered(type="input.close"))["type"] == "accepted"
    events = await events_of(app, session)
    assert events[-1]["type"] == "input.closed"
    return [event["data"]["text"] for event in events if event["type"] == "transcript.final"]


def mistake(frame: dict[str, Any]) -> tuple[str, str, str | None]:
    return frame["type"], frame["code"], frame.get("field")


# ---------------------------------------------------------------- sound


async def test_silence_says_nothing(app: RunningApp) -> None:
    assert await heard_in(app, silence(3_000)) == []


@pytest.mark.parametrize("loudness", [30, 3_000, 30_000])
async def test_white_noise_says_nothing(app: RunningApp, loudness: float) -> None:
    noise = pcm(np.random.default_rng(5).normal(0, loudness, 3 * 16_000))
    assert await heard_in(app, noise) == []


async def test_speech_that_is_far_too_loud_is_still_speech(app: RunningApp) -> None:
    assert set(await heard_in(app, pcm(samples(SPEECH) * 30))) == {TEXT}


async def test_speech_with_an_offset_is_still_speech(app: RunningApp) -> None:
    assert await heard_in(app, pcm(samples(SPEECH) + 4_000)) == [TEXT]


@pytest.mark.parametrize("frame_bytes", [101, 641, 99_999])
async def test_a_frame_may_end_in_the_middle_of_a_sample(app: RunningApp, frame_bytes: int) -> None:
    assert await heard_in(app, SPEECH, frame_bytes=frame_bytes) == [TEXT]


async def test_empty_frames_are_no_sound(app: RunningApp) -> None:
    session = await new_session(app, reply=False)
    async with calling(app, session) as caller:
        await caller.open()
        for _ in range(5):
            await caller.raw(b"")
        await caller.speak(SPEECH)
        assert (await caller.event("transcript.final"))["data"]["text"] == TEXT
    assert not [frame for frame in caller.frames if frame["type"] == "error"]


@pytest.mark.parametrize("rate", [8_000, 48_000])
@pytest.mark.parametrize("format", ["pcm16", "mulaw"])
async def test_a_rate_or_format_that_it_has_not_makes_nonsense_and_nothing_worse(
    app: RunningApp, format: str, rate: int
) -> None:
    await heard_in(app, SPEECH, format=format, rate=rate)


async def test_a_broken_opus_packet_is_told_and_the_next_ones_are_heard(app: RunningApp) -> None:
    session = await new_session(app, reply=False)
    async with calling(app, session) as caller:
        await caller.open(format="opus", rate=48_000)
        packets = opus(SPEECH)
        for number, packet in enumerate(packets):
            if number in (0, 40, 41, len(packets) - 30):
                await caller.raw(b"\xff" * 7)
            await caller.raw(packet)
        await caller.raw(b"")
        assert (await caller.event("transcript.final"))["data"]["text"] == TEXT
        assert (await caller.answered(type="input.close"))["type"] == "accepted"
    told = [frame for frame in caller.frames if frame["type"] == "error"]
    assert {mistake(frame) for frame in told} == {("error", "sound.unreadable", "audio")}


def opus(sound: bytes) -> list[bytes]:
    codec: Any = av.CodecContext.create("libopus", "w")
    codec.sample_rate, codec.layout, codec.format = 16_000, "mono", "s16"
    made = []
    for start in range(0, len(sound) // 640 * 640, 640):
        whole = np.frombuffer(sound[start : start + 640], "<i2")[np.newaxis]
        frame = av.AudioFrame.from_ndarray(whole, format="s16", layout="mono")
        frame.sample_rate, frame.pts = 16_000, start // 2
        made += [bytes(packet) for packet in codec.encode(frame)]
    return made


async def test_a_huge_frame_is_refused_and_the_next_ones_are_heard(app: RunningApp) -> None:
    session = await new_session(app, reply=False)
    async with calling(app, session) as caller:
        await caller.open()
        await caller.raw(bytes(1_000_001))
        refusal = await caller.frame("error")
        await caller.speak(SPEECH)
        assert (await caller.event("transcript.final"))["data"]["text"] == TEXT
    assert mistake(refusal) == ("error", "body.too_large", "audio")


# ---------------------------------------------------------------- the order of messages


@pytest.mark.parametrize("command", ["input.commit", "input.clear", "input.close"])
async def test_a_command_without_an_open_input_is_told_so(app: RunningApp, command: str) -> None:
    async with calling(app, await new_session(app)) as caller:
        assert mistake(await caller.answered(type=command)) == ("error", "input.not_open", "type")
        await caller.open()
        assert (await caller.answered(type="input.close"))["type"] == "accepted"
        assert mistake(await caller.answered(type=command)) == ("error", "input.not_open", "type")
        assert (await caller.answered(type="ping"))["type"] == "pong"


async def test_sound_without_an_open_input_is_told_so(app: RunningApp) -> None:
    async with calling(app, await new_session(app)) as caller:
        await caller.raw(bytes(640))
        assert mistake(await caller.frame("error")) == ("error", "input.not_open", "type")
        await caller.open()
        await caller.speak(SPEECH)
        await caller.event("transcript.final")


@pytest.mark.parametrize(
    ("wish", "field"),
    [
        ({"format": "mp3"}, "format"),
        ({"rate": 44_100}, "rate"),
        ({"rate": "16000"}, "rate"),
        ({"input": "my microphone"}, "input"),
        ({"at_ms": -1}, "at_ms"),
        ({"at_ms": 2**50}, "at_ms"),
        ({"input": INPUT, "at_ms": 3_600_000}, "at_ms"),
        ({"channels": 2}, "channels"),
        ({"reference": "x" * 20_001}, "reference"),
    ],
)
async def test_a_wish_that_cannot_be_fulfilled_names_its_field(
    app: RunningApp, wish: dict[str, Any], field: str
) -> None:
    session = await new_session(app)
    async with calling(app, session) as caller:
        answer = await caller.answered(type="input.open", **wish)
        assert answer["type"] == "error"
        assert answer["code"] in ("input.invalid", "input.unknown_field")
        assert answer["field"] == field
        await caller.open()
    assert [f["type"] for f in await events_of(app, session)][:2] == ["session.started", "input.opened"]


async def test_an_input_that_is_opened_again_goes_on_and_another_one_closes_it(app: RunningApp) -> None:
    session = await new_session(app, reply=False)
    async with calling(app, session) as caller:
        assert (await caller.open(input=INPUT))["from_ms"] == 0
        await caller.speak(SPEECH)
        await caller.event("transcript.final")
        await caller.frame("input.ack")
        again = await caller.open(input=INPUT)
        assert again["from_ms"] > 0
        other = await caller.open()
        closed = await caller.event("input.closed", input=INPUT)
        assert closed["data"]["reason"] == "client"
        await caller.speak(SPEECH)
        await caller.event("transcript.final", input=other["input"])
    finals = [f for f in await events_of(app, session) if f["type"] == "transcript.final"]
    assert len(finals) == 2


async def test_a_client_that_opens_an_input_last_has_it(app: RunningApp) -> None:
    session = await new_session(app, reply=False)
    async with calling(app, session) as first, calling(app, session) as second:
        await first.open(input=INPUT)
        await first.speak(silence(600))
        await second.open(input=INPUT)
        await first.speak(silence(1_000))
        assert mistake(await first.frame("error")) == ("error", "input.not_open", "type")
        assert (await first.answered(type="ping"))["type"] == "pong"
        await second.speak(SPEECH)
        await second.event("transcript.final")
        assert (await second.answered(type="input.close"))["type"] == "accepted"
    kinds = [event["type"] for event in await events_of(app, session)]
    assert kinds.count("transcript.final") == 1
    assert kinds.count("input.closed") == 1


async def test_two_who_open_the_same_input_at_the_same_time_do_not_both_have_it(app: RunningApp) -> None:
    session = await new_session(app, reply=False)
    async with calling(app, session) as first, calling(app, session) as second:
        async with anyio.create_task_group() as both:
            both.start_soon(lambda: first.open(input=INPUT))
            both.start_soon(lambda: second.open(input=INPUT))
        assert app.services is not None
        assert sum(held.session == session for held in app.services.audio_inputs.held) == 1
        await first.raw(bytes(640))
        await second.raw(bytes(640))
        await told_so(first, second)


async def told_so(*callers: Caller) -> None:
    """One of them has it, and the others are told so."""
    refs = [await caller.answered(type="input.commit") for caller in callers]
    assert sorted(answer["type"] for answer in refs) == ["accepted", "error"]


async def test_cleared_speech_is_not_written_down(app: RunningApp) -> None:
    session = await new_session(app, turn_detection="manual", reply=False)
    async with calling(app, session) as caller:
        await caller.open()
        await caller.speak(austen())
        await caller.event("speech.started")
        assert (await caller.answered(type="input.clear"))["type"] == "accepted"
        assert (await caller.answered(type="input.commit"))["type"] == "accepted"
        await caller.speak(austen("0880"))
        assert (await caller.answered(type="input.commit"))["type"] == "accepted"
        assert (await caller.answered(type="input.close"))["type"] == "accepted"
    events = await events_of(app, session)
    of = [
        (f["type"], f["data"]["utterance"])
        for f in events
        if "utterance" in f["data"] and "partial" not in f["type"]
    ]
    assert of == [
        ("speech.started", 0),
        ("speech.discarded", 0),
        ("speech.started", 1),
        ("speech.ended", 1),
        ("transcript.final", 1),
    ]


async def test_recorded_pieces_lie_in_order_and_reach_to_the_end(app: RunningApp) -> None:
    session = await new_session(app, reply=False)
    async with calling(app, session) as caller:
        await caller.open()
        await caller.speak(SPEECH, frame_ms=33)
        await caller.answered(type="input.close")
    pieces = [f["data"] for f in await events_of(app, session) if f["type"] == "input.audio"]
    assert all(one["at_ms"] + one["ms"] <= other["at_ms"] for one, other in pairwise(pieces))
    assert abs(pieces[-1]["at_ms"] + pieces[-1]["ms"] - len(SPEECH) // 32) <= 32
