"""Retrieval of a turn: passages are looked up before the model is asked, and numbered in its prompt."""

from collections.abc import Sequence
from typing import Final, Protocol

import anyio

from pipeline.core.clock import Clock
from pipeline.observability import span_names as names
from pipeline.observability.tracer import fail, shows_content, span
from schemas.errors import RhapsodeError
from schemas.events.answer_events import PassagesFailed, PassagesFound
from schemas.languages import primary
from schemas.settings import SessionSettings
from schemas.settings.retrieval_settings import CollectionId, NumberedPassage, Passage, SearchToolConfig

_PATIENCE_S: Final = 30.0
"""As long as a library at rest takes to start on a busy machine; searches take milliseconds. With a larger
value a question waits longer for a library that hangs, before it is answered without it."""
_SHARE: Final = 0.5
"""Of what the model can be told, for the passages at most."""
_FRAME: Final = 80
"""Characters around each passage."""
_TOLD: Final = {
    "en": "Use the passages below where they help to answer. Put the number of a passage in square brackets, "
    "as [1], behind each sentence that rests on it. If they do not tell, say so.",
    "de": "Nutze die folgenden Textstellen, soweit sie zur Antwort beitragen. Setze hinter jeden Satz, der "
    "auf einer davon beruht, ihre Nummer in eckigen Klammern, etwa [1]. Sagen sie nichts dazu, so sage es.",
}


class Retriever(Protocol):
    """Looks passages up, here or elsewhere. Raises a RhapsodeError when it cannot."""

    async def find(
        self, question: str, collections: Sequence[CollectionId], config: SearchToolConfig
    ) -> list[Passage]: ...


async def retrieve(
    finder: Retriever | None, question: str, settings: SessionSettings, clock: Clock, *, room: int
) -> PassagesFound | PassagesFailed:
    """The passages for a question, as many as fit into `room` characters beside everything else; never raises
    for what the finder lacks."""
    with span(
        names.RETRIEVE,
        {
            names.OPERATION: names.OP_RETRIEVE,
            names.COLLECTIONS: len(settings.collections),
            names.STRATEGY: settings.search.strategy,
        },
    ) as made:
        found = await _retrieve(finder, question, settings, clock, room=room)
        if isinstance(found, PassagesFound):
            made.set_attribute(names.PASSAGES, len(found.passages))
        else:
            fail(made, found.code)
        if shows_content():
            made.set_attribute(names.QUERY_TEXT, question)
        return found


async def _retrieve(
    finder: Retriever | None, question: str, settings: SessionSettings, clock: Clock, *, room: int
) -> PassagesFound | PassagesFailed:
    asked = {
        "question": question,
        "collections": settings.collections,
        "strategy": settings.search.strategy,
    }
    began = clock.monotonic()
    try:
        if finder is None:
            message = "nothing can be looked up here"
            return PassagesFailed(**asked, code="retrieval.unavailable", message=message)
        with anyio.fail_after(_PATIENCE_S):
            names = [CollectionId(name) for name in settings.collections]
            found = await finder.find(question, names, settings.search)
    except RhapsodeError as error:
        return PassagesFailed(**asked, code=error.code, message=str(error))
    except TimeoutError:
        message = f"nothing came of it within {_PATIENCE_S:g} s"
        return PassagesFailed(**asked, code="retrieval.timeout", message=message)
    numbered = [
        NumberedPassage(number=number, **passage.model_dump())
        for number, passage in enumerate(_fitting(found, int(room * _SHARE)), 1)
    ]
    ms = round((clock.monotonic() - began) * 1_000, 1)
    return PassagesFound(**asked, passages=tuple(numbered), ms=ms)


def _fitting(passages: Sequence[Passage], room: int) -> list[Passage]:
    """The best ones that fit; the best of all in any case, for it is never longer than a window."""
    kept: list[Passage] = []
    for passage in passages:
        room -= len(passage.text) + len(passage.title) + sum(map(len, passage.headings)) + _FRAME
        if kept and room < 0:
            break
        kept.append(passage)
    return kept


def passages_message(passages: Sequence[NumberedPassage], language: str) -> str:
    """Prompt text of the passages."""
    told = _TOLD.get(primary(language), _TOLD["en"])
    return "\n\n".join((told, *(f"[{one.number}] {_place(one)}\n{one.text}" for one in passages)))


def _place(passage: NumberedPassage) -> str:
    page = () if passage.page is None else (f"p. {passage.page}",)
    return ", ".join((passage.title, *page, *passage.headings[-1:]))
