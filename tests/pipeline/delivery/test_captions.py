"""Captions from folded turns, also from such as no engine of ours would record."""

from pipeline.delivery.captions import Cue, cues
from pipeline.session_state.turn_state import SentenceState, SpokenWords, TurnState
from schemas.ids import TurnId
from schemas.settings import SessionSettings

ANSWER = "Built in 1906, they say."


def turn_of(words: list[tuple[int, int, int, int]]) -> TurnState:
    told = [dict(zip(("start", "end", "start_ms", "end_ms"), word, strict=True)) for word in words]
    sentence = SentenceState(0, 0, len(ANSWER), ANSWER, at_ms=0, ms=1_000, words=SpokenWords.of(told))
    turn = TurnState(TurnId(2), "prompt", "When?", SessionSettings(), 0)
    turn.parts, turn.sentences, turn.audio_ms = [ANSWER], [sentence], 1_000
    return turn


def test_words_that_are_heard_at_one_place_of_the_text_are_one_cue() -> None:
    year = [(9, 13, 200, 300), (9, 13, 300, 400), (9, 13, 400, 600)]
    found = list(cues([turn_of([(0, 5, 0, 100), (6, 8, 100, 200), *year, (15, 19, 700, 900)])], words=True))
    assert found == [
        Cue(0, 100, "Built"),
        Cue(100, 200, "in"),
        Cue(200, 600, "1906"),
        Cue(700, 900, "they"),
    ]


def test_cues_of_words_show_no_more_than_the_text_wherever_the_words_say_that_they_are() -> None:
    everywhere = [(0, len(ANSWER) - number % 2, number, number + 1) for number in range(900)]
    found = list(cues([turn_of([*everywhere, (3, 10**9, 901, 902)])], words=True))
    assert sum(len(cue.text) for cue in found) <= len(ANSWER)
