"""Where the words of a sentence are, in as little memory as they need: gateways keep many sessions folded."""

from array import array
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Self


class SpokenWord(NamedTuple):
    """`start` and `end` in the answer's text, `start_ms` and `end_ms` in the turn's audio."""

    start: int
    end: int
    start_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class SpokenWords:
    """32 bytes for each word, where a dictionary of its four numbers takes 310 (tracemalloc)."""

    _numbers: "array[int]" = field(default_factory=lambda: array("q"))

    @classmethod
    def of(cls, words: Iterable[Mapping[str, int]]) -> Self:
        """From an event."""
        return cls(array("q", [word[name] for word in words for name in SpokenWord._fields]))

    def __bool__(self) -> bool:
        return bool(self._numbers)

    def __iter__(self) -> Iterator[SpokenWord]:
        numbers = iter(self._numbers)
        return map(SpokenWord._make, zip(numbers, numbers, numbers, numbers, strict=True))
