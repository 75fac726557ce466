"""An input goes on from its last certain place, with the audio from there."""

from collections.abc import Iterable
from typing import Any

import pytest

from pipeline.audio.capture import CapturedPiece
from pipeline.session_state.input_state import InputState, apply_to_inputs
from pipeline.stt.inputs import input_recovery
from pipeline.stt.inputs.input_recovery import restore
from schemas.errors import InputError
from schemas.events.recorded import Recorded
from schemas.ids import NO_TURN, Seq, SessionId
from schemas.settings.listening_settings import ListeningSettings
from tests.support.eventlog.memory_log import MemoryEventLog

pytestmark = pytest.mark.anyio
SESSION = SessionId("019aa3c6-1b9a-7c3e-8f00-2b1d7a5c9e11")
RECORDING, NOT_RECORDING = ListeningSettings(), ListeningSettings(record=False)


def told(*events: tuple[str, dict[str, Any]]) -> InputState:
    """Recovery that these events give of an input."""
    inputs: dict[str, InputState] = {}
    for seq, (kind, data) in enumerate(events, 1):
        apply_to_inputs(inputs, Recorded(Seq(seq), 0, NO_TURN, kind, 1, {"input": "i", **data}))
    return inputs["i"]


def opened(*, record: bool = True) -> tuple[str, dict[str, Any]]:
    return "input.opened", {"source": "microphone", "settings": {"record": record}}


def sound(at_ms: int, ms: int) -> tuple[str, dict[str, Any]]:
    return "input.audio", {"at_ms": at_ms, "ms": ms}


def said(utterance: int, start_ms: int, end_ms: int, *, reason: str = "silence") -> tuple[Any, ...]:
    times = {"start_ms": start_ms, "end_ms": end_ms, "at_ms": end_ms + 500, "reason": reason}
    return (
        ("speech.started", {"utterance": utterance, "at_ms": start_ms}),
        ("speech.ended", {"utterance": utterance, **times}),
    )


def final(utterance: int, end_ms: int, *, taken: str = "turn") -> tuple[str, dict[str, Any]]:
    return "transcript.final", {"utterance": utterance, "text": "x", "taken": taken, "end_ms": end_ms}


@pytest.mark.parametrize("at_ms", [1_000_000, 2**40])
async def test_sound_that_nobody_recorded_is_not_made_up(at_ms: int) -> None:
    state = told(opened(), sound(0, 3_000), opened(record=False))
    restored = await restore(MemoryEventLog(), SESSION, state, at_ms, NOT_RECORDING)
    assert (restored.at_ms, restored.from_ms, restored.pcm) == (at_ms, at_ms, b"")


async def test_too_much_missing_sound_after_speech_is_refused() -> None:
    state = told(opened(), sound(0, 3_000), *said(0, 500, 2_000), opened(record=False))
    with pytest.raises(InputError):
        await restore(MemoryEventLog(), SESSION, state, 1_000_000, NOT_RECORDING)


async def test_a_speaker_who_comes_back_far_too_late_to_a_recording_begins_a_new_one() -> None:
    state = told(opened(), sound(0, 3_000))
    with pytest.raises(InputError):
        await restore(MemoryEventLog(), SESSION, state, 100_000, RECORDING)
    with pytest.raises(InputError):
        await restore(MemoryEventLog(), SESSION, None, 100_000, RECORDING)


@pytest.mark.parametrize("settings", [RECORDING, NOT_RECORDING])
async def test_an_input_whose_recording_was_switched_off_goes_on_where_it_was(
    settings: ListeningSettings,
) -> None:
    state = told(opened(), sound(0, 3_000), *said(0, 290_000, 295_000), final(0, 295_000))
    restored = await restore(MemoryEventLog(), SESSION, state, 299_000, settings)
    assert (restored.from_ms, restored.utterance, restored.pcm) == (299_000, 1, b"")


class PiledUp(MemoryEventLog):
    """Ten thousand pieces of sound at the beginning of their input, as a bundle may have them."""

    async def read(
        self, session: SessionId, after: Seq, *, limit: int = 500, audio: bool = False
    ) -> list[Recorded]:
        data = {"input": "i", "at_ms": 0, "ms": 500, "sha256": ""}
        return [
            Recorded(Seq(seq), 0, NO_TURN, "input.audio", 1, data, audio=b"sound")
            for seq in range(after + 1, min(after + limit, 10_000) + 1)
        ]


async def test_no_more_sound_is_heard_again_than_there_can_be(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[int] = []

    def heard_again(pieces: Iterable[CapturedPiece]) -> bytes:
        heard.append(len(list(pieces)))
        return bytes(16_000)

    monkeypatch.setattr(input_recovery, "heard_again", heard_again)
    state = told(opened(), sound(0, 500), ("speech.started", {"utterance": 0, "at_ms": 0}))
    await restore(PiledUp(), SESSION, state, 500, RECORDING)
    assert heard == [2_500]
