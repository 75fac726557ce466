"""A voice's sound becomes chunks of a bounded length, however much the voice gives at once."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path

import pytest

from pipeline.audio.opus import CHUNK_MS, PACKET_MS, packet_count
from pipeline.engines.ports import OpusChunk
from pipeline.engines.routed_speaker import EncodingSpeaker
from pipeline.engines.scripted import ScriptedTextToSpeech
from pipeline.eventlog.redis.codec import AUDIO_MAX
from schemas.settings import TextToSpeechSettings

pytestmark = pytest.mark.anyio


@pytest.fixture
async def speaker(tmp_path: Path) -> AsyncGenerator[EncodingSpeaker, None]:
    """Gives 25 s at once, at the highest bitrate."""
    script = tmp_path / "script.json"
    script.write_text('{"ms_per_char": 1000, "chunk_ms": 25000}')
    settings = TextToSpeechSettings(engine="scripted", script=script, bitrate=128_000)
    speaking = EncodingSpeaker(ScriptedTextToSpeech(settings), settings)
    yield speaking
    await speaking.aclose()


@pytest.mark.parametrize("chars", [1, 25, 30, 50])
async def test_what_comes_at_once_is_recorded_in_chunks(speaker: EncodingSpeaker, chars: int) -> None:
    async with aclosing(speaker.speak("a" * chars, voice=speaker.voices[0])) as stream:
        chunks = [item async for item in stream if isinstance(item, OpusChunk)]
    assert all(0 < chunk.ms <= CHUNK_MS // 2 for chunk in chunks)
    assert all(chunk.ms == PACKET_MS * packet_count(chunk.packets) for chunk in chunks)
    assert all(len(chunk.packets) <= AUDIO_MAX for chunk in chunks)
    assert [chunk.last for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
    assert 0 < sum(chunk.ms for chunk in chunks) - 1_000 * chars < 2 * PACKET_MS
