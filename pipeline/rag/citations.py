"""Citations of an answer's passages: where in its text, and when in its sound. Derived from the log."""

from typing import Any

from pipeline.session_state.turn_state import TurnState
from schemas.apps.conversation_messages import CitationView
from schemas.settings.retrieval_settings import NumberedPassage, Support


def citations(state: TurnState) -> tuple[CitationView, ...]:
    """Every passage that the model was given, the cited ones with their places."""
    return tuple(_view(state, passage) for passage in state.passages)


def _view(state: TurnState, passage: NumberedPassage) -> CitationView:
    places = tuple(one for one in state.supports if one.number == passage.number)
    heard = tuple(heard for place in places if (heard := _heard(state, place)) is not None)
    return CitationView(**passage.model_dump(), supports=places, heard=heard)


def _heard(state: TurnState, place: Support) -> CitationView.Heard | None:
    """The sound of the sentences that `place` touches; None where they have none (yet)."""
    spoken = [
        sentence
        for sentence in state.sentences
        if sentence.ms and sentence.start < place.end and place.start < sentence.end
    ]
    if not spoken:
        return None
    return CitationView.Heard(start_ms=spoken[0].at_ms, end_ms=spoken[-1].at_ms + spoken[-1].ms)


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
