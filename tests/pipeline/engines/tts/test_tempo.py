"""Sound that is stretched in time: as long as it should be, at the same pitch, wherever the pieces end."""

from collections.abc import AsyncGenerator, Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.engines.ports import TimedWord, WordTimes
from pipeline.engines.tts.tempo import Tempo, at_tempo, missing

pytestmark = pytest.mark.anyio
RATE = 22_050
FACTORS = [0.25, 0.5, 0.78, 1.27, 2.0, 3.0, 4.0]


def tone(seconds: float) -> bytes:
    at = np.arange(int(RATE * seconds)) / RATE
    return bytes((np.sin(2 * np.pi * 440 * at) * 8_000).astype("<i2").tobytes())


def stretched(pcm: bytes, factor: float, size: int) -> NDArray[np.int16]:
    tempo = Tempo(RATE, factor)
    parts = [tempo.push(pcm[at : at + size]) for at in range(0, len(pcm), size)]
    return np.frombuffer(b"".join([*parts, tempo.finish()]), "<i2")


@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize("size", [500, 10_000, 1_000_000])
def test_sound_is_so_many_times_as_long_and_as_high_as_before(factor: float, size: int) -> None:
    pcm = tone(6.0)
    sound = stretched(pcm, factor, size)
    assert len(pcm) / 2 / len(sound) == pytest.approx(factor, rel=0.03)
    loudest = np.argmax(np.abs(np.fft.rfft(sound.astype(float)))) * RATE / len(sound)
    assert loudest == pytest.approx(440, rel=0.02)


def test_how_the_sound_comes_in_pieces_changes_nothing() -> None:
    pcm = tone(3.0)
    assert (stretched(pcm, 1.6, 400) == stretched(pcm, 1.6, 30_000)).all()


def test_sound_is_stretched_without_threads_of_its_own() -> None:
    before = len(list(Path("/proc/self/task").iterdir()))
    made = [Tempo(RATE, 1.5) for _ in range(8)]
    assert len(made) == 8
    assert len(list(Path("/proc/self/task").iterdir())) <= before


class _Made:
    per_id = np.zeros(1, np.float32)

    def __init__(self, count: int) -> None:
        self.count = count


def test_the_tempo_that_a_voice_misses_is_made_up_for() -> None:
    assert missing([_Made(64)], [_Made(100)], 2.0) == pytest.approx(1.28)
    assert missing([], [], 2.0) == 1.0


@pytest.mark.parametrize(("factor", "end_ms"), [(2.0, 500), (1.001, 1_000)])
async def test_word_times_follow_the_sound(factor: float, end_ms: int) -> None:
    async def voice() -> AsyncGenerator[WordTimes | bytes, None]:
        yield WordTimes((TimedWord(0, 3, 200, 1_000),))
        yield tone(2.0)

    async def work(do: Callable[..., bytes], *args: bytes) -> bytes:
        return do(*args)

    items = [item async for item in at_tempo(voice(), factor, RATE, work)]
    [times, *sound] = items
    assert isinstance(times, WordTimes)
    assert times.words[0].end_ms == end_ms
    assert sum(map(len, sound)) / 2 / RATE == pytest.approx(2.0 / factor, rel=0.03)  # type: ignore[arg-type]
