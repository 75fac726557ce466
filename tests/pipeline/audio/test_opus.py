"""PCM becomes packets and comes back at the right length, at the right time, and as the same sound."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pipeline.audio.opus import (
    DELAY_MS,
    PACKET_MS,
    RATE,
    OpusDecoder,
    OpusEncoder,
    frame,
    packet_count,
    packet_us,
    unframe,
)


def tone(seconds: float, rate: int = RATE, pitch_hz: float = 440.0) -> NDArray[np.int16]:
    at = np.arange(round(seconds * rate)) / rate
    return np.asarray(8_000 * np.sin(2 * np.pi * pitch_hz * at), np.int16)


def through(sound: NDArray[np.int16], rate: int = RATE, *, piece: int = 4_000) -> NDArray[np.float64]:
    """Decoded sound of a sound that is encoded piece by piece."""
    encoder, packets = OpusEncoder(rate, 24_000), list[bytes]()
    for at in range(0, len(sound), piece):
        packets += encoder.encode(sound[at : at + piece].tobytes())
    packets += encoder.finish()
    return np.frombuffer(OpusDecoder().decode(frame(packets)), "<i2").astype(float)


@settings(deadline=None, max_examples=40)
@given(
    samples=st.integers(1, 9_000),
    rate=st.sampled_from([16_000, 22_050, 24_000, 44_100, 48_000]),
    piece=st.integers(1, 9_000),
)
def test_every_sound_fits_in_whole_packets_with_the_delay_of_the_codec(
    samples: int, rate: int, piece: int
) -> None:
    encoder = OpusEncoder(rate, 24_000)
    sound = tone(1, rate)[:samples].tobytes()
    early = [
        packet
        for at in range(0, len(sound), 2 * piece)
        for packet in encoder.encode(sound[at : at + 2 * piece])
    ]
    late = encoder.finish()
    length_ms = PACKET_MS * len(early + late)
    assert late, "the last chunk always has something to carry"
    assert 0 <= length_ms - (1_000 * samples / rate + 6.5) < PACKET_MS + 1
    assert len(OpusDecoder().decode(frame(early + late))) == 2 * RATE * length_ms // 1_000


def test_no_sound_makes_no_packet() -> None:
    encoder = OpusEncoder(22_050, 24_000)
    assert encoder.encode(b"") == []
    assert encoder.finish() == []


@pytest.mark.parametrize("rate", [22_050, 24_000, 48_000])
def test_a_beep_is_heard_when_it_was_made_but_for_the_known_delay(rate: int) -> None:
    sound = np.zeros(2 * rate, np.int16)
    sound[rate : rate + rate // 10] = tone(0.1, rate)
    heard = np.abs(through(sound, rate))
    loud = np.flatnonzero(heard > heard.max() / 2)
    assert loud[0] * 1_000 / RATE == pytest.approx(1_000 + DELAY_MS, abs=3)
    assert loud[-1] * 1_000 / RATE == pytest.approx(1_100 + DELAY_MS, abs=3)


def test_the_end_of_a_sound_is_heard() -> None:
    heard = np.abs(through(tone(0.4)))
    last = np.flatnonzero(heard > 4_000)[-1]
    assert last * 1_000 / RATE == pytest.approx(400 + DELAY_MS, abs=3)


def test_the_same_pitch_comes_back() -> None:
    heard = through(tone(1.0, 22_050, pitch_hz=330), 22_050)
    spectrum = np.abs(np.fft.rfft(heard))
    assert np.argmax(spectrum) * RATE / len(heard) == pytest.approx(330, abs=2)


def test_how_the_sound_was_cut_makes_no_difference() -> None:
    assert np.array_equal(through(tone(0.5), piece=100), through(tone(0.5), piece=5_000))


@given(st.lists(st.binary(min_size=1, max_size=1_275)))
def test_framed_packets_come_apart_again(packets: list[bytes]) -> None:
    assert list(unframe(frame(packets))) == packets
    assert packet_count(frame(packets)) == len(packets)


@given(st.lists(st.binary(min_size=1, max_size=60), min_size=1), st.data())
def test_frames_cut_short_are_noticed(packets: list[bytes], data: st.DataObject) -> None:
    framed = frame(packets[-1:])
    cut = data.draw(st.integers(1, len(framed) - 1))
    with pytest.raises(ValueError, match="inside a packet"):
        list(unframe(frame(packets[:-1]) + framed[:cut]))


@pytest.mark.parametrize(
    ("packet", "us"),
    [
        (bytes([1 << 3]), 20_000),  # SILK, one frame
        (bytes([3 << 3 | 1]), 120_000),  # SILK, two frames of 60 ms, of no bytes
        (bytes([1 << 3 | 3, 6]), 120_000),  # six frames, says its second byte
        (bytes([12 << 3 | 2]), 20_000),
        (bytes([16 << 3]), 2_500),
        (bytes([31 << 3]), 20_000),
        (bytes([31 << 3 | 3]), 0),
        (b"", 0),
    ],
)
def test_a_packet_says_how_long_it_is(packet: bytes, us: int) -> None:
    assert packet_us(packet) == us


@given(st.lists(st.binary(min_size=1, max_size=60), min_size=1, max_size=8))
def test_every_packet_gives_20_ms(packets: list[bytes]) -> None:
    bombs = [bytes([3 << 3 | 1]), bytes([1 << 3 | 3, 6]), bytes([16 << 3])]
    assert len(OpusDecoder().decode(frame(packets + bombs))) == 960 * (len(packets) + 3)


def test_long_sound_comes_in_pieces() -> None:
    framed = frame([bytes([1 << 3])] * 2_500)
    pieces = [len(piece) for piece in OpusDecoder().pieces(framed)]
    assert pieces == [960_000, 960_000, 480_000]
