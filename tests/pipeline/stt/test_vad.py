"""Frame by frame, the model tells speech from everything else."""

import numpy as np
import pytest
from faster_whisper.vad import get_vad_model

from loadtests.client.recorded_speech import Clip
from pipeline.stt.vad import FRAME_BYTES, FRAME_MS, WARMING, EnergyGate, NoiseFloor, SileroVad
from schemas.settings.listening_settings import EndpointingSettings
from tests.support.speech.recordings import (
    Noise,
    floats,
    frames,
    noises,
    pcm,
    probabilities,
    silence,
    spoken_ms,
    told,
    utterances,
)


def test_a_frame_is_32_ms_of_16_khz() -> None:
    assert FRAME_BYTES == 2 * 16_000 * FRAME_MS // 1_000


@pytest.mark.parametrize("length", [0, FRAME_BYTES - 2, FRAME_BYTES + 2])
def test_sound_that_is_no_whole_frames_is_refused(length: int) -> None:
    with pytest.raises(ValueError, match="1024 bytes"):
        SileroVad().probabilities(bytes(length))


@pytest.mark.parametrize("together", [2, 4, 31])
def test_several_frames_in_one_call_are_the_same_as_one_by_one(clips: list[Clip], together: int) -> None:
    vad, size = SileroVad(), together * FRAME_BYTES
    sound = clips[0].pcm[: len(clips[0].pcm) // FRAME_BYTES * FRAME_BYTES]
    blocks = [sound[start : start + size] for start in range(0, len(sound), size)]
    assert [each for block in blocks for each in vad.probabilities(block)] == probabilities(sound)


def test_frame_by_frame_is_the_same_as_all_at_once(clips: list[Clip]) -> None:
    for clip in clips[:3]:
        whole = clip.pcm[: len(clip.pcm) // FRAME_BYTES * FRAME_BYTES]
        at_once = get_vad_model()(floats(whole).astype(np.float32) / 32_768).ravel()
        # That code blanks the end of its last frame.
        assert np.allclose(at_once[:-1], probabilities(whole)[:-1], atol=1e-4)


def test_streams_share_a_model_but_no_memory(clips: list[Clip]) -> None:
    speech = list(frames(clips[0].pcm))[:60]
    alone = probabilities(b"".join(speech))
    one, other = SileroVad(), SileroVad()
    together = []
    for frame in speech:
        together += one.probabilities(frame)
        other.probabilities(silence(FRAME_MS))
    assert together == alone


def test_after_a_reset_nothing_is_remembered(clips: list[Clip]) -> None:
    speech = list(frames(clips[0].pcm))[:60]
    vad = SileroVad()
    first = vad.probabilities(b"".join(speech))
    vad.reset()
    assert vad.probabilities(b"".join(speech)) == first


@pytest.mark.parametrize("noise", noises(), ids=lambda noise: noise.name)
def test_noise_never_begins_an_utterance(noise: Noise) -> None:
    assert utterances(told(probabilities(noise.pcm), EndpointingSettings())) == []


def test_speech_is_louder_than_silence_was_and_silence_is_not(clips: list[Clip]) -> None:
    rng = np.random.default_rng(2)
    room, floor = pcm(rng.normal(0.0, 30.0, 64 * FRAME_BYTES)), NoiseFloor()
    blocks = [room[start : start + 4 * FRAME_BYTES] for start in range(0, len(room), 4 * FRAME_BYTES)]
    assert floor.exceeded(blocks[0])  # nothing is known yet
    floor.note(blocks[0])
    assert not any(floor.exceeded(block) for block in blocks)
    spoken = clips[0].pcm
    start_ms, _ = spoken_ms(spoken)
    assert floor.exceeded(spoken[start_ms * 32 :][: 4 * FRAME_BYTES])


def test_a_room_that_becomes_louder_is_silence_again_before_long() -> None:
    rng, floor = np.random.default_rng(2), NoiseFloor()
    floor.note(bytes(4 * FRAME_BYTES))
    fan = pcm(rng.normal(0.0, 300.0, 2 * FRAME_BYTES))
    blocks = 0
    while floor.exceeded(fan):
        floor.note(fan)
        blocks += 1
    assert 10 < blocks < 40


def hiss(count: int, peak: int, seed: int = 3) -> bytes:
    """So many frames of faint noise."""
    samples = np.random.default_rng(seed).integers(-peak, peak + 1, count * FRAME_BYTES // 2)
    return pcm(samples.astype(float))


class CountingVad(SileroVad):
    """Silero, and how many frames it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.given = 0

    def probabilities(self, frames: bytes) -> list[float]:
        self.given += len(frames) // FRAME_BYTES
        return super().probabilities(frames)


def test_a_microphone_that_hears_nothing_asks_the_model_for_a_second_only() -> None:
    vad = CountingVad()
    gate = EnergyGate(vad)
    answers = [answer for _ in range(100) for answer in gate.probabilities(hiss(8, 16))]
    assert vad.given == WARMING
    assert answers[WARMING:] == [0.0] * (800 - WARMING)


@pytest.mark.parametrize("together", [2, 8, 50])
def test_the_blocks_of_a_stream_make_no_difference_to_what_is_speech(
    clips: list[Clip], together: int
) -> None:
    sound = hiss(90, 9) + clips[0].pcm + hiss(120, 9) + clips[1].pcm
    sound, size = sound[: len(sound) // FRAME_BYTES * FRAME_BYTES], together * FRAME_BYTES
    alone, gate = EnergyGate(), EnergyGate()
    one_by_one = [alone.probabilities(frame)[0] for frame in frames(sound)]
    blocks = [sound[start : start + size] for start in range(0, len(sound), size)]
    assert [answer for block in blocks for answer in gate.probabilities(block)] == one_by_one


def test_after_a_long_silence_speech_is_found_as_after_a_second_of_it(clips: list[Clip]) -> None:
    for clip in clips[:5]:
        speech = clip.pcm[: len(clip.pcm) // FRAME_BYTES * FRAME_BYTES]
        quiet = hiss(500, 9) + hiss(WARMING, 9, seed=4)
        loud = next(n for n, frame in enumerate(frames(speech)) if np.abs(floats(frame)).max() > 16)
        begun_anew = SileroVad().probabilities((quiet + speech)[(532 + loud - WARMING) * FRAME_BYTES :])
        assert EnergyGate().probabilities(quiet + speech)[532 + loud :] == begun_anew[WARMING:]


def test_a_pause_that_is_shorter_than_a_second_of_missed_frames_changes_no_answer(clips: list[Clip]) -> None:
    speech = clips[0].pcm[: len(clips[0].pcm) // FRAME_BYTES * FRAME_BYTES]
    sound = speech + hiss(2 * WARMING, 9) + speech
    begin = len(speech) // FRAME_BYTES + 2 * WARMING
    assert EnergyGate().probabilities(sound)[begin:] == probabilities(sound)[begin:]


@pytest.mark.parametrize("loudness", [1.0, 0.1])
def test_utterances_after_silence_begin_no_later_than_a_frame_after_those_of_the_model_alone(
    clips: list[Clip], loudness: float
) -> None:
    settings = EndpointingSettings()
    for number, clip in enumerate(clips):
        sound = hiss(200, 3, seed=number) + pcm(loudness * floats(clip.pcm)) + hiss(100, 3)
        whole = sound[: len(sound) // FRAME_BYTES * FRAME_BYTES]
        gated = utterances(told(EnergyGate().probabilities(whole), settings))
        alone = utterances(told(probabilities(whole), settings))
        assert len(gated) == len(alone)
        for one, other in zip(gated, alone, strict=True):
            assert -320 <= one.start_ms - other.start_ms <= FRAME_MS
            assert abs(one.end_ms - other.end_ms) <= 64
