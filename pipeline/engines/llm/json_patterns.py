"""Patterns in JSON schemas: what they cost in llama.cpp, and lists of words as patterns. Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from pipeline.engines.llm.pattern_branching import LENGTH, Either, Times, Tree, branching

_FEW: Final = 32
"""So many words may begin as they like."""
_AMBIGUOUS: Final = 256
"""Places of a pattern in which several parts may be of any length."""
_DEEPEST: Final = 32
_ITEM: Final = re.compile(r"\\.|\[\^?(?:\\.|[^\]\\])+\]|[^\\\[\]{}]", re.DOTALL)
"""As llama.cpp reads it: a set ends with its first bracket, and a brace repeats whatever is in it."""
_TIMES: Final = re.compile(r"\{(\d{1,9})(?:(,)(\d{1,9})?)?\}", re.ASCII)
_SPECIAL: Final = re.compile(r"([\^$.\[\]()|{}*+?])")


@dataclass(slots=True)
class _Part:
    """Of a pattern: how many places it has when every repetition is written out."""

    places: int = 0
    nullable: bool = True
    """It may be empty."""
    open: int = 0
    """Repetitions in it whose length is not given."""
    choices: int = 1
    """The most alternatives at one place."""
    tree: Tree = ()

    def then(self, other: "_Part") -> "_Part":
        both, choices = self.open + other.open, max(self.choices, other.choices)
        tree = (*self.tree, *other.tree)
        return _Part(self.places + other.places, self.nullable and other.nullable, both, choices, tree)

    def either(self, other: "_Part") -> "_Part":
        """Raises ValueError."""
        if self.nullable and other.nullable:
            raise ValueError("several of its alternatives may be empty")
        both, choices = self.open + other.open, self.choices + other.choices
        known = self.tree[0] if len(self.tree) == 1 else None
        before = known.branches if isinstance(known, Either) else (self.tree,)
        nullable, tree = self.nullable or other.nullable, (Either((*before, other.tree)),)
        return _Part(self.places + other.places, nullable, both, choices, tree)

    def times(self, least: int, most: int | None) -> "_Part":
        """Raises ValueError."""
        if self.nullable and self.places:
            raise ValueError("it repeats what may be empty")
        copies = max(least, 1 if most is None else most)
        free = 0 if least == most else 1
        open_ = self.open * copies + free
        tree = (Times(self.tree, least, most),)
        return _Part(self.places * copies, self.nullable or least == 0, open_, self.choices, tree)


def ways_through(pattern: Any, *, most: int) -> tuple[int, int]:
    """About in how many ways at once a text can be read by the pattern, and what it weighs.

    That is the number of its places, and of the pairs of them that can follow each other.

    `most`: places that a pattern may have, its repetitions written out. Raises ValueError with the reason.
    """
    if not isinstance(pattern, str):
        raise ValueError("it is no text")  # noqa: TRY004 - what is wrong is a value of the request
    part, end = _sequence(pattern, 0, 0, most)
    if end < len(pattern):
        raise ValueError(f"the bracket at {end} closes nothing")
    if part.open > 1 and part.places > _AMBIGUOUS:
        told = f"{part.places} places, and several parts of any length; at most {_AMBIGUOUS} are taken then"
        raise ValueError(f"it has {told}")
    ways = max(part.choices, part.places if part.open > 1 else 0)
    if ways > _AMBIGUOUS:
        return ways, part.places
    each, pairs = branching(part.tree)
    if each > _AMBIGUOUS:
        raise ValueError(
            f"a text of {LENGTH} signs can be read in more than {_AMBIGUOUS} ways: let parts that repeat and "
            "follow each other differ in their signs"
        )
    return ways, part.places + pairs


def _sequence(pattern: str, at: int, depth: int, most: int) -> tuple[_Part, int]:
    """Alternatives up to the end of their group; where they end. Raises ValueError."""
    if depth > _DEEPEST:
        raise ValueError(f"its groups are deeper than {_DEEPEST}")
    done: _Part | None = None
    whole = _Part()
    while at < len(pattern) and pattern[at] != ")":
        if pattern[at] == "|":
            done, whole, at = whole if done is None else done.either(whole), _Part(), at + 1
            continue
        item, at = _item(pattern, at, depth, most)
        item, at = _repeated(item, pattern, at)
        whole = whole.then(item)
        if whole.places + (0 if done is None else done.places) > most:
            raise ValueError(f"its repetitions written out are more than {most} signs")
    return (whole if done is None else done.either(whole)), at


def _item(pattern: str, at: int, depth: int, most: int) -> tuple[_Part, int]:
    if pattern[at] == "(":
        if pattern.startswith(("(?=", "(?!", "(?<"), at):
            raise ValueError("it looks ahead or behind")
        inner, end = _sequence(pattern, at + (3 if pattern.startswith("(?:", at) else 1), depth + 1, most)
        if end >= len(pattern):
            raise ValueError(f"the bracket at {at} is not closed")
        return inner, end + 1
    found = _ITEM.match(pattern, at)
    if found is None:
        raise ValueError(f"it cannot be read at {at}: a bracket or brace that is meant as it is needs a \\")
    if pattern[at] in "^$":
        return _Part(), found.end()
    if pattern[at] in "*+?":
        raise ValueError(f"there is nothing to repeat at {at}")
    return _Part(places=1, nullable=False, tree=(found[0],)), found.end()


def _repeated(item: _Part, pattern: str, at: int) -> tuple[_Part, int]:
    while at < len(pattern):
        if pattern[at] in "*+?":
            item = item.times(1 if pattern[at] == "+" else 0, 1 if pattern[at] == "?" else None)
            at += 1
        elif found := _TIMES.match(pattern, at):
            least = int(found[1])
            upper = None if found[2] and found[3] is None else int(found[3] or found[1])
            if upper is not None and upper < least:
                raise ValueError(f"{found[0]} ends before it begins")
            item, at = item.times(least, upper), found.end()
        else:
            break
    return item, at


def enumerated(words: Any) -> str | None:
    """A pattern of exactly these words, in which they share their beginnings.

    None: they are few, or too many go on with different signs at one place, or not all of them are words
    without quotes, backslashes and control characters.
    """
    if not isinstance(words, list | tuple) or len(words) <= _FEW:
        return None
    if not all(isinstance(one, str) and one.isprintable() and not set('"\\') & set(one) for one in words):
        return None
    try:
        return f"^{_tree(sorted(set(words)))}$"
    except _TooWide:
        return None


class _TooWide(Exception):
    """Words go on with too many different signs at one place."""


def _tree(words: Sequence[str]) -> str:
    """Of sorted, distinct words."""
    first, last = words[0], words[-1]
    start = first[
        : next((at for at, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))
    ]
    rest = [word[len(start) :] for word in words]
    ends = not rest[0]
    branches: list[list[str]] = []
    for word in rest[1:] if ends else rest:
        if branches and branches[-1][0][0] == word[0]:
            branches[-1].append(word)
        else:
            branches.append([word])
    if len(branches) > _AMBIGUOUS:
        raise _TooWide
    written = _SPECIAL.sub(r"\\\1", start)
    if not branches:
        return written
    return f"{written}({'|'.join(map(_tree, branches))}){'?' if ends else ''}"
