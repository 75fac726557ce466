"""The pure parts: events to events, items to messages, a configuration to settings."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from deployments.faces.realtime.event_translator import PER_EVENT, ServerEvent, Translator
from deployments.faces.realtime.session_config import checked, initial, updated
from deployments.model_names import Names
from pipeline.sessions.catalog import Catalog
from schemas.errors import RhapsodeError
from schemas.events import (
    AudioChunk,
    Event,
    ItemAdded,
    ItemRemoved,
    ItemTruncated,
    RealtimeConfigured,
    ResponseAsked,
    SentenceReady,
    SentenceVoiced,
    SessionStarted,
    TextCompleted,
    TextDelta,
    ToolCalled,
    TurnCompleted,
    TurnFailed,
    TurnRequested,
    TurnStarted,
    TurnStopped,
    TurnStopRequested,
    payload,
)
from schemas.events.recorded import Recorded
from schemas.events.voice_events import (
    PlaybackFlushed,
    PlaybackHeard,
    SpeechEnded,
    SpeechStarted,
    TranscriptFailed,
    TranscriptFinal,
    TranscriptPartial,
)
from schemas.ids import Seq, TurnId, new_session_id
from schemas.realtime.client_events import session_patch
from schemas.settings import AppSettings, SessionSettings

SESSION = new_session_id()
SETTINGS = SessionSettings()
CONFIG = updated(initial(SETTINGS, model="local"), session_patch({"audio": {"input": {"transcription": {}}}}))
CHOICES = Catalog(SETTINGS, {"local": ("joe", "amy")})
NAMES = Names(AppSettings(), CHOICES)
MICROPHONE = "0190163d-8694-739b-aea5-966c26f8ad90"
USER = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hello"}]}


def log_of(*log_events: tuple[Event, int]) -> list[Recorded]:
    """As the log has them, after the beginning of the session."""
    begun: list[tuple[Event, int]] = [
        (SessionStarted(settings=SETTINGS), 0),
        (RealtimeConfigured(config=CONFIG, created=True), 0),
    ]
    return [
        Recorded(Seq(seq), 1_000 + seq, TurnId(turn), log_event.type, log_event.v, payload(log_event))
        for seq, (log_event, turn) in enumerate([*begun, *log_events], 1)
    ]


def told(log: Sequence[Recorded]) -> list[ServerEvent]:
    translator = Translator(SESSION)
    return [event for recorded in log for event in translator.apply(recorded)]


def asked(outside: bool = False) -> list[tuple[Event, int]]:
    wish = ResponseAsked(conversation="none" if outside else "auto", config=CONFIG)
    return [(wish, 0), (TurnRequested(kind="prompt", text="Hello", settings=SETTINGS, given=()), 0)]


# ---------------------------------------------------------------- whatever happens

turns = st.sampled_from([4, 6, 9])
texts = st.text(max_size=6)
names = st.sampled_from(["item_rt_3", "mine", "item_rt_12", "x"])
numbers = st.integers(0, 2)
about_turns = st.one_of(
    st.just(TurnStarted(epoch=1)),
    st.builds(TextDelta, at=st.just(0), text=texts),
    st.builds(TextCompleted, chars=st.just(1), finish=st.sampled_from(["stop", "length", "tool_calls"])),
    st.builds(SentenceReady, sentence=numbers, start=numbers, end=numbers, spoken=texts),
    st.builds(SentenceVoiced, sentence=numbers, voice=st.just("joe"), at_ms=numbers),
    st.builds(AudioChunk, sentence=numbers, chunk=numbers, at_ms=numbers, ms=numbers, bytes=numbers),
    st.builds(
        ToolCalled,
        call=st.sampled_from(["a", "b"]),
        name=st.just("f"),
        arguments=texts,
        place=st.sampled_from(["client", "server"]),
    ),
    st.builds(PlaybackHeard, heard_ms=numbers),
    st.just(PlaybackFlushed(reason="barge_in")),
    st.just(TurnStopRequested(reason="barge_in")),
    st.just(TurnStopped(reason="barge_in")),
    st.just(TurnCompleted(sentences=1, audio_ms=1)),
    st.just(TurnFailed(stage="text", code="engine.failed", message="It failed.")),
)
heard = {"input": st.just(MICROPHONE), "utterance": numbers}
about_none = st.one_of(
    st.just(TurnRequested(kind="prompt", text="Hello", settings=SETTINGS)),
    st.just(TurnRequested(kind="text", text="Hello", settings=SETTINGS)),
    st.just(
        TurnRequested(
            kind="prompt", text="Hello", settings=SETTINGS, input=MICROPHONE, utterances=(0, 1), merges=4
        )
    ),
    st.builds(ResponseAsked, conversation=st.sampled_from(["auto", "none"]), config=st.just(CONFIG)),
    st.builds(ItemAdded, item=st.just(USER), after=st.none() | names | st.just("root")),
    st.builds(ItemAdded, item=st.just({"id": "mine", **USER})),
    st.builds(ItemRemoved, item=names),
    st.builds(ItemTruncated, item=names, audio_end_ms=numbers),
    st.just(RealtimeConfigured(config=CONFIG)),
    st.builds(SpeechStarted, **heard, at_ms=numbers),
    st.builds(
        SpeechEnded,
        **heard,
        start_ms=numbers,
        end_ms=numbers,
        at_ms=numbers,
        reason=st.sampled_from(["silence", "commit", "max_length"]),
    ),
    st.builds(TranscriptPartial, **heard, text=texts, stable=numbers, at_ms=numbers),
    st.builds(
        TranscriptFinal,
        **heard,
        text=texts,
        mode=st.just("realtime"),
        engine=st.just("e"),
        language=st.just("en"),
        start_ms=numbers,
        end_ms=numbers,
        taken=st.just("turn"),
        after_ms=st.just(1.0),
        decode_ms=st.just(1.0),
    ),
    st.builds(TranscriptFailed, **heard, mode=st.just("realtime"), code=st.just("x"), message=texts),
)
logs = st.lists(st.tuples(about_turns, turns) | st.tuples(about_none, st.just(0)), max_size=30)


@hypothesis_settings(deadline=None)
@given(logs)
def test_all_events_can_be_told_in_order(log_events: list[tuple[Event, int]]) -> None:
    events = told(log_of(*asked(), *asked(outside=True), *log_events))
    numbers = [event.number for event in events]
    assert numbers == sorted(set(numbers))
    assert all(event.number % PER_EVENT < PER_EVENT - 1 for event in events)
    assert len({event.data["event_id"] for event in events}) == len(events)
    assert json.dumps([event.data for event in events])


@hypothesis_settings(deadline=None)
@given(logs)
def test_a_response_is_begun_before_anything_of_it_and_nothing_follows_its_end(
    log_events: list[tuple[Event, int]],
) -> None:
    over: set[str] = set()
    begun: set[str] = set()
    for event in told(log_of(*asked(), *log_events)):
        kind, data = event.data["type"], event.data
        response = data.get("response_id") or data.get("response", {}).get("id")
        if kind == "response.created":
            begun.add(response)
        elif response is not None and response not in over:
            assert response in begun
        if kind == "response.done":
            over.add(response)


@hypothesis_settings(deadline=None)
@given(st.lists(texts.filter(bool), min_size=1, max_size=8), st.booleans())
def test_deltas_add_up_to_what_is_said_at_the_end(parts: list[str], outside: bool) -> None:
    deltas: list[tuple[Event, int]] = [(TextDelta(at=0, text=part), 4) for part in parts]
    over: tuple[Event, int] = (TurnCompleted(sentences=0, audio_ms=0), 4)
    events = told(log_of(*asked(outside), (TurnStarted(epoch=1), 4), *deltas, over))
    kinds = [event.data["type"] for event in events]
    [done] = [e.data for e in events if e.data["type"] == "response.output_audio_transcript.done"]
    sent = [e.data["delta"] for e in events if e.data["type"] == "response.output_audio_transcript.delta"]
    assert done["transcript"] == "".join(sent) == "".join(parts)
    assert ("conversation.item.added" in kinds) == (not outside)


def test_nothing_of_an_answer_is_told_once_it_is_to_stop() -> None:
    log = log_of(
        *asked(),
        (TurnStarted(epoch=1), 4),
        (TextDelta(at=0, text="One. "), 4),
        (TurnStopRequested(reason="user"), 4),
        (TextDelta(at=5, text="Two."), 4),
        (AudioChunk(sentence=0, chunk=0, at_ms=0, ms=20, bytes=1), 4),
        (TurnStopped(reason="user"), 4),
    )
    events = told(log)
    deltas = [event.data["delta"] for event in events if event.data["type"].endswith(".delta")]
    assert deltas == ["One. "]
    done = events[-1].data["response"]
    assert (done["status"], done["status_details"]["reason"]) == ("cancelled", "client_cancelled")
    assert done["output"][0]["status"] == "incomplete"


# ---------------------------------------------------------------- configurations

SERVER_VAD = {"type": "server_vad", "threshold": 0.7, "silence_duration_ms": 700, "prefix_padding_ms": 100}


@pytest.mark.parametrize(
    ("detection", "meaning"),
    [
        (SERVER_VAD, {"threshold": 0.7, "silence_ms": 700, "prefix_padding_ms": 100, "hint": False}),
        (
            {"type": "semantic_vad", "eagerness": "low"},
            {"hint": True, "silence_ms": 800, "doubtful_ms": 1_600, "incomplete_ms": 8_000},
        ),
        *(
            (detection, {"hint": True, "silence_ms": 500, "doubtful_ms": 1_000, "incomplete_ms": 4_000})
            for detection in (
                {"type": "semantic_vad"},
                {"type": "semantic_vad", "eagerness": "auto"},
                {"type": "semantic_vad", "eagerness": "medium"},
            )
        ),
        (
            {"type": "semantic_vad", "eagerness": "high"},
            {"hint": True, "silence_ms": 300, "doubtful_ms": 600, "incomplete_ms": 2_000},
        ),
    ],
)
def test_turn_detection_means_our_endpointing(detection: Any, meaning: dict[str, Any]) -> None:
    patch = session_patch({"audio": {"input": {"turn_detection": detection}}})
    listening = checked(updated(CONFIG, patch), NAMES).apply(SETTINGS).listening
    assert listening.endpointing.model_dump() | meaning == listening.endpointing.model_dump()
    assert (listening.turn_detection, listening.reply, listening.barge_in) == ("vad", True, True)


def test_distance_counts_only_where_clients_are_not_told_of_all_speech() -> None:
    """A client silences itself at `speech_started`, which `server_vad` tells before the level is known."""
    settings, config, found = SETTINGS, CONFIG, []
    for detection in ({"type": "semantic_vad"}, SERVER_VAD, {"type": "semantic_vad"}):
        config = updated(config, session_patch({"audio": {"input": {"turn_detection": detection}}}))
        settings = checked(config, NAMES).apply(settings)
        found.append(settings.listening.distant_db)
    assert found == [6.0, None, 6.0]


def test_without_turn_detection_nothing_is_answered_and_nothing_interrupted() -> None:
    patch = session_patch({"audio": {"input": {"turn_detection": None}}})
    listening = checked(updated(CONFIG, patch), NAMES).apply(SETTINGS).listening
    assert (listening.turn_detection, listening.reply, listening.barge_in) == ("manual", False, False)


def test_an_id_that_was_chosen_twice_is_told_once() -> None:
    log = log_of((ItemAdded(item={"id": "mine", **USER}), 0), (ItemAdded(item={"id": "mine", **USER}), 0))
    added = [event for event in told(log) if event.data["type"] == "conversation.item.added"]
    assert [event.data["item"]["id"] for event in added] == ["mine"]
    log = log_of(
        (ItemAdded(item={"id": "mine", **USER}), 0),
        (ItemRemoved(item="mine"), 0),
        (ItemAdded(item={"id": "mine", **USER}), 0),
    )
    added = [event for event in told(log) if event.data["type"] == "conversation.item.added"]
    assert len(added) == 2, "it was free again"


def test_an_absent_field_stays_and_null_takes_it_away() -> None:
    first = updated(CONFIG, session_patch({"instructions": "Be brief.", "tools": []}))
    second = updated(first, session_patch({"audio": {"output": {"speed": 1.5}}}))
    assert second["instructions"] == "Be brief."
    assert second["audio"]["output"] == CONFIG["audio"]["output"] | {"speed": 1.5}
    assert second["audio"]["input"]["transcription"] is not None
    third = updated(second, session_patch({"audio": {"input": {"transcription": None}}}))
    assert third["audio"]["input"]["transcription"] is None
    assert third["audio"]["input"]["turn_detection"] == CONFIG["audio"]["input"]["turn_detection"]


sessions = st.fixed_dictionaries(
    {},
    optional={
        "instructions": texts,
        "output_modalities": st.sampled_from([["text"], ["audio"], []]),
        "max_output_tokens": st.integers(-1, 5_000) | st.just("inf") | st.none(),
        "tool_choice": st.sampled_from(["auto", "none", "required", {"type": "function", "name": "f"}, "x"]),
        "tools": st.lists(
            st.fixed_dictionaries({"type": st.just("function"), "name": st.sampled_from(["f", "g"])}),
            max_size=2,
        ),
        "audio": st.fixed_dictionaries(
            {},
            optional={
                "output": st.fixed_dictionaries(
                    {}, optional={"voice": st.sampled_from(["joe", "alloy", "x"]), "speed": st.floats(0, 2)}
                )
            },
        ),
    },
)


@hypothesis_settings(deadline=None)
@given(st.lists(sessions, max_size=4))
def test_every_configuration_that_is_taken_means_something(patches: list[dict[str, Any]]) -> None:
    config = CONFIG
    for raw in patches:
        try:
            wished = updated(config, session_patch(raw))
            settings = checked(wished, NAMES).apply(SETTINGS)
        except RhapsodeError:
            continue
        config = wished
        assert settings.voice in CHOICES.voices
        assert settings.speak == (config["output_modalities"] == ["audio"])
