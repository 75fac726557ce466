"""Text as the likeliest sequence of known pieces (Kudo, "Subword Regularization", ACL 2018). Pure.

The library that is here for tokenizers does the same, but needs 250 MB for a quarter of a million pieces. A
dictionary needs 40, and the network then takes twenty times as long as this.
"""

from collections.abc import Iterable
from typing import Final

_UNKNOWN_COSTS: Final = 10.0
"""So much less likely than the least likely piece is an unknown character (SentencePiece's number)."""


class Unigram:
    """Finds pieces by their ids; `pieces` are texts with their logarithmic probabilities, by id."""

    def __init__(self, pieces: Iterable[tuple[str, float]], unknown: int) -> None:
        self._known: dict[str, tuple[int, float]] = {}
        for number, (piece, score) in enumerate(pieces):
            if number != unknown:
                self._known.setdefault(piece, (number, score))
        self._unknown = unknown
        self._unknown_score = min(score for _, score in self._known.values()) - _UNKNOWN_COSTS
        self._longest = max(map(len, self._known))

    def ids(self, text: str) -> list[int]:
        """The pieces of the whole text, by Viterbi's algorithm; neighbouring unknown characters are one."""
        best = [0.0] + [float("-inf")] * len(text)
        last: list[tuple[int, int]] = [(0, 0)] * (len(text) + 1)
        for start in range(len(text)):
            if (score := best[start] + self._unknown_score) > best[start + 1]:
                best[start + 1], last[start + 1] = score, (self._unknown, start)
            for end in range(start + 1, min(start + self._longest, len(text)) + 1):
                found = self._known.get(text[start:end])
                if found is not None and (score := best[start] + found[1]) > best[end]:
                    best[end], last[end] = score, (found[0], start)
        found_back: list[int] = []
        at = len(text)
        while at > 0:
            number, at = last[at]
            if number != self._unknown or not found_back or found_back[-1] != number:
                found_back.append(number)
        return found_back[::-1]
