"""Input audio of a session can be transcribed again after it has left the log."""

from collections.abc import AsyncGenerator, Sequence
from pathlib import Path

import pytest

from pipeline.audio.capture import Capture
from pipeline.engines.ports import SpeechToText, Transcribers, Transcript, Utterance
from pipeline.engines.scripted_speech_to_text import ScriptedSpeechToText
from pipeline.eventlog.event_log import EventLog
from pipeline.stt.evaluation.input_rerun import Reruns
from pipeline.stt.vad import EnergyGate, SileroVad
from schemas.events.recorded import NewEvent
from schemas.events.voice_events import InputAudio, InputOpened
from schemas.ids import SessionId, new_session_id
from schemas.native.client_commands import REFERENCE_CHARS
from schemas.native.comparison_answers import ComparisonReport, InputComparison
from schemas.settings.listening_settings import ListeningSettings
from tests.support.clients.native_speaker import austen, silence
from tests.support.eventlog.archives import Tiers
from tests.support.eventlog.log_events import ENDED, batch, creation

pytestmark = pytest.mark.anyio
NAME = "00000000-0000-4000-8000-000000000001"


async def spoken(log: EventLog, begins_ms: Sequence[int] = (0,), reference: str = "") -> SessionId:
    """An ended session that has heard a sentence at each of these places of one input."""
    session = new_session_id()
    settings = ListeningSettings()
    opened = InputOpened(
        input=NAME,
        source="microphone",
        format="pcm16",
        rate=16_000,
        reference=reference,
        settings=settings,
    )
    events = [NewEvent(opened, 1_000)]
    for at_ms in begins_ms:
        capture = Capture(at_ms=at_ms)
        for piece in [*capture.push(silence(300) + austen("0880") + silence(700)), *capture.flush()]:
            audio = InputAudio(
                input=NAME, at_ms=piece.at_ms, ms=piece.ms, bytes=len(piece.packets), sha256=piece.sha256
            )
            events.append(NewEvent(audio, 1_000, audio=piece.packets))
    await log.append([creation(session)])
    await log.append([batch(session, 1, *events)])
    await log.append([batch(session, 1, ENDED, producer="end", mode="seal")])
    return session


def an_engine(script: Path) -> ScriptedSpeechToText:
    """Which says how long it worked; else the time would be measured."""
    script.write_text('{"per_request_ms": 2}')
    return ScriptedSpeechToText(script, workers=2, queued=8)


class Noting:
    """Hears with another transcriber, and notes what it was given."""

    providers = ()

    def __init__(self, engine: SpeechToText) -> None:
        self._engine = engine
        self.given: list[Utterance] = []

    def transcribe(self, utterance: Utterance) -> AsyncGenerator[str | Transcript, None]:
        self.given.append(utterance)
        return self._engine.transcribe(utterance)

    async def aclose(self) -> None:
        await self._engine.aclose()


async def compared(log: EventLog, session: SessionId, engine: SpeechToText) -> tuple[InputComparison, ...]:
    reruns = Reruns(log, Transcribers(engine, engine), SileroVad)
    lines = [line async for line in reruns.lines(session, ListeningSettings())]
    assert isinstance(lines[-1], ComparisonReport)
    return lines[-1].inputs


async def test_an_archived_session_is_compared_as_it_was_in_the_log(tiers: Tiers, tmp_path: Path) -> None:
    session = await spoken(tiers.log)
    engine = an_engine(tmp_path / "script.json")
    before = await compared(tiers.log, session, engine)
    await tiers.archiver.archive(session)
    await tiers.vanish(session)
    assert await compared(tiers.log, session, engine) == before
    assert [len(each.utterances) for each in before] == [1]


@pytest.mark.parametrize(("chars", "words"), [(REFERENCE_CHARS, 10_000), (REFERENCE_CHARS + 2, None)])
async def test_a_text_that_only_a_bundle_can_give_is_not_compared_with(
    tiers: Tiers, tmp_path: Path, chars: int, words: int | None
) -> None:
    session = await spoken(tiers.log, reference="1 " * (chars // 2))
    [heard] = await compared(tiers.log, session, an_engine(tmp_path / "script.json"))
    assert heard.reference_words == words


@pytest.mark.parametrize("far_ms", [90_000, 2**50])
async def test_a_long_gap_in_the_sound_is_neither_listened_to_nor_charged(
    tiers: Tiers, tmp_path: Path, far_ms: int
) -> None:
    """A client says where its sound goes on, and a bundle where each piece of it lies."""
    one, two = await spoken(tiers.log), await spoken(tiers.log, (0, far_ms))
    engine, charged = an_engine(tmp_path / "script.json"), list[int]()

    async def heard(_: str, ms: int) -> None:
        charged.append(ms)

    reruns = Reruns(tiers.log, Transcribers(engine, engine), EnergyGate, heard)
    reports = [
        [line async for line in reruns.lines(one_of, ListeningSettings())][-1] for one_of in (one, two)
    ]
    once, twice = [report.inputs[0] for report in reports if isinstance(report, ComparisonReport)]
    [alone], [first, second] = once.utterances, twice.utterances
    assert (first.start_ms, first.end_ms) == (alone.start_ms, alone.end_ms)
    assert abs(second.start_ms - far_ms - alone.start_ms) < 100
    assert charged[1] == 2 * charged[0] + 2 * 60_000


async def test_engines_are_given_the_sound_that_they_are_given_live(tiers: Tiers, tmp_path: Path) -> None:
    session, engine = await spoken(tiers.log), Noting(an_engine(tmp_path / "script.json"))
    [heard] = await compared(tiers.log, session, engine)
    [utterance] = heard.utterances
    lengths_ms = [len(given.pcm) // 32 for given in engine.given if given.words]
    begins_ms = utterance.start_ms - ListeningSettings().endpointing.prefix_padding_ms
    # Ahead at each silence that may be the end, and for the other way with the same tail as always.
    ahead_ms = ListeningSettings().endpointing.speculate_ms
    assert lengths_ms[-2:] == [utterance.end_ms + ahead_ms - begins_ms, utterance.end_ms + 200 - begins_ms]
    assert all(length_ms < utterance.end_ms - begins_ms for length_ms in lengths_ms[:-2])
