"""Echo of our own voice through a loudspeaker and a room, with and without a user who speaks over it."""

import numpy as np
import pytest
import soxr

from loadtests.bench.turns.echo_room import EchoRoom, holds_ms
from loadtests.bench.turns.living_room import active_db, at_level
from pipeline.stt.echo import PER_MS, RATE, Sound
from rhapsode.testing.clips import needs_clips
from tests.support.clients.native_speaker import austen

pytestmark = [needs_clips, pytest.mark.weights]
USER_MS = 3_500
USER_DB = 50.0


def clip(number: str) -> Sound:
    return np.frombuffer(austen(number), "<i2").astype(np.float32)


def from_onset(sound: Sound) -> Sound:
    return sound[int(np.argmax(np.abs(sound) > 0.15 * np.abs(sound).max())) :]


@pytest.fixture
def answer() -> Sound:
    return clip("0870")[: 6 * RATE]


@pytest.fixture
def user() -> Sound:
    """Half a second of a user, from the first loud sample on."""
    return at_level(from_onset(clip("0890")[: 2 * RATE])[: RATE // 2], USER_DB)


@pytest.mark.parametrize("delay_ms", [0, 60, 480])
@pytest.mark.parametrize("quieter_db", [0, 6, 12])
@pytest.mark.parametrize("estimate_ms", [-500, 0, 2_000])
def test_an_echo_alone_holds_nothing(
    answer: Sound, user: Sound, quieter_db: int, delay_ms: int, estimate_ms: int
) -> None:
    room = EchoRoom.of(answer, user * 0, user_ms=USER_MS, echo_db=USER_DB - quieter_db, delay_ms=delay_ms)
    assert holds_ms(room.without_echo(estimate_ms)[0]) == []


@pytest.mark.parametrize("quieter_db", [-6, 0, 6, 12])
def test_a_user_over_an_echo_holds_the_answer_within_300_ms(
    answer: Sound, user: Sound, quieter_db: int
) -> None:
    room = EchoRoom.of(answer, user, user_ms=USER_MS, echo_db=USER_DB - quieter_db)
    [held_ms] = holds_ms(room.without_echo()[0])
    assert 0 < held_ms - USER_MS <= 300


def test_the_rest_is_the_user_without_the_echo(answer: Sound, user: Sound) -> None:
    room = EchoRoom.of(answer, user, user_ms=USER_MS, echo_db=USER_DB)
    _, left = room.without_echo()
    span = slice(USER_MS * PER_MS, USER_MS * PER_MS + len(user))
    remains = left[span] - (room.heard - room.echo)[span]
    assert active_db(room.echo[span]) - active_db(remains) > 12


def test_a_loudspeaker_whose_clock_is_wrong_by_a_20000th_holds_nothing(answer: Sound, user: Sound) -> None:
    late = soxr.resample(answer, RATE, RATE * 1.00005).astype(np.float32)[: len(answer)]
    played = np.pad(late, (0, len(answer) - len(late)))
    room = EchoRoom.of(played, user * 0, user_ms=USER_MS, echo_db=USER_DB)
    assert holds_ms(EchoRoom(room.heard, answer, room.echo).without_echo()[0]) == []


def test_without_an_echo_all_sound_is_as_it_was(answer: Sound, user: Sound) -> None:
    room = EchoRoom.of(answer, user, user_ms=USER_MS, echo_db=None)
    probabilities, left = room.without_echo()
    assert len(holds_ms(probabilities)) == 1
    assert (left == room.heard[: len(left)]).all()


def test_where_a_player_ran_dry_the_echo_is_found_again(answer: Sound, user: Sound) -> None:
    gap = np.zeros(700 * PER_MS, np.float32)
    played = np.concatenate([answer[: 2 * RATE], gap, answer[2 * RATE :]])
    late = EchoRoom.of(played, user * 0, user_ms=USER_MS, echo_db=USER_DB)
    _, left = EchoRoom(late.heard, answer, late.echo).without_echo(-300)
    last = slice(len(left) - RATE, len(left))
    assert active_db(late.heard[last]) - active_db(left[last]) > 10
