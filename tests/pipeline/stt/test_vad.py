"""Frame by frame, the model tells speech from everything else."""

import numpy as np
import pytest
from faster_whisper.vad import get_vad_model

from loadtests.client.recorded_speech import Clip
from pipeline.stt.vad import FRAME_BYTES, FRAME_MS, NoiseFloor, SileroVad
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
