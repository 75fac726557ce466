"""In how many ways a pattern goes on from each sign: what a token of llama.cpp's vocabulary costs. Pure.

llama.cpp tries a token sign by sign. Where two repetitions can take the same sign it follows both, and both
again at the next sign: a token that fails at its end has cost as many tries as there are ways through it.
"""

import re
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain
from typing import Final

LENGTH: Final = 16
"""Signs that ways are counted through. Longer tokens are runs of spaces and rules."""
_COPIES: Final = 2 * LENGTH
"""Repetitions beyond this number differ in nothing that so many signs can show."""
_EDGES: Final = 40_000
"""Pairs of signs that may follow each other; more are counted as too many ways."""

Spans = tuple[tuple[int, int], ...]
"""Code points from the first up to and with the last of each pair."""
_EVERY: Final[Spans] = ((0, sys.maxunicode),)
_KINDS: Final[Mapping[str, Spans]] = {
    "d": ((48, 57),),
    "w": ((48, 57), (65, 90), (95, 95), (97, 122)),
    "s": ((9, 13), (32, 32)),
}
_IN_SET: Final = re.compile(r"(\\.|.)(?:-(\\.|[^\\]))?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Either:
    """Alternatives of a pattern."""

    branches: tuple["Tree", ...]


@dataclass(frozen=True, slots=True)
class Times:
    """A repeated part of a pattern; `most` None: without end."""

    part: "Tree"
    least: int
    most: int | None


Tree = tuple[str | Either | Times, ...]
"""Parts of a pattern one after the other; text: one sign, set, or escape as it is written."""


def branching(tree: Tree) -> tuple[int, int]:
    """The most ways in which a text of `LENGTH` signs can be read from any place of the pattern on.

    And how many pairs of places had to be looked at for that.
    """
    graph = _Graph()
    start = graph.place("")
    try:
        graph.link({start: 1}, graph.of(tree).first)
        return graph.ways(), graph.edges
    except _Entangled:
        return sys.maxsize, graph.edges


class _Entangled(Exception):
    """A pattern has more than `_EDGES`."""


@dataclass(slots=True)
class _Ends:
    """Of a part: how it can begin, end and be empty; each in how many ways."""

    first: dict[int, int]
    last: dict[int, int]
    empty: int


@dataclass(slots=True)
class _Graph:
    """The places of a pattern and which follow which, every path to one counted by itself."""

    signs: list[str] = field(default_factory=list)
    follow: list[dict[int, int]] = field(default_factory=list)
    edges: int = 0
    spans: dict[str, "Spans"] = field(default_factory=dict)

    def place(self, sign: str) -> int:
        self.signs.append(sign)
        self.follow.append({})
        return len(self.signs) - 1

    def link(self, last: Mapping[int, int], first: Mapping[int, int]) -> None:
        self.edges += len(last) * len(first)
        if self.edges > _EDGES:
            raise _Entangled
        for before, times in last.items():
            onward = self.follow[before]
            for after, ways in first.items():
                onward[after] = onward.get(after, 0) + times * ways

    def of(self, tree: Tree) -> _Ends:
        whole = _Ends({}, {}, 1)
        for part in tree:
            whole = self._then(whole, self._part(part))
        return whole

    def _part(self, part: str | Either | Times) -> _Ends:
        if isinstance(part, str):
            at = self.place(part)
            return _Ends({at: 1}, {at: 1}, 0)
        if isinstance(part, Times):
            return self._repeated(part)
        each = [self.of(branch) for branch in part.branches]
        return _Ends(
            {at: ways for one in each for at, ways in one.first.items()},
            {at: ways for one in each for at, ways in one.last.items()},
            sum(one.empty for one in each),
        )

    def _then(self, before: _Ends, after: _Ends) -> _Ends:
        self.link(before.last, after.first)
        return _Ends(
            _sum(before.first, after.first, before.empty),
            _sum(after.last, before.last, after.empty),
            before.empty * after.empty,
        )

    def _repeated(self, part: Times) -> _Ends:
        """As llama.cpp writes it: each time beyond the least within the one before it."""
        least, endless = min(part.least, _COPIES), part.most is None or part.most > _COPIES
        count = _COPIES if part.most is not None and endless else max(least, part.most or 1)
        copies = [self.of(part.part) for _ in range(count)]
        if endless:
            self.link(copies[-1].last, copies[-1].first)
        whole = _Ends({}, {}, 1)
        for copy in reversed(copies[least:]):
            whole = self._then(copy, whole)
            whole.empty += 1
        for copy in reversed(copies[:least]):
            whole = self._then(copy, whole)
        return whole

    def ways(self) -> int:
        groups = [list(self._groups(onward)) for onward in self.follow]
        ways = [1] * len(self.signs)
        for _ in range(LENGTH):
            before, ways = (
                ways,
                [
                    max((sum(onward[to] * ways[to] for to in group) for group in found), default=1)
                    for onward, found in zip(self.follow, groups, strict=True)
                ],
            )
            if ways == before or max(ways) > _EDGES:
                break
        return max(ways)

    def _groups(self, onward: Mapping[int, int]) -> Iterator[Sequence[int]]:
        """For each sign that comes next: all places that share one with it. Raises _Entangled."""
        written: dict[str, list[int]] = defaultdict(list)
        for at in onward:
            written[self.signs[at]].append(at)
        sets = [sign for sign in written if len(sign) > 1 or sign == "."]
        for sign, places in written.items():
            others = written if sign in sets else sets
            self.edges += len(others)
            if self.edges > _EDGES:
                raise _Entangled
            meeting = [other for other in others if other != sign and self._meet(sign, other)]
            yield [*places, *chain.from_iterable(written[other] for other in meeting)]

    def _meet(self, one: str, other: str) -> bool:
        """Whether two signs or sets have a code point in common."""
        for sign in (one, other):
            if sign not in self.spans:
                self.spans[sign] = _spans(sign)
        left, right = iter(self.spans[one]), iter(self.spans[other])
        (a, b), (c, d) = next(left), next(right)
        with suppress(StopIteration):
            while b < c or d < a:
                if b < c:
                    a, b = next(left)
                else:
                    c, d = next(right)
            return True
        return False


def _sum(one: Mapping[int, int], other: Mapping[int, int], times: int) -> dict[int, int]:
    found = dict(one)
    for at, ways in other.items() if times else ():
        found[at] = found.get(at, 0) + ways * times
    return found


def _spans(sign: str) -> Spans:
    """The code points that are taken, in order; of what is not understood, all."""
    if sign == ".":
        return _EVERY
    if len(sign) == 1:
        return ((ord(sign), ord(sign)),)
    if sign.startswith("\\"):
        return _KINDS.get(sign[1], _EVERY if sign[1].isalnum() else ((ord(sign[1]), ord(sign[1])),))
    inner = sign[1:-1]
    found = sorted(_set_spans(inner.removeprefix("^")))
    return tuple(_others(found) if inner.startswith("^") else found) or _EVERY


def _set_spans(inner: str) -> Iterator[tuple[int, int]]:
    for low, high in _IN_SET.findall(inner):
        if len(low) > 1 and low[1].isalnum():
            yield from _KINDS.get(low[1], _EVERY)
        elif high and high[-1] >= low[-1]:
            yield ord(low[-1]), ord(high[-1])
        else:
            yield ord(low[-1]), ord(low[-1])


def _others(spans: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """All code points but these."""
    at = 0
    for low, high in spans:
        if low > at:
            yield at, low - 1
        at = max(at, high + 1)
    if at <= sys.maxunicode:
        yield at, sys.maxunicode
