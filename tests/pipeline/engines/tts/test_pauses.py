"""Silence in a voice's sound: as long as it may be inside, exactly as long as it is wished for at the end."""

import numpy as np
import pytest

from pipeline.engines.tts.pauses import Pauses

RATE = 22_050


def tone(ms: int) -> bytes:
    at = np.arange(RATE * ms // 1_000) / RATE
    return bytes((np.sin(2 * np.pi * 440 * at) * 8_000).astype("<i2").tobytes())


def silence(ms: int) -> bytes:
    return bytes(2 * (RATE * ms // 1_000))


def heard(pcm: bytes, size: int, *, inner_ms: int | None = None, after_ms: int | None = None) -> bytes:
    pauses = Pauses(RATE, inner_ms=inner_ms, after_ms=after_ms)
    parts = [pauses.push(pcm[at : at + size]) for at in range(0, len(pcm), size)]
    return b"".join([*parts, pauses.finish()])


def ms_of(pcm: bytes) -> float:
    return len(pcm) / 2 / RATE * 1_000


@pytest.mark.parametrize("size", [100, 1_234, 1_000_000])
@pytest.mark.parametrize("after_ms", [0, 80, 700])
def test_the_silence_after_a_sentence_is_as_long_as_it_is_wished_for(size: int, after_ms: int) -> None:
    made = heard(tone(300) + silence(150) + tone(300) + silence(260), size, after_ms=after_ms)
    assert ms_of(made) == pytest.approx(750 + after_ms, abs=25)


@pytest.mark.parametrize("size", [100, 1_234, 1_000_000])
def test_a_long_pause_inside_is_shortened_and_a_short_one_stays(size: int) -> None:
    made = heard(tone(300) + silence(900) + tone(300) + silence(200) + tone(300), size, inner_ms=350)
    assert ms_of(made) == pytest.approx(900 + 350 + 200, abs=25)


def test_without_a_wish_nothing_changes() -> None:
    pcm = silence(30) + tone(300) + silence(900) + tone(200) + silence(400)
    assert heard(pcm, 777) == pcm


def test_a_sound_that_is_silent_all_through_stays() -> None:
    assert heard(silence(400), 500, inner_ms=100, after_ms=50) == silence(400)
