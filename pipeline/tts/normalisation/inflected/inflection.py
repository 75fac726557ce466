"""Declension of one language, as its reader needs it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from pipeline.tts.normalisation.recognisers import Recogniser


@dataclass(frozen=True, slots=True)
class Inflection:
    """Of one language. None: CLDR's form is good enough."""

    recognisers: Callable[[Sequence[str]], Iterator[Recogniser]]
    """Of what only this language writes, by the names of the months as they stand after a day."""
    date: Callable[[int | None, str, int], str] | None = None
    """Day, name of the month and year in words."""
    clock: Callable[[int, int, str], str | None] | None = None
    """Hour and minute in words, by the text before them; None: as after no preposition."""
