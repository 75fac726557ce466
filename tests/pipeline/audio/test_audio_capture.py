"""A recording plays each sound at the time when it was said."""

from hashlib import sha256

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtests.client.recorded_speech import Clip
from pipeline.audio.capture import PIECE_MS, RATE, Capture, CapturedPiece, Playback, heard_again
from pipeline.audio.opus import packet_count
from schemas.settings.listening_settings import EndpointingSettings
from tests.support.speech.recordings import floats, pcm, probabilities, silence, told, tone, utterances


def captured(sound: bytes, *, at_ms: int = 0, part: int = 640, flush: bool = True) -> list[CapturedPiece]:
    capture = Capture(at_ms=at_ms)
    pieces = [piece for at in range(0, len(sound), part) for piece in capture.push(sound[at : at + part])]
    return pieces + (capture.flush() if flush else [])


def lag_samples(sound: bytes, again: bytes) -> int:
    """How much later the second one is."""
    size = min(len(sound), len(again)) // 2
    one, other = np.fft.rfft(floats(sound)[:size], 2 * size), np.fft.rfft(floats(again)[:size], 2 * size)
    late = int(np.argmax(np.fft.irfft(other * one.conj())))
    return late if late < size else late - 2 * size


def clicks(ms: int, every_ms: int = 100) -> bytes:
    """A short chirp every so often, at a known time."""
    sound = np.zeros(ms * RATE // 1_000)
    chirp = 12_000 * np.sin(2 * np.pi * 1_500 * np.arange(64) / RATE) * np.hanning(64)
    for at in range(every_ms, ms - every_ms, every_ms):
        sound[at * 16 : at * 16 + 64] = chirp
    return pcm(sound)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 40_000), st.integers(1, 20_000), st.integers(0, 100_000))
def test_pieces_follow_each_other_without_gaps(length: int, part: int, at_ms: int) -> None:
    pieces = captured(bytes(length), at_ms=at_ms, part=part)
    at = at_ms
    for piece in pieces:
        assert piece.at_ms == at
        assert piece.sha256 == sha256(piece.packets).hexdigest()
        at += piece.ms
    assert at - at_ms == length // 32
    assert all(piece.ms == PIECE_MS and packet_count(piece.packets) == 25 for piece in pieces[:-1])
    assert all(20 * packet_count(piece.packets) >= piece.ms for piece in pieces)
    assert len(heard_again(pieces)) == 32 * (length // 32)


@settings(deadline=None, max_examples=15)
@given(st.lists(st.integers(1, 5_000), min_size=1, max_size=4))
def test_how_it_is_cut_never_changes_the_pieces(lengths: list[int]) -> None:
    sound = tone(1_300)
    capture, pieces, at, number = Capture(), list[CapturedPiece](), 0, 0
    while at < len(sound):
        length = lengths[number % len(lengths)]
        pieces += capture.push(sound[at : at + length])
        at, number = at + length, number + 1
    assert pieces + capture.flush() == captured(sound)


def test_nothing_recorded_is_no_piece() -> None:
    assert captured(b"") == captured(bytes(31)) == []
    assert heard_again([]) == b""


def test_a_piece_is_there_as_soon_as_its_sound_is() -> None:
    capture = Capture()
    assert capture.push(tone(499)) == []
    assert [piece.ms for piece in capture.push(tone(1))] == [500]
    assert capture.flush() == []


def test_speech_is_heard_again_when_it_was_said(clips: list[Clip]) -> None:
    for clip in clips:
        again = heard_again(captured(clip.pcm, at_ms=12_345))
        assert abs(lag_samples(clip.pcm, again)) <= 16
        assert np.corrcoef(floats(clip.pcm)[: len(again) // 2], floats(again))[0, 1] > 0.7


def test_a_recording_has_the_same_utterances(clips: list[Clip]) -> None:
    for clip in clips[:4]:
        sound = silence(500) + clip.pcm + silence(1_000)
        again = heard_again(captured(sound))
        first = utterances(told(probabilities(sound), EndpointingSettings()))
        second = utterances(told(probabilities(again), EndpointingSettings()))
        assert len(first) == len(second)
        for one, other in zip(first, second, strict=True):
            assert abs(one.start_ms - other.start_ms) <= 64
            assert abs(one.end_ms - other.end_ms) <= 96


def test_the_last_milliseconds_are_kept() -> None:
    """They come out of the codec late, so the last piece has to be longer than what it tells."""
    sound = tone(620)
    again = floats(heard_again(captured(sound)))
    assert np.abs(again[-80:]).max() > 4_000


def test_a_recording_may_be_heard_from_the_middle() -> None:
    sound = clicks(4_000)
    pieces = captured(sound)
    late = heard_again(pieces[3:])
    assert len(late) == len(sound) - 32 * 1_500
    assert abs(lag_samples(sound[32 * 1_500 :], late)) <= 16


@pytest.mark.parametrize("first_ms", [500, 1_000, 1_320, 1_501])
@pytest.mark.parametrize("flush", [True, False])
def test_a_recorder_that_goes_on_goes_on_in_time(first_ms: int, flush: bool) -> None:
    sound = clicks(4_000)
    before = captured(sound[: 32 * first_ms], flush=flush)
    joint_ms = before[-1].at_ms + before[-1].ms
    after = captured(sound[32 * joint_ms :], at_ms=joint_ms)
    again = heard_again([*before, *after])
    assert len(again) == len(sound)
    for start in range(0, 4_000, 1_000):
        part = slice(32 * start, 32 * (start + 1_000))
        assert abs(lag_samples(sound[part], again[part])) <= 16


def test_missing_pieces_are_silence() -> None:
    sound = clicks(3_000)
    pieces = captured(sound)
    again = heard_again([*pieces[:2], *pieces[4:]])
    assert len(again) == len(sound)
    assert np.abs(floats(again)[17_000:31_000]).max() < 200
    assert abs(lag_samples(sound[32 * 2_000 :], again[32 * 2_000 :])) <= 16


def test_repeated_pieces_are_heard_once() -> None:
    pieces = captured(clicks(3_000))
    assert len(heard_again([*pieces[:3], *pieces[1:]])) == 32 * 3_000


def test_a_recording_is_heard_while_it_goes_on() -> None:
    pieces = captured(clicks(2_000))
    playback = Playback()
    parts = [playback.push(piece) for piece in pieces] + [playback.flush()]
    assert b"".join(parts) == heard_again(pieces)
    assert all(len(part) >= 32 * 490 for part in parts[:-1])


@pytest.mark.parametrize("honest", [True, False])
@pytest.mark.parametrize("packets", [b"", b"\x00\x05\xff\xff\xff\xff\xff", "short", "other"])
def test_a_piece_that_is_not_what_was_recorded_is_silence(packets: bytes | str, honest: bool) -> None:
    pieces = captured(clicks(3_000))
    right = pieces[2]
    if isinstance(packets, str):
        packets = right.packets[:-3] if packets == "short" else pieces[3].packets
    told = sha256(packets).hexdigest() if honest and packets != pieces[3].packets else right.sha256
    pieces[2] = CapturedPiece(packets, right.ms, right.at_ms, told)
    again = heard_again(pieces)
    assert len(again) == 32 * 3_000
    assert np.abs(floats(again)[16_200:23_800]).max() < 200
    assert abs(lag_samples(clicks(3_000)[32 * 1_600 :], again[32 * 1_600 :])) <= 16


def test_a_second_of_speech_takes_two_and_a_half_kilobytes(clips: list[Clip]) -> None:
    pieces = captured(clips[0].pcm)
    kilobits = sum(8 * len(piece.packets) for piece in pieces) / 1_000
    assert 15 <= kilobits / clips[0].ms * 1_000 <= 25
