"""Echo of our own voice through a loudspeaker and a room, with and without a user who speaks over it."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest
import soxr

from loadtests.bench.turns.living_room import active_db, at_level, room_response
from loadtests.client.recorded_speech import RATE as INPUT_RATE
from pipeline.stt.echo import PER_MS, RATE, EchoDetector, Sound
from rhapsode.testing.clips import needs_clips
from tests.support.clients.native_speaker import austen

pytestmark = needs_clips
FRAME_MS = 32
HEARD_MS, LATE_MS, EARLY_MS = 1_500, 2_500, 600
USER_MS = 3_000
SOFT = 0.1
"""Frames that are softer than this, as a share of the usual loudness, are no speech to any detector."""


def clip(number: str) -> Sound:
    return np.frombuffer(austen(number), "<i2").astype(np.float32)


def heard_in_a_room(answer: Sound, db: float | None, user: Sound, delay_ms: int) -> Sound:
    """At the microphone; the user begins after USER_MS. None: the answer is heard with headphones."""
    dice = np.random.default_rng(7)
    heard = dice.normal(0.0, 12.0, len(answer)).astype(np.float32)
    if db is not None:
        way = np.concatenate([np.zeros(delay_ms * INPUT_RATE // 1_000, np.float32), room_response(dice)])
        heard += at_level(np.convolve(answer, way)[: len(answer)].astype(np.float32), db)
    start = USER_MS * INPUT_RATE // 1_000
    heard[start : start + len(user)] += user
    return heard


def judged(heard: Sound, answer: Sound, estimate_ms: int) -> Iterator[tuple[int, bool]]:
    """Ends of the loud frames, in ms, and whether each is an echo. The answer seems so much further on."""
    microphone, played = soxr.resample(heard, INPUT_RATE, RATE), soxr.resample(answer, INPUT_RATE, RATE)
    detector = EchoDetector()
    frame = FRAME_MS * PER_MS
    usual = np.sqrt((played**2).mean())
    for end in range(frame, len(microphone), frame):
        if np.sqrt((microphone[end - frame : end] ** 2).mean()) > SOFT * usual:
            start, place = max(0, end - HEARD_MS * PER_MS), end + estimate_ms * PER_MS
            first = max(0, place - (HEARD_MS + LATE_MS) * PER_MS)
            near = played[first : place + EARLY_MS * PER_MS]
            yield end // PER_MS, detector.is_echo(microphone[start:end], start, near, first)


def longest_speech_ms(frames: list[tuple[int, bool]]) -> int:
    """Of frames in a row that are no echo."""
    longest = run = 0
    for (before_ms, _), (at_ms, is_echo) in pairwise([(-FRAME_MS, True), *frames]):
        run = 0 if is_echo else FRAME_MS + (run if at_ms - before_ms == FRAME_MS else 0)
        longest = max(longest, run)
    return longest


def first_speech_ms(frames: list[tuple[int, bool]]) -> int:
    """When a tenth of a second after USER_MS was no echo."""
    speech = [at_ms for at_ms, is_echo in frames if at_ms > USER_MS and not is_echo]
    return speech[100 // FRAME_MS] - USER_MS


@pytest.fixture
def answer() -> Sound:
    return clip("0870")[: 6 * INPUT_RATE]


@pytest.fixture
def user() -> Sound:
    """Half a second of a user, from the first loud sample on."""
    speech = clip("0890")[: 2 * INPUT_RATE]
    return speech[int(np.argmax(np.abs(speech) > 0.15 * np.abs(speech).max())) :][: INPUT_RATE // 2]


@pytest.mark.parametrize("delay_ms", [0, 60, 480])
@pytest.mark.parametrize("quieter_db", [0, 6, 12])
def test_an_echo_alone_is_never_speech_for_long_enough_to_begin_an_utterance(
    answer: Sound, user: Sound, quieter_db: int, delay_ms: int
) -> None:
    heard = heard_in_a_room(answer, active_db(user) - quieter_db, user * 0, delay_ms)
    for estimate_ms in (-500, 0, 2_000):
        assert longest_speech_ms(list(judged(heard, answer, estimate_ms))) < 100


@pytest.mark.parametrize("quieter_db", [0, 6, 12])
def test_a_user_over_an_echo_is_speech_within_300_ms(answer: Sound, user: Sound, quieter_db: int) -> None:
    heard = heard_in_a_room(answer, active_db(user) - quieter_db, user, delay_ms=60)
    assert first_speech_ms(list(judged(heard, answer, 400))) <= 300


def test_without_an_echo_all_speech_is_the_users(answer: Sound, user: Sound) -> None:
    frames = list(judged(heard_in_a_room(answer, None, user, delay_ms=0), answer, 0))
    assert len(frames) > 8
    assert not any(is_echo for _, is_echo in frames)
