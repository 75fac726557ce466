"""Citations of an answer's passages: where in its text, and when in its sound. Derived from the log."""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Any

from pipeline.session_state.turn_state import SentenceState, TurnState
from schemas.apps.conversation_messages import CitationView
from schemas.settings.retrieval_settings import NumberedPassage, Support


def citations(state: TurnState) -> tuple[CitationView, ...]:
    """Every passage that the model was given, the cited ones with their places."""
    places = places_of(state.supports)
    passages = {passage.number: passage for passage in state.passages}
    spoken = [sentence for sentence in state.sentences if sentence.ms]
    return tuple(_view(passage, places.get(passage.number, ()), spoken) for passage in passages.values())


def places_of(supports: Iterable[Support]) -> Mapping[int, Sequence[Support]]:
    """The places of each passage, by its number."""
    found = defaultdict[int, list[Support]](list)
    for one in supports:
        found[one.number].append(one)
    return found


def _view(
    passage: NumberedPassage, places: Sequence[Support], spoken: Sequence[SentenceState]
) -> CitationView:
    heard = tuple(heard for place in places if (heard := _heard(spoken, place)) is not None)
    return CitationView(**passage.model_dump(), supports=tuple(places), heard=heard)


def _heard(spoken: Sequence[SentenceState], place: Support) -> CitationView.Heard | None:
    """The sound of the sentences that `place` touches; None where they have none (yet)."""
    first = bisect_right(spoken, place.start, key=attrgetter("end"))
    after = bisect_left(spoken, place.end, key=attrgetter("start"))
    if first >= after:
        return None
    last = spoken[after - 1]
    return CitationView.Heard(start_ms=spoken[first].at_ms, end_ms=last.at_ms + last.ms)


def annotations(state: TurnState) -> list[dict[str, Any]]:
    """The cited places as OpenAI's `url_citation`; the address opens the passage in its document."""
    passages = {passage.number: passage for passage in state.passages}
    return [
        {
            "type": "url_citation",
            "url_citation": {
                "start_index": place.start,
                "end_index": place.end,
                "title": passages[place.number].title,
                "url": passage_path(passages[place.number]),
            },
        }
        for place in state.supports
        if place.number in passages
    ]


def passage_path(passage: NumberedPassage) -> str:
    """Path at which the passage can be read, relative to this server."""
    document = f"/v1/collections/{passage.collection}/documents/{passage.document}"
    return f"{document}/text?start={passage.start}&end={passage.end}"
