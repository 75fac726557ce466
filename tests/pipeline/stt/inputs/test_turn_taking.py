"""Turn taking: pushing to talk, going on before the answer comes, speaking for long."""

import pytest

from tests.support.clients.native_speaker import austen, calling, events_of, new_session, silence
from tests.support.running_app import RunningApp, app_fixture
from tests.support.speech.hesitating_speech_to_text import Hesitating

pytestmark = pytest.mark.anyio


async def test_a_speaker_who_pushes_to_talk_ends_the_utterance(app: RunningApp) -> None:
    session = await new_session(app, turn_detection="manual")
    async with calling(app, session) as caller:
        await caller.open()
        await caller.speak(austen("0880") + silence(2_000) + austen("0930"))
        await caller.send(type="input.commit", ref="mine")
        ended = await caller.event("speech.ended")
        await caller.event("turn.requested")
    assert ended["data"]["reason"] == "commit"
    assert [f["type"] for f in await events_of(app, session)].count("speech.ended") == 1


async def test_speech_that_is_taken_back_is_never_asked(app: RunningApp) -> None:
    session = await new_session(app, turn_detection="manual")
    async with calling(app, session) as caller:
        await caller.open()
        await caller.speak(austen("0880"))
        await caller.send(type="input.clear", ref="oops")
        await caller.event("speech.discarded")
        await caller.speak(silence(500) + austen("0930"))
        await caller.send(type="input.commit", ref="mine")
        await caller.event("turn.requested")
    finals = [f for f in await events_of(app, session) if f["type"] == "transcript.final"]
    assert [f["data"]["utterance"] for f in finals] == [1]


thoughtful = app_fixture(
    llm={"reply": "At last.", "first_delta_ms": 60_000},
    stt={"texts": ["Tell me a story.", "One about a fox."]},
)
"""It thinks for a minute before it says a word."""


async def test_a_speaker_who_goes_on_before_the_answer_asks_one_question(thoughtful: RunningApp) -> None:
    session = await new_session(thoughtful)
    async with calling(thoughtful, session) as caller:
        await caller.open()
        await caller.speak(austen("0880") + silence(1_200))
        first = await caller.event("turn.requested")
        await caller.speak(austen("0930") + silence(1_200))
        second = await caller.event("turn.requested", count=2)
        stopped = await caller.event("turn.stopped")
        gone = await caller.event("playback.flushed")
    assert second["data"]["merges"] == first["seq"]
    assert second["data"]["text"] == "Tell me a story. One about a fox."
    assert (stopped["turn"], stopped["data"]["reason"]) == (first["seq"], "merged")
    assert (gone["turn"], gone["data"]["reason"]) == (first["seq"], "merged")
    finals = [f["data"] for f in await events_of(thoughtful, session) if f["type"] == "transcript.final"]
    assert [final["taken"] for final in finals] == ["turn", "joined"]


async def test_speech_without_a_pause_is_cut_and_asked_in_one_piece(app: RunningApp) -> None:
    session = await new_session(app, endpointing={"max_utterance_s": 3.0})
    async with calling(app, session) as caller:
        await caller.open()
        await caller.speak(austen("0870") + silence(1_500))
        asked = await caller.event("turn.requested")
    events = await events_of(app, session)
    ended = [f["data"] for f in events if f["type"] == "speech.ended"]
    finals = [f["data"] for f in events if f["type"] == "transcript.final"]
    assert [e["reason"] for e in ended[:-1]] == ["max_length"] * (len(ended) - 1)
    assert len(ended) > 1
    assert [f["taken"] for f in finals] == ["kept"] * (len(finals) - 1) + ["turn"]
    assert asked["data"]["utterances"] == list(range(len(finals)))
    assert asked["data"]["text"] == " ".join(f["text"] for f in finals)


async def test_speech_that_is_only_noted_is_not_answered(app: RunningApp) -> None:
    session = await new_session(app, reply=False)
    async with calling(app, session) as caller:
        await caller.open()
        await caller.speak(austen("0880") + silence(1_200))
        final = await caller.event("transcript.final")
    assert final["data"]["taken"] == "noted"
    assert "turn.requested" not in [f["type"] for f in await events_of(app, session)]


@pytest.mark.parametrize("mode", ["realtime", "quality"])
async def test_both_ways_write_the_same_sound_down_and_are_compared(app: RunningApp, mode: str) -> None:
    session = await new_session(app, mode=mode, compare=True)
    async with calling(app, session) as caller:
        await caller.open()
        await caller.speak(austen("0880") + silence(1_200))
        compared = await caller.event("transcript.compared")
        final = await caller.event("transcript.final")
    ways = compared["data"]["ways"]
    assert [way["mode"] for way in ways] == [mode, "quality" if mode == "realtime" else "realtime"]
    assert ways[0]["text"] == final["data"]["text"] == ways[1]["text"]
    assert compared["data"]["differences"] == []


async def test_a_speaker_who_has_closed_the_microphone_is_heard_in_all_else(
    app: RunningApp, hesitating: Hesitating
) -> None:
    session = await new_session(app, reply=False, partials_ms=0)
    async with calling(app, session) as caller:
        first = (await caller.open())["input"]
        await caller.speak(austen("0880"))
        await caller.send(type="input.commit", ref="commit")
        await caller.send(type="input.close", ref="close")
        assert (await caller.answered(type="ping"))["type"] == "pong"
        turn = (await caller.answered(type="turn.request", prompt="for ever"))["turn"]
        await caller.send(type="playback.ack", turn=turn, heard_ms=10)
        assert (await caller.answered(type="control", action="stop"))["type"] == "accepted"
        await caller.raw(bytes(640))
        late = await caller.frame("error")
        second = (await caller.open())["input"]
        hesitating.go_on()
        await caller.frame("accepted", ref="close")
        await caller.speak(austen("0930"))
        assert (await caller.answered(type="input.close"))["type"] == "accepted"
    assert late["code"] == "input.not_open"
    refs = [frame.get("ref") for frame in caller.frames if frame["type"] == "accepted"]
    assert refs.index("commit") < refs.index("close")
    events = await events_of(app, session)
    kinds = [event["type"] for event in events]
    assert max(kinds.index("playback.heard"), kinds.index("turn.stop_requested")) < kinds.index(
        "transcript.final"
    )
    ends = [f for f in events if f["type"] in ("transcript.final", "input.closed")]
    assert [(f["type"], f["data"]["input"]) for f in ends] == [
        ("transcript.final", first),
        ("input.closed", first),
        ("transcript.final", second),
        ("input.closed", second),
    ]


async def test_an_input_that_is_opened_while_it_is_being_closed_is_closed_first(
    app: RunningApp, hesitating: Hesitating
) -> None:
    session = await new_session(app, reply=False, partials_ms=0)
    async with calling(app, session) as caller:
        name = (await caller.open())["input"]
        await caller.speak(austen("0880"))
        await caller.send(type="input.close", ref="close")
        await caller.send(type="input.open", ref="again", input=name)
        hesitating.go_on()
        await caller.frame("input.ready", ref="again")
    kinds = [
        f["type"] for f in await events_of(app, session) if f["type"] in ("input.opened", "input.closed")
    ]
    assert kinds[:3] == ["input.opened", "input.closed", "input.opened"]


async def test_a_speaker_who_leaves_while_the_microphone_is_being_closed_is_written_down(
    app: RunningApp, hesitating: Hesitating
) -> None:
    session = await new_session(app, reply=False, partials_ms=0)
    async with calling(app, session) as caller:
        await caller.open()
        await caller.speak(austen("0880"))
        await caller.send(type="input.close", ref="close")
        assert (await caller.answered(type="ping"))["type"] == "pong"
        caller.cut()
    async with calling(app, session, **{"from": 0}) as caller:
        hesitating.go_on()
        assert (await caller.event("input.closed"))["data"]["reason"] == "client"
        assert (await caller.event("transcript.final"))["data"]["text"]
