"""Scripted transcripts follow from the sound and the script."""

import asyncio
import hashlib
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from loadtests.client.recorded_speech import command, librivox
from pipeline.engines.ports import Transcript, Utterance
from pipeline.engines.scripted_speech_to_text import ScriptedSpeechToText
from rhapsode.testing.clips import joined
from rhapsode.testing.speech_to_text_contract import TimedSpeechToTextContract, faint_noise, written
from schemas.errors import EngineBusy, EngineDead
from tests.support.eventually import eventually

pytestmark = pytest.mark.anyio


def hum(ms: int, pitch_hz: int = 220, *, quiet_ms: int = 0) -> bytes:
    """A tone, after some silence."""
    seconds = np.arange(16 * ms) / 16_000
    tone = (np.sin(2 * np.pi * pitch_hz * seconds) * 5_000).astype("<i2").tobytes()
    return bytes(32 * quiet_ms) + tone


class ScriptedTranscripts:
    """A scripted engine, and short ways to ask it."""

    def __init__(self, folder: Path, **script: Any) -> None:
        path = folder / "script.json"
        path.write_text(json.dumps(script))
        self.engine = ScriptedSpeechToText(path, workers=2, queued=2)

    async def write(self, pcm: bytes, **how: Any) -> list[str | Transcript]:
        async with aclosing(self.engine.transcribe(Utterance(pcm, **how))) as items:
            return [item async for item in items]

    async def hear(self, pcm: bytes, **how: Any) -> str:
        last = (await self.write(pcm, **how))[-1]
        assert isinstance(last, Transcript)
        return last.text


async def test_without_a_script_longer_sound_holds_more_words(tmp_path: Path) -> None:
    engine = ScriptedTranscripts(tmp_path)
    assert await engine.hear(hum(1_000)) == "one two three"
    assert await engine.hear(hum(1_500), partial=True) == "one two three four"
    assert await engine.hear(hum(1_000, quiet_ms=400)) == "one two three"


async def test_silence_holds_nothing_whatever_the_script_says(tmp_path: Path) -> None:
    engine = ScriptedTranscripts(tmp_path, texts=["hello"])
    assert await engine.hear(bytes(32_000)) == ""
    assert await engine.hear(b"") == ""


async def test_texts_go_round_and_the_same_beginning_is_the_same_utterance(tmp_path: Path) -> None:
    engine = ScriptedTranscripts(tmp_path, texts=["the fox is red", "good night"])
    assert await engine.hear(hum(400), partial=True) == "the"
    assert await engine.hear(hum(700), partial=True) == "the fox"
    assert await engine.hear(hum(900)) == "the fox is red"
    assert await engine.hear(hum(900, 300)) == "good night"
    assert await engine.hear(hum(900, 300, quiet_ms=300)) == "good night"
    assert await engine.hear(hum(900)) == "the fox is red"
    assert await engine.hear(hum(900, 400)) == "the fox is red"


async def test_the_sound_alone_may_choose_so_that_every_process_hears_the_same(tmp_path: Path) -> None:
    texts = [f"text {number}" for number in range(50)]
    one, other = (
        ScriptedTranscripts(tmp_path, texts=texts, pick="sound"),
        ScriptedTranscripts(tmp_path, texts=texts, pick="sound"),
    )
    await one.hear(hum(500, 999))
    assert await one.hear(hum(500)) == await other.hear(hum(900))


async def test_the_length_or_the_very_bytes_may_choose(tmp_path: Path) -> None:
    exact = {hashlib.sha256(hum(800)).hexdigest(): "just this"}
    engine = ScriptedTranscripts(tmp_path, by_ms={"1000": "short", "2000": "long"}, by_sha256=exact)
    assert await engine.hear(hum(800)) == "just this"
    assert await engine.hear(hum(900)) == "short"
    assert await engine.hear(hum(1_500)) == "long"


async def test_words_lie_where_the_sound_is(tmp_path: Path) -> None:
    (transcript,) = await ScriptedTranscripts(tmp_path, texts=["the fox"]).write(
        hum(1_000, quiet_ms=500), words=True
    )
    assert isinstance(transcript, Transcript)
    spans = [(word.start, word.end, word.start_ms, word.end_ms) for word in transcript.words]
    assert spans == [(0, 3, 500, 1_000), (4, 7, 1_000, 1_500)]


async def test_it_may_be_busy_and_fail_before_it_hears(tmp_path: Path) -> None:
    engine = ScriptedTranscripts(tmp_path, busy=1, fail_times=1, fail_code="engine.dead", texts=["at last"])
    with pytest.raises(EngineBusy):
        await engine.hear(hum(500))
    with pytest.raises(EngineDead):
        await engine.hear(hum(500))
    assert await engine.hear(hum(500)) == "at last"


async def test_deltas_add_up_to_the_text(tmp_path: Path) -> None:
    *deltas, transcript = await ScriptedTranscripts(tmp_path, texts=["the fox is red"], deltas=True).write(
        hum(500)
    )
    assert len(deltas) == 4
    assert isinstance(transcript, Transcript)
    assert "".join(map(str, deltas)) == transcript.text


class TestContract(TimedSpeechToTextContract):
    @pytest.fixture
    def engine(self, tmp_path: Path) -> ScriptedSpeechToText:
        clips = [*librivox(), command(), joined(librivox())]
        for how_many in (7, 11):
            clips.append(joined([*librivox(), command(), *librivox()][:how_many]))
        known = {hashlib.sha256(clip.pcm).hexdigest(): clip.text for clip in clips}
        odd = hashlib.sha256(command().pcm + b"\x07").hexdigest()
        room = hashlib.sha256(faint_noise(2)).hexdigest()
        known |= {odd: command().text, room: ""}
        return ScriptedTranscripts(tmp_path, by_sha256=known, per_request_ms=20).engine

    @pytest.fixture
    async def full_engine(self, tmp_path: Path) -> AsyncGenerator[ScriptedSpeechToText, None]:
        engine = ScriptedTranscripts(tmp_path, per_request_ms=60_000).engine
        utterance = Utterance(hum(500))
        async with asyncio.TaskGroup() as listeners:
            tasks = [listeners.create_task(written(engine, utterance)) for _ in range(4)]
            await eventually(lambda: engine.open_streams == 4)
            yield engine
            for task in tasks:
                task.cancel()
