"""Silence in a voice's sound: as long as it may be inside, exactly as long as it is wished for at the end."""

from types import SimpleNamespace

import numpy as np
import pytest

from pipeline.engines.tts.pauses import Pauses
from pipeline.engines.tts.piper_words import TextWord
from pipeline.engines.tts.voice_windows import Sentence, WindowPiece, without_long_pauses, word_times

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


HOP_MS = 10
SPOKEN = Sentence(("a", " ", "b", ",", " ", "c", " ", "d"), tuple(range(8)), tuple(range(9)))


@pytest.mark.parametrize(
    ("speed", "at_marks", "left"),
    [
        (1.0, {}, (5, 35, 5, 3, 60, 5, 20, 5)),
        (2.0, {}, (5, 18, 5, 3, 60, 5, 18, 5)),
        (0.5, {}, (5, 35, 5, 3, 60, 5, 20, 5)),
        (1.0, {",": 110}, (5, 35, 5, 3, 8, 5, 20, 5)),
    ],
)
def test_words_without_a_mark_between_them_are_at_most_350_ms_apart(
    speed: float, at_marks: dict[str, int], left: tuple[int, ...]
) -> None:
    lasts = np.array([5, 90, 5, 3, 60, 5, 20, 5], np.float32)
    kept, per_id = without_long_pauses(SPOKEN, lasts, speed=speed, hop_ms=HOP_MS, at_marks=at_marks)
    assert tuple(per_id) == left
    assert len(kept) == lasts.sum()
    assert kept.sum() == per_id.sum()
    assert kept[:5].all()


def test_the_times_of_words_after_a_pause_that_was_cut_are_earlier() -> None:
    words = tuple(TextWord(2 * at, 2 * at + 1, char) for at, char in enumerate("abcd"))
    piece = WindowPiece(words, tuple("abcd"), (SPOKEN,))

    def starts_ms(per_id: tuple[int, ...]) -> list[int]:
        made = SimpleNamespace(count=sum(per_id), per_id=np.array(per_id, np.float32))
        times = word_times([piece], [made], ms_per_frame=HOP_MS, trimmed_ms=0)
        return [word.start_ms for word in times.words]

    assert starts_ms((5, 90, 5, 3, 60, 5, 20, 5)) == [0, 950, 1_630, 1_880]
    assert starts_ms((5, 35, 5, 3, 60, 5, 20, 5)) == [0, 400, 1_080, 1_330]
