"""Citations of an answer's passages: where in its text, and when in its sound. Derived from the log."""

import re
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import Any, Final

from pipeline.rag.keywords import asked
from pipeline.session_state.turn_state import SentenceState, TurnState
from pipeline.tts.sentence_buffer import Fragment, SentenceBuffer
from schemas.apps.conversation_messages import CitationView
from schemas.settings import SentenceSettings
from schemas.settings.retrieval_settings import NumberedPassage, Support

MARKER: Final = re.compile(r"\s?[\[【](\d{1,3}(?:\s?[,;–-]\s?\d{1,3}){0,9})[\]】]")
"""One or several numbers, as models write them."""
_NUMBER: Final = re.compile(r"(\d+)(?:\s?[–-]\s?(\d+))?")
_DIGITS: Final = re.compile(r"\d+")
_FINE: Final = SentenceSettings(min_length=1, first_length=None, max_length=2_000)
_SHARED: Final = 0.6
"""Of a sentence's telling words, those that its passage must have."""
_TELLING: Final = 3
"""A sentence with fewer different words tells nothing that could be traced."""


def supports(text: str, passages: Sequence[NumberedPassage], language: str) -> tuple[Support, ...]:
    """In the order of the text. An answer without any marker is traced by its words."""
    if not passages or not text:
        return ()
    sentences = _sentences(text, language)
    known = {passage.number for passage in passages}
    marked = [one for sentence in sentences for one in _marked(sentence, known)]
    return tuple(marked or _traced(sentences, passages))


def _sentences(text: str, language: str) -> list[Fragment]:
    """Sentences; a marker that stands behind a full stop belongs to what it ends."""
    buffer = SentenceBuffer(_FINE, language)
    found: list[Fragment] = []
    for fragment in (*buffer.push(text), *buffer.flush()):
        lead = re.match(r"(?:\s*[\[【]\d{1,3}(?:\s?[,;–-]\s?\d{1,3}){0,9}[\]】])+[.!?]?\s*", fragment.text)
        if lead is None or not found:
            found.append(fragment)
            continue
        before, at = found[-1], fragment.start + lead.end()
        found[-1] = Fragment(before.start, at, text[before.start : at])
        if at < fragment.end:
            found.append(Fragment(at, fragment.end, text[at : fragment.end]))
    return found


def _marked(sentence: Fragment, known: set[int]) -> Iterator[Support]:
    """From the marker before, or the sentence's beginning, up to each marker; neighbours share their text."""
    begin, claim = 0, None
    for marker in MARKER.finditer(sentence.text):
        said = sentence.text[begin : marker.start()]
        if said.strip(" .!?,;\n"):
            start = begin + len(said) - len(said.lstrip(" .!?,;\n"))
            claim = (sentence.start + start, sentence.start + marker.start())
        begin = marker.end()
        for number in _numbers(marker[1]) if claim else ():
            if claim and number in known:
                yield Support(number=number, start=claim[0], end=claim[1])


def _numbers(listed: str) -> Iterator[int]:
    for match in _NUMBER.finditer(listed):
        first = int(match[1])
        yield from range(first, min(int(match[2] or first), first + 9) + 1)


def _traced(sentences: Sequence[Fragment], passages: Sequence[NumberedPassage]) -> Iterator[Support]:
    """The passage that has all numbers of a sentence, and most of its words, where it is most of them."""
    words = {passage.number: frozenset(asked(passage.text)) for passage in passages}
    digits = {passage.number: frozenset(_DIGITS.findall(passage.text)) for passage in passages}
    for sentence in sentences:
        own, counted = frozenset(asked(sentence.text)), frozenset(_DIGITS.findall(sentence.text))
        if len(own) < _TELLING:
            continue
        share, number = max(
            (len(own & known) / len(own) if counted <= digits[number] else 0.0, -number)
            for number, known in words.items()
        )
        if share >= _SHARED:
            text = sentence.text
            start = sentence.start + len(text) - len(text.lstrip())
            end = sentence.start + len(text.rstrip())
            yield Support(number=-number, start=start, end=end, by="words")


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
