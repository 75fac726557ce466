"""WhisperX's engine without WhisperX: it cuts sound, places words, and finds NLTK's data."""

from itertools import pairwise
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from pipeline.engines.ports import Transcript, WrittenWord
from pipeline.engines.stt.pcm_samples import RATE
from pipeline.engines.stt.whisperx.whisperx_pieces import WINDOW, pieces
from pipeline.engines.stt.whisperx.whisperx_punkt import punkt_folder
from pipeline.engines.stt.whisperx.whisperx_words import AlignedWord, joined, placed

_STEP = RATE // 4
_QUIET = np.zeros(1, np.int8)
_SPEECH = st.lists(st.tuples(st.integers(0, 200), st.integers(1, 200)), max_size=8)
"""Quarter seconds of silence and of speech, taking turns."""


def loud(sound: NDArray[np.float32]) -> list[tuple[int, int]]:
    """Speech is what is not zero; cut after every 30 s."""
    edges = np.flatnonzero(np.diff(np.concatenate((_QUIET, (sound != 0).view(np.int8), _QUIET))))
    found = []
    for start, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        found += [(at, min(at + WINDOW, end)) for at in range(start, end, WINDOW)]
    return found


@given(_SPEECH)
def test_nothing_spoken_is_lost_or_given_twice_however_long_the_recording(
    turns: list[tuple[int, int]],
) -> None:
    sound = np.concatenate(
        [np.repeat(np.array([0, 1], "<i2"), [silent * _STEP, spoken * _STEP]) for silent, spoken in turns]
        or [np.zeros(0, "<i2")]
    )
    found = list(pieces(sound.tobytes(), loud))
    assert all(0 < end - start <= WINDOW for start, end in found)
    assert all(before[1] <= after[0] for before, after in pairwise(found))
    heard = np.zeros_like(sound)
    for start, end in found:
        heard[start:end] = 1
    assert np.array_equal(heard, sound)


def test_only_two_minutes_are_looked_at_at_a_time() -> None:
    lengths = []

    def spoken(sound: NDArray[np.float32]) -> list[tuple[int, int]]:
        lengths.append(len(sound))
        return loud(sound)

    assert next(pieces(bytes(2 * 5 * RATE) + b"\1\0" * RATE + bytes(2 * 3_600 * RATE), spoken)) == (
        5 * RATE,
        6 * RATE,
    )
    assert lengths == [4 * WINDOW]


def test_parts_of_a_word_are_one_word_with_its_punctuation() -> None:
    text = "He said: ill-disposed, no?"
    timed = [
        AlignedWord(" He", 0.1, 0.2),
        AlignedWord(" said", 0.2, 0.5),
        AlignedWord(":", 0.5, 0.9),
        AlignedWord(" ill", 1.0, 1.2),
        AlignedWord("-", 1.2, 1.2),
        AlignedWord("disposed", 1.2, 1.8),
        AlignedWord(" no", 2.0, 2.2),
    ]
    words = placed(text, timed, "en")
    assert [text[word.start : word.end] for word in words] == ["He", "said:", "ill-disposed,", "no?"]
    assert [(word.start_ms, word.end_ms) for word in words] == [
        (100, 200),
        (200, 500),
        (1_000, 1_800),
        (2_000, 2_200),
    ]


def test_where_no_spaces_are_written_a_word_is_what_the_aligner_says() -> None:
    words = placed("今日は晴れ。", [AlignedWord("今日", 0.0, 0.4), AlignedWord("は", 0.4, 0.5)], "ja")
    assert [(word.start, word.end) for word in words] == [(0, 2), (2, 3)]


@given(st.text(max_size=60), st.lists(st.tuples(st.text(max_size=6), st.floats(0, 30), st.floats(0, 30))))
def test_words_stand_in_order_whatever_the_aligner_says(
    text: str, timed: list[tuple[str, float, float]]
) -> None:
    words = placed(text, [AlignedWord(*one) for one in timed], "en")
    assert all(0 <= word.start < word.end <= len(text) for word in words)
    assert all(word.start_ms <= word.end_ms for word in words)
    for before, after in pairwise(words):
        assert before.end <= after.start
        assert before.end_ms <= after.start_ms


def test_pieces_become_one_transcript() -> None:
    first = Transcript("One.", "en", "x", (WrittenWord(0, 4, 10, 20),), decode_ms=3, cpu_ms=1)
    nothing = Transcript("", "en", "x", decode_ms=1, cpu_ms=1)
    second = Transcript("Two.", "en", "x", (WrittenWord(0, 4, 30, 40),), decode_ms=4, cpu_ms=2)
    whole = joined([(0, first), (5_000, nothing), (9_000, second)])
    assert whole.text == "One. Two."
    assert [whole.text[word.start : word.end] for word in whole.words] == ["One.", "Two."]
    assert [word.start_ms for word in whole.words] == [10, 9_030]
    assert (whole.decode_ms, whole.cpu_ms) == (8, 4)


def test_the_folder_for_nltk_is_made_once_and_kept(tmp_path: Path) -> None:
    english = punkt_folder(tmp_path) / "tokenizers" / "punkt_tab" / "english"
    assert len(list(english.iterdir())) == 4
    (english / "abbrev_types.txt").write_text("dr\n", encoding="utf-8")
    punkt_folder(tmp_path)
    assert (english / "abbrev_types.txt").read_text(encoding="utf-8") == "dr\n"
