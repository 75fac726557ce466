"""Input of every format becomes the same 16 kHz, however it is cut into frames."""

from typing import Any

import av
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from loadtests.client.recorded_speech import Clip
from pipeline.audio.input_formats import OPUS_RATE, RATE, Incoming, IncomingFormat
from schemas.errors import NotSound
from tests.support.speech.recordings import floats, tone

RATES = [8_000, 11_025, 16_000, 22_050, 24_000, 44_100, 48_000]


def through(parts: list[bytes], format: IncomingFormat, rate: int) -> bytes:
    incoming = Incoming(format, rate)
    return b"".join([*map(incoming.push, parts), incoming.flush()])


def cut(sound: bytes, lengths: list[int]) -> list[bytes]:
    """Parts of these lengths, over and over, until nothing is left."""
    parts: list[bytes] = []
    at = 0
    while at < len(sound):
        length = lengths[len(parts) % len(lengths)]
        parts.append(sound[at : at + length])
        at += length
    return parts


def pitch(sound: bytes, rate: int = RATE) -> float:
    return float(np.argmax(np.abs(np.fft.rfft(floats(sound)))) * rate / (len(sound) // 2))


def opus_packets(sound: bytes, *, layout: str = "mono", packet_ms: int = 20) -> list[bytes]:
    codec: Any = av.CodecContext.create("libopus", "w")
    codec.sample_rate, codec.layout, codec.format, codec.bit_rate = OPUS_RATE, layout, "s16", 32_000
    codec.options = {"application": "voip", "frame_duration": str(packet_ms)}
    samples = np.frombuffer(sound, "<i2")
    size, packets = OPUS_RATE * packet_ms // 1_000, []
    for at in range(0, len(samples) - size + 1, size):
        part = samples[at : at + size]
        frame = av.AudioFrame.from_ndarray(
            np.repeat(part, 2 if layout == "stereo" else 1)[np.newaxis], format="s16", layout=layout
        )
        frame.sample_rate, frame.pts = OPUS_RATE, at
        packets += [bytes(packet) for packet in codec.encode(frame)]
    return packets


@settings(deadline=None, max_examples=60)
@given(
    st.binary(max_size=4_000),
    st.lists(st.integers(1, 700), min_size=1, max_size=5),
    st.sampled_from(["pcm16", "mulaw", "alaw"]),
    st.sampled_from(RATES),
)
def test_how_it_is_cut_never_changes_the_samples(
    sound: bytes, lengths: list[int], format: IncomingFormat, rate: int
) -> None:
    assert through(cut(sound, lengths), format, rate) == through([sound], format, rate)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 30_000), st.sampled_from(RATES))
@example(1, 48_000)
def test_as_much_comes_out_as_went_in(samples: int, rate: int) -> None:
    incoming = Incoming("pcm16", rate)
    out = incoming.push(bytes(2 * samples)) + incoming.flush()
    assert abs(len(out) // 2 - samples * RATE / rate) <= 1
    assert incoming.ms == samples * 1_000 // rate


@pytest.mark.parametrize("rate", RATES)
def test_a_tone_keeps_its_pitch_its_loudness_and_its_time(rate: int) -> None:
    sound = tone(1_000, 440.0, rate=rate)
    out = floats(through(cut(sound, [rate // 25]), "pcm16", rate))
    wanted = floats(tone(1_000, 440.0))
    assert np.abs(out[800:-800] - wanted[800 : len(out) - 800]).max() < 100


def test_sixteen_kilohertz_pass_as_they_are(clips: list[Clip]) -> None:
    assert through(cut(clips[0].pcm, [640, 3]), "pcm16", RATE) == clips[0].pcm


def test_half_a_sample_waits_for_its_other_half() -> None:
    incoming = Incoming("pcm16", RATE)
    assert incoming.push(b"\x01\x02\x03") == b"\x01\x02"
    assert incoming.push(b"") == b""
    assert incoming.push(b"\x04") == b"\x03\x04"
    assert incoming.ms == 0


def test_little_is_held_back(clips: list[Clip]) -> None:
    for rate in RATES:
        incoming = Incoming("pcm16", rate)
        out = b"".join(incoming.push(part) for part in cut(clips[0].pcm[: 4 * rate], [rate // 25]))
        assert 0 <= incoming.ms - len(out) // 32 <= (65 if rate == 8_000 else 35)


@pytest.mark.parametrize(("format", "codec"), [("mulaw", "pcm_mulaw"), ("alaw", "pcm_alaw")])
def test_telephone_codes_mean_what_others_say_they_mean(format: IncomingFormat, codec: str) -> None:
    decoder: Any = av.CodecContext.create(codec, "r")
    decoder.sample_rate, decoder.layout = RATE, "mono"
    every_code = bytes(range(256))
    theirs = [frame.to_ndarray()[0] for frame in decoder.decode(av.Packet(every_code))]
    assert np.array_equal(np.concatenate(theirs), floats(through([every_code], format, RATE)))


@pytest.mark.parametrize("layout", ["mono", "stereo"])
@pytest.mark.parametrize("packet_ms", [10, 20, 60])
def test_opus_comes_packet_by_packet(layout: str, packet_ms: int) -> None:
    packets = opus_packets(tone(1_200, 440.0, rate=OPUS_RATE), layout=layout, packet_ms=packet_ms)
    incoming = Incoming("opus", OPUS_RATE)
    out = b"".join(map(incoming.push, packets)) + incoming.flush()
    assert incoming.ms == len(packets) * packet_ms == len(out) // 32
    assert pitch(out[6_400:]) == pytest.approx(440.0, abs=2)
    assert np.abs(floats(out)[3_200:]).max() == pytest.approx(8_000, rel=0.2)


def test_opus_has_one_rate_whatever_is_said() -> None:
    packets = opus_packets(tone(200, rate=OPUS_RATE))
    assert through(packets, "opus", 16_000) == through(packets, "opus", OPUS_RATE)


@pytest.mark.parametrize("packet", [b"", b"\xff", b"\x03", b"\xff\xff\xff"])
def test_a_broken_packet_is_told_and_the_next_one_is_heard(packet: bytes) -> None:
    packets = opus_packets(tone(400, rate=OPUS_RATE))
    incoming = Incoming("opus", OPUS_RATE)
    for before in packets[:5]:
        incoming.push(before)
    with pytest.raises(NotSound) as refused:
        incoming.push(packet)
    assert refused.value.field == "audio"
    assert incoming.ms == 100
    assert incoming.push(packets[5])
    assert incoming.ms == 120


@settings(deadline=None, max_examples=200)
@given(st.lists(st.binary(max_size=200), max_size=5))
def test_bytes_that_are_no_opus_do_no_harm(packets: list[bytes]) -> None:
    incoming = Incoming("opus", OPUS_RATE)
    for packet in packets:
        before = incoming.ms
        try:
            incoming.push(packet)
        except NotSound:
            assert incoming.ms == before
        assert incoming.ms - before <= 121  # both are rounded down


@pytest.mark.parametrize("format", ["pcm16", "mulaw", "alaw"])
@pytest.mark.parametrize("rate", [8_000, 16_000, 48_000])
def test_a_large_frame_is_decoded_in_small_parts_to_the_same_sound(format: IncomingFormat, rate: int) -> None:
    frame = tone(8_000) + b"\x01"
    whole, slowly = Incoming(format, rate), Incoming(format, rate)
    parts = [*slowly.parts(frame), slowly.flush()]
    assert b"".join(parts) == whole.push(frame) + whole.flush()
    assert len(parts) > 8
    assert max(map(len, parts)) <= 4 * 33_000


def test_an_opus_packet_is_one_part() -> None:
    packets = opus_packets(tone(200, rate=OPUS_RATE))
    whole, slowly = Incoming("opus", OPUS_RATE), Incoming("opus", OPUS_RATE)
    for packet in packets:
        assert list(slowly.parts(packet)) == [whole.push(packet)]
    with pytest.raises(NotSound):
        list(slowly.parts(b""))
