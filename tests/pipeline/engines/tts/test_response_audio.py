"""Responses of speech servers become the same PCM, however they are cut on the way."""

import base64
import io
import json
import wave
from itertools import pairwise

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pipeline.audio.audio_formats import Mp3Encoder, wav_header
from pipeline.engines.tts.response_audio import BadSound, CutShort, decoder_of

RATE = 24_000
SECONDS = 0.2


def tone(rate: int = RATE, channels: int = 1) -> NDArray[np.int16]:
    """Samples of a hum, the same in every channel."""
    one = np.sin(2 * np.pi * 220 * np.arange(int(rate * SECONDS)) / rate) * 8_000
    return np.repeat(one.astype(np.int16), channels)


def wav(rate: int = RATE, channels: int = 1, *, tail: bytes = b"") -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setparams((channels, 2, rate, 0, "NONE", ""))
        out.writeframes(tone(rate, channels).tobytes())
    return file.getvalue() + tail


def mp3() -> bytes:
    encoder = Mp3Encoder()
    return encoder.encode(tone().tobytes()) + encoder.finish()


def events(*, done: bool = True, info: int | None = RATE, inner: bytes | None = None) -> bytes:
    said = [] if info is None else [{"type": "speech.audio.info", "sample_rate": info, "channels": 1}]
    sound = tone(info or RATE).tobytes() if inner is None else inner
    said += [
        {"type": "speech.audio.delta", "audio": base64.b64encode(part).decode()}
        for part in ([sound] if inner else [sound[:1001], sound[1001:]])
    ]
    if done:
        said.append({"type": "speech.audio.done"})
    return b": hello\n\n" + b"".join(b"event: x\ndata: " + json.dumps(one).encode() + b"\n\n" for one in said)


SENT = {
    "audio/pcm": tone().tobytes(),
    "audio/pcm; rate=16000": tone(16_000).tobytes(),
    "audio/pcm;rate=48000;channels=2": tone(48_000, 2).tobytes(),
    "application/octet-stream": tone().tobytes(),
    "audio/wav": wav(),
    "audio/x-wav": wav(22_050, 2),
    "audio/mpeg": mp3(),
    "text/event-stream; charset=utf-8": events(),
}


def decoded(content_type: str, data: bytes, cuts: list[int]) -> NDArray[np.int16]:
    decoder = decoder_of(content_type, RATE)
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    pcm = b"".join(decoder.feed(data[start:end]) for start, end in pairwise(edges))
    return np.frombuffer(pcm + decoder.finish(), np.int16)


@pytest.mark.parametrize("content_type", SENT)
def test_every_format_becomes_the_sound_it_was(content_type: str) -> None:
    heard = decoded(content_type, SENT[content_type], [])
    assert len(heard) / RATE == pytest.approx(SECONDS, abs=0.08)
    assert np.abs(heard).max() == pytest.approx(8_000, rel=0.15)


@pytest.mark.parametrize("content_type", SENT)
@given(cuts=st.lists(st.integers(0, 100_000), max_size=12))
@settings(max_examples=25, deadline=None)
def test_how_bytes_arrive_does_not_change_the_sound(content_type: str, cuts: list[int]) -> None:
    whole = decoded(content_type, SENT[content_type], [])
    cut = decoded(content_type, SENT[content_type], cuts)
    assert len(cut) == len(whole)
    assert np.abs(cut.astype(int) - whole).max() <= 2


@pytest.mark.parametrize(
    "data",
    [
        wav_header(None) + tone().tobytes(),
        wav_header(0) + tone().tobytes(),
        wav(tail=b"LIST\x04\x00\x00\x00\xff\x7f\xff\x7f"),
        wav()[:12] + b"JUNK\x05\x00\x00\x00abcde\x00" + wav()[12:],
    ],
)
def test_a_wav_file_need_not_know_its_length_and_may_hold_other_things(data: bytes) -> None:
    assert decoded("audio/wav", data, [7, 30, 50]).tolist() == tone().tolist()


@pytest.mark.parametrize(
    "data", [events(info=None), events(inner=wav()), events(info=None, inner=wav_header(None) + wav()[44:])]
)
def test_events_may_hold_plain_samples_or_whole_files(data: bytes) -> None:
    assert decoded("text/event-stream", data, [50, 900]).tolist() == tone().tolist()


def test_events_without_their_end_and_headers_without_sound_are_cut_short() -> None:
    for content_type, data in (("text/event-stream", events(done=False)), ("audio/wav", wav()[:30])):
        with pytest.raises(CutShort):
            decoded(content_type, data, [])


def test_an_error_among_the_events_is_told() -> None:
    data = b'data: {"type": "error", "error": {"message": "out of memory"}}\n\n'
    with pytest.raises(BadSound, match="out of memory"):
        decoded("text/event-stream", data, [])


@pytest.mark.parametrize(
    ("content_type", "data"),
    [
        ("audio/ogg", b"OggS"),
        ("application/json", b"{}"),
        ("audio/wav", b"<html>and so on</html>"),
        ("audio/pcm; channels=6", bytes(12)),
        ("text/event-stream", b"data: {nonsense}\n"),
        ("text/event-stream", b'data: {"type": "speech.audio.delta", "audio": "!"}\n'),
        ("text/event-stream", b"data: 7\n"),
    ],
)
def test_an_answer_without_sound_is_bad_sound(content_type: str, data: bytes) -> None:
    with pytest.raises(BadSound):
        decoded(content_type, data, [])


@given(st.sampled_from([*SENT]), st.binary(max_size=3_000), st.integers(0, 100))
@settings(max_examples=150, deadline=None)
def test_noise_is_refused_or_played_and_nothing_else(content_type: str, noise: bytes, kept: int) -> None:
    try:
        heard = decoded(content_type, SENT[content_type][:kept] + noise, [5])
    except (BadSound, CutShort, av.error.FFmpegError):
        return
    assert heard.dtype == np.int16
