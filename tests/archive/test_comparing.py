"""What a session heard can be written down again after it has left the log."""

from pathlib import Path

import pytest

from pipeline.audio.capture import Capture
from pipeline.engines.base import Transcribers
from pipeline.engines.scripted_listener import ScriptedSpeechToText
from pipeline.hearing.reruns import Reruns
from pipeline.hearing.vad import SileroVad
from pipeline.log.base import EventLog
from schemas.comparisons import ComparisonReport, InputComparison
from schemas.ids import SessionId, new_session_id
from schemas.listening import ListeningSettings
from schemas.recorded import NewFact
from schemas.voice_facts import InputAudio, InputOpened
from tests.archive.support import Tiers
from tests.log.support import ENDED, batch, creation
from tests.voice.callers import austen, silence

pytestmark = pytest.mark.anyio
NAME = "00000000-0000-4000-8000-000000000001"


async def spoken(log: EventLog) -> SessionId:
    """An ended session that has heard one sentence."""
    session, capture = new_session_id(), Capture()
    settings = ListeningSettings()
    opened = InputOpened(input=NAME, source="microphone", format="pcm16", rate=16_000, settings=settings)
    facts = [NewFact(opened, 1_000)]
    for piece in [*capture.push(silence(300) + austen("0880") + silence(700)), *capture.flush()]:
        audio = InputAudio(
            input=NAME, at_ms=piece.at_ms, ms=piece.ms, bytes=len(piece.packets), sha256=piece.sha256
        )
        facts.append(NewFact(audio, 1_000 + piece.at_ms, audio=piece.packets))
    await log.append([creation(session)])
    await log.append([batch(session, 1, *facts)])
    await log.append([batch(session, 1, ENDED, producer="end", mode="seal")])
    return session


def an_ear(script: Path) -> ScriptedSpeechToText:
    """Which says how long it worked; else the time would be measured."""
    script.write_text('{"per_request_ms": 2}')
    return ScriptedSpeechToText(script, workers=2, queued=8)


async def compared(
    log: EventLog, session: SessionId, ear: ScriptedSpeechToText
) -> tuple[InputComparison, ...]:
    reruns = Reruns(log, Transcribers(ear, ear), SileroVad)
    lines = [line async for line in reruns.lines(session, ListeningSettings())]
    assert isinstance(lines[-1], ComparisonReport)
    return lines[-1].inputs


async def test_an_archived_session_is_compared_as_it_was_in_the_log(tiers: Tiers, tmp_path: Path) -> None:
    session = await spoken(tiers.log)
    ear = an_ear(tmp_path / "script.json")
    before = await compared(tiers.log, session, ear)
    await tiers.archiver.archive(session)
    await tiers.vanish(session)
    assert await compared(tiers.log, session, ear) == before
    assert [len(each.utterances) for each in before] == [1]
