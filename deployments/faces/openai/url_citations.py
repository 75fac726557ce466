"""Sources of an answer, as OpenAI's `url_citation`."""

from typing import Any

from pipeline.rag.citations import passage_path
from schemas.events.recorded import Recorded
from schemas.settings.retrieval_settings import NumberedPassage, Support


class Citations:
    """Takes the events that found passages, and the one that says which were used."""

    def __init__(self) -> None:
        self._passages: dict[int, NumberedPassage] = {}
        self._supports: list[Support] = []

    def apply(self, recorded: Recorded) -> None:
        if recorded.type == "passages.found":
            found = (NumberedPassage.model_validate(one, extra="ignore") for one in recorded.data["passages"])
            self._passages = {one.number: one for one in found}
        else:
            supports = recorded.data["supports"]
            self._supports = [Support.model_validate(one, extra="ignore") for one in supports]

    @property
    def annotations(self) -> list[dict[str, Any]]:
        return [
            {
                "type": "url_citation",
                "url_citation": {
                    "start_index": support.start,
                    "end_index": support.end,
                    "title": passage.title,
                    "url": passage_path(passage),
                },
            }
            for support in self._supports
            if (passage := self._passages.get(support.number)) is not None
        ]
