"""Citations of an answer: each passage once, with its places in the text and in the sound."""

from collections.abc import Iterable

import orjson

from pipeline.rag.citations import citations
from pipeline.session_state.turn_state import SentenceState, TurnState
from schemas.ids import TurnId
from schemas.settings import SessionSettings
from schemas.settings.retrieval_settings import NumberedPassage, Support


def stored(found: Iterable[NumberedPassage | Support]) -> bytes:
    return orjson.dumps([one.model_dump(mode="json") for one in found])


def passage(number: int) -> NumberedPassage:
    return NumberedPassage.model_validate(
        {
            "collection": "01a0c000-0000-7000-8000-000000000001",
            "document": "d1",
            "title": "The lighthouse",
            "media_type": "text/plain",
            "start": 0,
            "end": 3,
            "text": "lit",
            "score": 1.0,
            "strategy": "keyword",
            "number": number,
        }
    )


def turn_of(*numbers: int) -> TurnState:
    """Five sentences of ten characters and 100 ms; the third has no sound."""
    turn = TurnState(TurnId(2), "prompt", "When?", SessionSettings(), 0)
    for number in range(5):
        sound = 0 if number == 2 else 100
        turn.sentences.append(
            SentenceState(number, 10 * number, 10 * number + 10, "", at_ms=100 * number, ms=sound)
        )
    turn.passages_json = stored(map(passage, numbers))
    return turn


def test_a_place_is_heard_where_the_sentences_sound_that_it_touches() -> None:
    turn = turn_of(1)
    places = [(0, 10), (9, 11), (12, 35), (20, 30), (49, 90), (50, 60)]
    turn.supports_json = stored(Support(number=1, start=start, end=end) for start, end in places)
    [found] = citations(turn)
    assert [(one.start_ms, one.end_ms) for one in found.heard] == [(0, 100), (0, 200), (100, 400), (400, 500)]
    assert len(found.supports) == 6


def test_a_passage_that_is_there_many_times_is_told_once_with_its_places() -> None:
    turn = turn_of(*[1] * 50, 2)
    turn.supports_json = stored(Support(number=one, start=0, end=10) for one in [1] * 50 + [3])
    assert [(one.number, len(one.supports)) for one in citations(turn)] == [(1, 50), (2, 0)]
