"""A sound far below the voice that asks is distant; a word over it is not."""

import numpy as np
import pytest

from pipeline.stt.speaker_level import SpeakerLevel, UtteranceLevel

NEAR_DB, WITHIN_DB = 70.0, 6.0


def frame(db: float) -> bytes:
    """32 ms of PCM16 of this mean square in dB."""
    tone = np.sin(np.arange(512) * 2 * np.pi / 16) * np.sqrt(2) * 10 ** (db / 20)
    return tone.astype("<i2").tobytes()


def spoken(*frames_db: float) -> UtteranceLevel:
    level = UtteranceLevel()
    for db in frames_db:
        level.push(frame(db))
    return level


@pytest.fixture
def usual() -> SpeakerLevel:
    speaker = SpeakerLevel()
    speaker.learn(spoken(*[NEAR_DB] * 60))
    return speaker


@pytest.mark.parametrize(("below_db", "distant"), [(0, False), (3, False), (5, False), (7, True), (15, True)])
def test_an_utterance_is_distant_that_stays_far_below_the_usual_level(
    usual: SpeakerLevel, below_db: float, distant: bool
) -> None:
    for frames in (4, 16, 100):
        assert usual.is_distant(spoken(*[NEAR_DB - below_db] * frames), WITHIN_DB) is distant


def test_a_loud_word_over_distant_speech_is_near_within_300_ms(usual: SpeakerLevel) -> None:
    television = [NEAR_DB - 12] * 200
    level = spoken(*television)
    assert usual.is_distant(level, WITHIN_DB)
    for _ in range(6):
        level.push(frame(NEAR_DB))
    assert not usual.is_distant(level, WITHIN_DB)


def test_one_loud_frame_of_distant_speech_leaves_it_distant(usual: SpeakerLevel) -> None:
    assert usual.is_distant(spoken(*[NEAR_DB - 14] * 40, NEAR_DB, *[NEAR_DB - 14] * 40), WITHIN_DB)


def test_nothing_is_distant_before_something_was_asked_or_where_it_is_not_wished(usual: SpeakerLevel) -> None:
    assert not SpeakerLevel().is_distant(spoken(20.0), WITHIN_DB)
    assert not usual.is_distant(spoken(20.0), None)


def test_an_utterance_without_a_voiced_frame_teaches_nothing(usual: SpeakerLevel) -> None:
    usual.learn(UtteranceLevel())
    assert not usual.is_distant(spoken(*[NEAR_DB - 3] * 20), WITHIN_DB)
    assert usual.is_distant(spoken(*[NEAR_DB - 9] * 20), WITHIN_DB)


def test_a_user_who_moves_away_is_near_again_after_some_questions(usual: SpeakerLevel) -> None:
    away = [NEAR_DB - 12] * 40
    questions = 0
    while usual.is_distant(spoken(*away), WITHIN_DB):
        usual.learn(spoken(*away))
        questions += 1
    assert 1 <= questions <= 3
