"""Speech over an answer is told to Realtime clients when it interrupts, and not before."""

from typing import Any

import pytest

from schemas.events import (
    AudioChunk,
    Event,
    SentenceReady,
    SentenceVoiced,
    SettingsChanged,
    TextDelta,
    TurnRequested,
    TurnStarted,
)
from schemas.events.voice_events import (
    InputOpened,
    PlaybackFlushed,
    SpeechEnded,
    SpeechStarted,
    Taken,
    TranscriptFinal,
)
from schemas.settings.listening_settings import ListeningSettings
from tests.deployments.realtime.test_event_translator import MICROPHONE, SETTINGS, log_of, told

OPENED = InputOpened(
    input=MICROPHONE, source="microphone", format="pcm16", rate=16_000, settings=ListeningSettings()
)
ANSWERED: list[tuple[Event, int]] = [
    (OPENED, 0),
    (TurnRequested(kind="prompt", text="Hello", settings=SETTINGS), 0),
    (TurnStarted(epoch=1), 4),
    (TextDelta(at=0, text="Of course I can."), 4),
    (SentenceReady(sentence=0, start=0, end=16, spoken="Of course I can."), 4),
    (SentenceVoiced(sentence=0, voice="joe", at_ms=0), 4),
    (AudioChunk(sentence=0, chunk=0, at_ms=0, ms=4_000, bytes=9), 4),
]
BEGINS = (SpeechStarted(input=MICROPHONE, utterance=0, at_ms=100), 0)
ENDS = (
    SpeechEnded(input=MICROPHONE, utterance=0, start_ms=100, end_ms=600, at_ms=1_100, reason="silence"),
    0,
)
BEGINS_AGAIN = (SpeechStarted(input=MICROPHONE, utterance=1, at_ms=1_300), 0)
ENDS_AGAIN = (
    SpeechEnded(input=MICROPHONE, utterance=1, start_ms=1_300, end_ms=1_900, at_ms=2_400, reason="silence"),
    0,
)
"""Speech that begins before it is known what was said first."""
FLUSHED = (PlaybackFlushed(reason="barge_in"), 4)


def written(text: str, taken: Taken) -> tuple[Event, int]:
    final = TranscriptFinal(
        input=MICROPHONE,
        utterance=0,
        text=text,
        mode="realtime",
        engine="",
        language="en",
        start_ms=100,
        end_ms=600,
        taken=taken,
        after_ms=1,
        decode_ms=1,
    )
    return final, 0


def told_of(*events: tuple[Event, int]) -> list[str]:
    kinds: list[str] = [event.data["type"] for event in told(log_of(*events))]
    return [
        kind.removeprefix("input_audio_buffer.").removeprefix("conversation.item.")
        for kind in kinds
        if kind.startswith("input_audio_buffer.") or kind.endswith("transcription.completed")
    ]


COMPLETED = "input_audio_transcription.completed"


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([BEGINS, ENDS, written("Mm-hm.", "backchannel")], ["committed", COMPLETED]),
        ([BEGINS, FLUSHED, ENDS], ["speech_started", "speech_stopped", "committed"]),
        ([BEGINS, ENDS, FLUSHED], ["committed", "speech_started", "speech_stopped"]),
        (
            [BEGINS, ENDS, written("Stop.", "turn")],
            ["committed", "speech_started", "speech_stopped", COMPLETED],
        ),
        (
            [BEGINS, ENDS, BEGINS_AGAIN, written("Mm-hm.", "backchannel"), FLUSHED, ENDS_AGAIN],
            ["committed", COMPLETED, "speech_started", "speech_stopped", "committed"],
        ),
    ],
)
def test_speech_over_an_answer_is_told_when_it_interrupts(
    events: list[tuple[Event, int]], expected: list[str]
) -> None:
    assert told_of(*ANSWERED, *events) == expected


def test_speech_over_nothing_is_told_at_once() -> None:
    assert told_of((OPENED, 0), BEGINS) == ["speech_started"]


def test_speech_that_interrupts_at_once_is_told_at_once() -> None:
    """As `server_vad` has it: the words are not waited for."""
    at_once: dict[str, Any] = {"listening": ListeningSettings(hold_ms=100, interrupt_ms=100)}
    changed = SettingsChanged(settings=SETTINGS.model_copy(update=at_once))
    assert told_of((changed, 0), *ANSWERED[1:], BEGINS)[:1] == ["speech_started"]
