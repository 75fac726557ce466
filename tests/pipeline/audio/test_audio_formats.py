"""The formats that listeners ask for are what players expect, whole or in parts."""

import io
import wave
from itertools import pairwise
from typing import get_args

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.audio.audio_files import StoredChunk, file_pieces, pcm_bytes, whole_file
from pipeline.audio.audio_formats import MIME, AudioFormat
from pipeline.audio.chapter_tags import Chapter
from pipeline.audio.opus import PACKET_MS, RATE, OpusEncoder, frame
from pipeline.delivery.renderings import SentenceRenderer

FORMATS: tuple[AudioFormat, ...] = get_args(AudioFormat)


def sentence(pitch_hz: float, seconds: float) -> list[StoredChunk]:
    at = np.arange(round(seconds * RATE)) / RATE
    sound = np.asarray(8_000 * np.sin(2 * np.pi * pitch_hz * at), np.int16)
    encoder = OpusEncoder(RATE, 24_000)
    chunks = [encoder.encode(part.tobytes()) for part in np.array_split(sound, 4)] + [encoder.finish()]
    return [StoredChunk(frame(ps), number, PACKET_MS * len(ps)) for number, ps in enumerate(chunks)]


SENTENCES = [sentence(300, 1.0), sentence(500, 0.53), sentence(400, 2.2)]
CHUNKS = [chunk for chunks in SENTENCES for chunk in chunks]
TOTAL_MS = sum(chunk.ms for chunk in CHUNKS)


def played(file: bytes) -> NDArray[np.float64]:
    """Sound of a file as ffmpeg decodes it, mono at 24 kHz."""
    with av.open(io.BytesIO(file), "r") as container:
        resampler = av.AudioResampler("s16", "mono", RATE)
        frames = [part for one in container.decode(audio=0) for part in resampler.resample(one)]
        frames += resampler.resample(None)
    return np.concatenate([one.to_ndarray()[0] for one in frames]).astype(float)


def pitch(sound: NDArray[np.float64]) -> float:
    return float(np.argmax(np.abs(np.fft.rfft(sound))) * RATE / len(sound))


def rendered(fmt: AudioFormat, chunks: list[StoredChunk]) -> list[bytes]:
    renderer = SentenceRenderer(fmt)
    ends = [one.chunk >= two.chunk for one, two in pairwise(chunks)] + [True]
    return [
        renderer.render(chunk.packets, chunk=chunk.chunk, last=end)
        for chunk, end in zip(chunks, ends, strict=True)
    ]


@pytest.mark.parametrize("fmt", FORMATS)
def test_every_format_has_a_media_type(fmt: AudioFormat) -> None:
    assert MIME[fmt].startswith("audio/")


@pytest.mark.parametrize("fmt", FORMATS)
def test_the_same_chunks_give_the_same_bytes(fmt: AudioFormat) -> None:
    assert rendered(fmt, CHUNKS) == rendered(fmt, CHUNKS)
    assert whole_file(fmt, CHUNKS, complete=True) == whole_file(fmt, CHUNKS, complete=True)


@pytest.mark.parametrize("fmt", FORMATS)
def test_each_sentence_stands_alone(fmt: AudioFormat) -> None:
    alone = [part for chunks in SENTENCES for part in rendered(fmt, chunks)]
    assert rendered(fmt, CHUNKS) == alone


@pytest.mark.parametrize("fmt", ["mp3", "opus"])
@pytest.mark.parametrize("count", [1, 3, 250])
def test_ffmpeg_reads_the_chapters_of_a_file(fmt: AudioFormat, count: int) -> None:
    chapters = [Chapter(10 * n, 10 * n + 10, f"Scene {n}: the fox — 漢 " + "x" * 200) for n in range(count)]
    file = whole_file(fmt, CHUNKS, complete=True, chapters=chapters)
    with av.open(io.BytesIO(file)) as container:
        found = container.chapters()
    begins = [1_000 * one["start"] * one["time_base"] for one in found]
    assert begins == [one.start_ms for one in chapters]
    for one, chapter in zip(found, chapters, strict=True):
        title = one["metadata"]["title"]
        assert len(title) > 20
        assert chapter.title.startswith(title)
    plain = whole_file(fmt, CHUNKS, complete=True)
    assert np.array_equal(played(file), played(plain))


def test_more_chapters_than_ogg_has_numbers_for_are_none() -> None:
    many = [Chapter(n, n + 1, "") for n in range(2_000)]
    with av.open(io.BytesIO(whole_file("opus", CHUNKS, complete=True, chapters=many))) as container:
        assert container.chapters() == []


@pytest.mark.parametrize("fmt", ["wav", "mp3", "opus"])
def test_a_whole_file_plays_at_the_right_length_and_pitch(fmt: AudioFormat) -> None:
    sound = played(whole_file(fmt, CHUNKS, complete=True))
    assert len(sound) / RATE == pytest.approx(TOTAL_MS / 1_000, abs=0.1 if fmt == "mp3" else 0.001)
    lengths = [sum(chunk.ms for chunk in chunks) * RATE // 1_000 for chunks in SENTENCES]
    ends = np.cumsum(lengths)
    for end, length, pitch_hz in zip(ends, lengths, (300, 500, 400), strict=True):
        middle = sound[end - 3 * length // 4 : end - length // 4]
        assert pitch(middle) == pytest.approx(pitch_hz, abs=4)


@pytest.mark.parametrize("fmt", ["wav", "mp3", "opus"])
def test_an_unfinished_file_plays_too(fmt: AudioFormat) -> None:
    sound = played(whole_file(fmt, CHUNKS, complete=False))
    assert len(sound) / RATE == pytest.approx(TOTAL_MS / 1_000, abs=0.15)


@pytest.mark.parametrize("fmt", ["pcm16", "mp3", "opus"])
def test_an_unfinished_file_is_the_beginning_of_the_finished_one(fmt: AudioFormat) -> None:
    assert whole_file(fmt, CHUNKS, complete=True).startswith(whole_file(fmt, CHUNKS[:7], complete=False))


def test_a_finished_wav_file_has_exact_sizes() -> None:
    with wave.open(io.BytesIO(whole_file("wav", CHUNKS, complete=True))) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, RATE)
        assert file.getnframes() * 1_000 // RATE == TOTAL_MS
        assert len(file.readframes(file.getnframes())) == pcm_bytes(TOTAL_MS)


def test_a_file_comes_in_pieces_without_looking_ahead() -> None:
    pieces = file_pieces("wav", iter(CHUNKS), total_ms=TOTAL_MS)
    header, first = next(pieces), next(pieces)
    assert header[:4] == b"RIFF"
    assert len(first) == pcm_bytes(CHUNKS[0].ms)


def test_a_file_without_sound_is_a_file() -> None:
    assert whole_file("pcm16", [], complete=True) == whole_file("mp3", [], complete=True) == b""
    with wave.open(io.BytesIO(whole_file("wav", [], complete=True))) as file:
        assert file.getnframes() == 0
    assert whole_file("opus", [], complete=True).count(b"OggS") == 3


def test_pcm_chunks_are_as_long_as_their_events_say() -> None:
    assert [len(part) for part in rendered("pcm16", CHUNKS)] == [pcm_bytes(chunk.ms) for chunk in CHUNKS]


def test_wav_chunks_have_one_open_header_for_each_sentence() -> None:
    parts = rendered("wav", CHUNKS)
    assert [part[:4] == b"RIFF" for part in parts] == [chunk.chunk == 0 for chunk in CHUNKS]
    assert parts[0][4:8] == parts[0][40:44] == b"\xff\xff\xff\xff"
    assert b"".join(parts[:5])[44:] == b"".join(rendered("pcm16", SENTENCES[0]))


def test_mp3_sentences_can_be_put_one_after_another() -> None:
    sound = played(b"".join(rendered("mp3", CHUNKS)))
    padding = len(SENTENCES) * 0.1
    assert TOTAL_MS / 1_000 <= len(sound) / RATE <= TOTAL_MS / 1_000 + padding
    for part, pitch_hz in zip(SENTENCES, (300, 500, 400), strict=True):
        assert pitch(played(b"".join(rendered("mp3", part)))) == pytest.approx(pitch_hz, abs=4)


def test_a_listener_may_join_in_the_middle_of_a_sentence() -> None:
    late = rendered("pcm16", CHUNKS[2:])
    whole = rendered("pcm16", CHUNKS)
    assert list(map(len, late)) == list(map(len, whole[2:]))
    assert late[3:] == whole[5:]
