"""A voice's sound becomes chunks of a bounded length and without long pauses, however the voice gives it."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path

import numpy as np
import pytest

from pipeline.audio.opus import CHUNK_MS, PACKET_MS, OpusDecoder, packet_count
from pipeline.engines.ports import OpusChunk
from pipeline.engines.registry import build_speech_provider
from pipeline.engines.routed_speaker import EncodingSpeaker
from pipeline.engines.scripted import ScriptedTextToSpeech
from pipeline.eventlog.redis.codec import AUDIO_MAX
from schemas.settings import TextToSpeechSettings
from tests.pipeline.engines.routing.heard_speech import heard
from tests.support.servers.speech_server import FakeSpeechServer

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
async def test_a_long_sound_is_recorded_in_chunks(speaker: EncodingSpeaker, chars: int) -> None:
    async with aclosing(speaker.speak("a" * chars, voice=speaker.voices[0])) as stream:
        chunks = [item async for item in stream if isinstance(item, OpusChunk)]
    assert all(0 < chunk.ms <= CHUNK_MS // 2 for chunk in chunks)
    assert all(chunk.ms == PACKET_MS * packet_count(chunk.packets) for chunk in chunks)
    assert all(len(chunk.packets) <= AUDIO_MAX for chunk in chunks)
    assert [chunk.last for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
    assert 0 < sum(chunk.ms for chunk in chunks) - 1_000 * chars < 2 * PACKET_MS


def noise(ms: int, dbfs: float) -> bytes:
    """As loud as it says, at 24 kHz."""
    level = 32_768 * 10 ** (dbfs / 20)
    return bytes((np.random.default_rng(ms).standard_normal(24 * ms) * level).astype("<i2").tobytes())


@pytest.mark.parametrize("dbfs", [-120, -50, -45])
@pytest.mark.parametrize("text", ["Wait, then go there now.", "Go there now"])
@pytest.mark.parametrize(("speed", "pause_ms", "heard_ms"), [(1, 900, 350), (0.5, 300, 350), (2, 600, 300)])
async def test_no_pause_is_heard_for_longer_than_350_ms(
    remote: FakeSpeechServer, text: str, dbfs: float, speed: float, pause_ms: int, heard_ms: int
) -> None:
    """Silence or a breath, at the speed that is heard, wherever the marks of the sentence are."""
    remote.sound = noise(800, -18) + noise(pause_ms, dbfs) + noise(1_200, -18)
    given = remote.settings(kind="chatterbox", api="speech")  # speaks at its own speed, which is changed here
    speaker = EncodingSpeaker(build_speech_provider("box", given), TextToSpeechSettings())
    chunks = [item for item in await heard(speaker, text=text, speed=speed) if isinstance(item, OpusChunk)]
    decoder = OpusDecoder()
    sound = np.frombuffer(b"".join(decoder.decode(chunk.packets) for chunk in chunks), "<i2")
    loud = np.flatnonzero(np.abs(sound.reshape(-1, 120).astype(float)).mean(axis=1) > 600)  # 5 ms each
    assert 5 * (np.diff(loud).max() - 1) == pytest.approx(heard_ms, abs=50)
    assert 5 * np.ptp(loud) > 2_000 / speed + heard_ms - 100
    await speaker.aclose()
