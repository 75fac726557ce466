"""Utterances of real people begin and end where these people begin and end."""

from itertools import pairwise

import numpy as np
import pytest

from loadtests.client.recorded_speech import Clip
from pipeline.stt.endpointing import Began, Endpointer
from pipeline.stt.vad import FRAME_MS
from rhapsode.testing.clips import joined, noisy
from schemas.settings.listening_settings import EndpointingSettings
from tests.support.speech.recordings import (
    AFTER_MS,
    BEFORE_MS,
    probabilities,
    silence,
    spoken_ms,
    told,
    utterances,
)

pytestmark = pytest.mark.weights
Heard = dict[str, list[float]]


@pytest.mark.parametrize("silence_ms", [500, 300])
def test_a_sentence_is_one_utterance(clips: list[Clip], heard: Heard, silence_ms: int) -> None:
    settings = EndpointingSettings(silence_ms=silence_ms)
    assert {name: len(utterances(told(sound, settings))) for name, sound in heard.items()} == {
        clip.name: 1 for clip in clips
    }


def test_an_utterance_begins_and_ends_where_it_is_loud(clips: list[Clip], heard: Heard) -> None:
    onsets, ends = [], []
    for clip in clips[:5]:  # the others have clicks of a mouse at their ends, which are loud too
        [ended] = utterances(told(heard[clip.name], EndpointingSettings()))
        start_ms, end_ms = spoken_ms(clip.pcm)
        onsets.append(ended.start_ms - BEFORE_MS - start_ms)
        ends.append(ended.end_ms - BEFORE_MS - end_ms)
    # Measured: -22 to 50 ms, 26 to 160 ms.
    assert max(np.abs(onsets)) <= 100
    assert min(ends) >= -50
    assert max(ends) <= 250


def test_the_end_is_known_after_the_silence_and_a_frame(clips: list[Clip], heard: Heard) -> None:
    for clip in clips:
        [ended] = utterances(told(heard[clip.name], EndpointingSettings()))
        assert 500 <= ended.at_ms - ended.end_ms < 500 + FRAME_MS


def test_the_beginning_is_known_soon(clips: list[Clip], heard: Heard) -> None:
    settings = EndpointingSettings()
    for clip in clips:
        endpointer = Endpointer(settings)
        for probability in heard[clip.name]:
            if began := [event for event in endpointer.push(probability) if isinstance(event, Began)]:
                assert endpointer.at_ms - began[0].at_ms <= settings.min_speech_ms + 192
                break


@pytest.mark.parametrize("decibels", [20, 10])
def test_noise_behind_speech_does_not_hide_it(clips: list[Clip], decibels: float) -> None:
    for clip in clips:
        sound = silence(BEFORE_MS) + noisy(clip, decibels).pcm + silence(AFTER_MS)
        ended = utterances(told(probabilities(sound), EndpointingSettings()))
        start_ms, end_ms = spoken_ms(clip.pcm)
        assert ended
        assert ended[0].start_ms - BEFORE_MS - start_ms < 400
        assert ended[-1].end_ms - BEFORE_MS - end_ms > -500


def test_speech_without_a_pause_is_cut_and_loses_nothing(clips: list[Clip]) -> None:
    settings = EndpointingSettings(max_utterance_s=5.0, silence_ms=2_000)
    ended = utterances(told(probabilities(joined(clips[:5]).pcm), settings))
    assert len(ended) >= 4
    assert {each.reason for each in ended[:-1]} == {"max_length"}
    assert all(each.end_ms - each.start_ms <= 5_000 + FRAME_MS for each in ended)
    # A cut is made where it is quiet: mostly between words.
    assert all(later.start_ms - earlier.end_ms <= 1_500 for earlier, later in pairwise(ended))


def test_the_cut_is_made_where_nothing_is_said(clips: list[Clip]) -> None:
    long = joined([clips[0], clips[1]])
    first, second = utterances(
        told(probabilities(long.pcm), EndpointingSettings(max_utterance_s=8.0, silence_ms=2_000))
    )
    between_ms = len(clips[0].pcm) // 32
    assert first.reason == "max_length"
    assert first.end_ms <= between_ms + 300
    assert abs(second.start_ms - between_ms) < 500
