"""G.711 as telephones hear it."""

from itertools import pairwise
from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.audio.g711 import G711Encoder
from pipeline.audio.input_formats import g711
from pipeline.audio.opus import RATE

LAWS = pytest.mark.parametrize("law", ["mulaw", "alaw"])


def sine(hz: float, ms: int, loudness: float = 8_000) -> bytes:
    at = np.arange(RATE * ms // 1_000) / RATE
    return bytes((loudness * np.sin(2 * np.pi * hz * at)).astype("<i2").tobytes())


def heard(codes: bytes, law: Literal["mulaw", "alaw"]) -> np.ndarray:
    return g711(law)[np.frombuffer(codes, np.uint8)].astype(float)


@LAWS
def test_a_tone_is_the_same_tone_at_a_third_of_the_samples(law: Literal["mulaw", "alaw"]) -> None:
    sound = heard(G711Encoder(law).encode(sine(440, 200), last=True), law)
    assert len(sound) == 1_600
    wanted = 8_000 * np.sin(2 * np.pi * 440 * np.arange(1_600) / 8_000)
    noise = (sound - wanted)[80:-80]
    assert 20 * np.log10(np.std(wanted) / np.std(noise)) > 30


@LAWS
def test_a_tone_too_high_for_a_telephone_does_not_come_back_as_another(
    law: Literal["mulaw", "alaw"],
) -> None:
    sound = heard(G711Encoder(law).encode(sine(6_000, 200), last=True), law)
    assert np.abs(sound[80:-80]).max() < 80


@LAWS
@given(cuts=st.lists(st.integers(0, 4_800), max_size=6))
def test_pieces_of_any_size_make_the_same_codes(law: Literal["mulaw", "alaw"], cuts: list[int]) -> None:
    pcm = sine(300, 200)
    places = [0, *(2 * one for one in sorted(cuts)), len(pcm)]
    encoder = G711Encoder(law)
    parts = [pcm[begin:end] for begin, end in pairwise(places)]
    made = b"".join(encoder.encode(part, last=False) for part in parts) + encoder.encode(b"", last=True)
    whole = G711Encoder(law).encode(pcm, last=True)
    assert len(made) == len(whole)
    assert np.abs(heard(made, law) - heard(whole, law)).max() <= 512


@LAWS
def test_silence_is_the_code_of_silence(law: Literal["mulaw", "alaw"]) -> None:
    codes = set(G711Encoder(law).encode(bytes(960), last=True))
    assert codes <= ({0xFF, 0x7F} if law == "mulaw" else {0xD5, 0x55})
