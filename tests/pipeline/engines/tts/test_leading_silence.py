"""The silence before the first sound of a voice elsewhere is cut, and no sound with it."""

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline.engines.tts.remote_voice import Onset

RATE = 8_000
LEAD, MOST = RATE * 20 // 1_000, RATE * 500 // 1_000


def sound(*levels: int) -> bytes:
    return np.array(levels, "<i2").tobytes()


def heard(pcm: bytes, cuts: list[int]) -> bytes:
    onset = Onset(RATE)
    places = [0, *sorted(min(2 * cut, len(pcm)) for cut in cuts), len(pcm)]
    return b"".join(onset.push(pcm[begin:end]) for begin, end in pairwise(places)) + onset.finish()


sounds = st.builds(
    lambda quiet, loud: sound(*[5] * quiet, *loud),
    st.integers(0, 2 * MOST),
    st.lists(st.integers(-32_768, 32_767), max_size=30),
)
cuts = st.lists(st.integers(0, 3 * MOST), max_size=6)


@given(sounds, cuts)
def test_how_the_sound_comes_in_pieces_changes_nothing(pcm: bytes, cuts: list[int]) -> None:
    assert heard(pcm, cuts) == heard(pcm, [])


@given(sounds, cuts)
def test_only_a_silent_beginning_is_cut_and_not_too_much_of_it(pcm: bytes, cuts: list[int]) -> None:
    rest = heard(pcm, cuts)
    assert pcm.endswith(rest)
    cut = np.frombuffer(pcm[: len(pcm) - len(rest)], "<i2")
    assert len(cut) <= MOST
    assert not np.any(np.abs(cut.astype(int)) > 104)


def test_a_little_is_left_before_the_first_sound() -> None:
    assert heard(sound(*[0] * 1_000, 900, 900), []) == sound(*[0] * LEAD, 900, 900)


def test_a_voice_that_begins_at_once_is_as_it_was_sent() -> None:
    assert heard(sound(*[0] * LEAD, 900), []) == sound(*[0] * LEAD, 900)


def test_the_first_sound_is_not_waited_for_any_longer_than_can_be_cut() -> None:
    onset = Onset(RATE)
    assert onset.push(sound(*[0] * (MOST + LEAD - 1))) == b""
    assert onset.push(sound(0)) == sound(*[0] * LEAD)
    assert onset.push(sound(0, 0)) == sound(0, 0)


def test_a_short_silence_is_a_silence() -> None:
    assert heard(sound(0, 0, 0), []) == sound(0, 0, 0)
