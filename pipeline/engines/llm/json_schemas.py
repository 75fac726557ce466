"""Bounds and rewrites the JSON schemas that llama.cpp is given. Pure.

llama.cpp turns a schema into a grammar and follows every way through it at once, between two tokens, in the
one loop that all its answers share. So what a schema can cost is bounded before it gets there: how deep it
is, how often something repeats, and how many alternatives begin alike (docs/adr/0173).
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final

from pipeline.engines.llm.pattern_branching import LENGTH, Either, Times, Tree, branching
from schemas.errors import SchemaInvalid

_FEW: Final = 32
"""So many words may begin as they like."""
_AMBIGUOUS: Final = 256
"""Places of a pattern in which several parts may be of any length."""
_DEEPEST: Final = 32
_ITEM: Final = re.compile(r"\\.|\[\^?(?:\\.|[^\]\\])+\]|[^\\\[\]{}]", re.DOTALL)
"""As llama.cpp reads it: a set ends with its first bracket, and a brace repeats whatever is in it."""
_ESCAPES: Final = "dswDSWnrt"
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
        if self.nullable:
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
        reason = f"{part.places} places, and several parts of any length; at most {_AMBIGUOUS} are taken then"
        raise ValueError(f"it has {reason}")
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
    if found[0][0] == "\\" and found[0][1].isalnum() and found[0][1] not in _ESCAPES:
        raise ValueError(f"it has the escape {found[0]!r}; of letters and digits {_ESCAPES} are taken")
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


DEEPEST: Final = 64
"""Schemas within schemas."""
ALTERNATIVES: Final = 256
"""Ways to go on that begin alike. Each is tried on the model's whole vocabulary: 1,000 take seconds for a
token."""
REPEATED: Final = 2_000
"""Of one `minItems`, `maxItems`, `minLength` or `maxLength`; llama.cpp itself takes no more."""
REPEATED_IN_ALL: Final = 50_000
"""Their sum: each repetition is an element of the grammar."""
OPTIONAL_SQUARED: Final = 100_000
"""The squares of the numbers of optional properties of each object, summed: each may follow any other."""
STEPS: Final = 5_000
"""Of the search through references, which can be entangled."""

_ROOT: Final = "#/$defs/root"
_REPETITIONS: Final = ("minItems", "maxItems", "minLength", "maxLength")
_LIMITS: Final = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
_LARGEST: Final = (1 << 63) - 1
_MAPS: Final = frozenset({"properties", "$defs", "definitions", "patternProperties", "dependentSchemas"})
_LISTS: Final = frozenset({"anyOf", "oneOf", "allOf", "prefixItems"})
_SINGLE: Final = frozenset({"items", "additionalProperties", "not", "if", "then", "else", "contains"})
_BEGINNINGS: Final[Mapping[str, str]] = {
    **{"object": "{", "array": "[", "string": '"', "number": "0", "integer": "0"},
    **{"boolean": "t", "null": "n"},
}
_ANYTHING: Final = frozenset(_BEGINNINGS.values())


def taken(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema in the form that llama.cpp understands: `true` is `{}`, words are a pattern that they share
    their beginnings in, and a reference to the root has a place to lead to.

    Raises SchemaInvalid, which says where in the schema, and what would be taken.
    """
    try:
        if _refers_to_root(schema):
            schema = {"$defs": {"root": beneath(schema, _ROOT)}, "$ref": _ROOT}
        form = _Form(schema)
        whole: dict[str, Any] = form.of(schema, "#", 0)
        form.check_references()
        _Ways(schema).of(schema, "#", ())
    except RecursionError as error:
        raise _invalid("#", f"is deeper than {DEEPEST} schemas within each other") from error
    return whole


def beneath(schema: Any, place: str) -> Any:
    """The same schema with its references as they must be when it stands at `place` of another one."""
    if not isinstance(schema, Mapping):
        return schema
    moved = _with_parts(schema, lambda part, _: beneath(part, place))
    if isinstance(ref := schema.get("$ref"), str) and ref.startswith("#"):
        moved["$ref"] = place + ref.removeprefix("#")
    return moved


def _refers_to_root(schema: Any) -> bool:
    if not isinstance(schema, Mapping):
        return False
    return schema.get("$ref") == "#" or any(_refers_to_root(part) for part, _ in _parts(schema))


def _parts(schema: Mapping[str, Any]) -> Iterable[tuple[Any, str]]:
    """The schemas directly in this one, each with its place."""
    found: list[tuple[Any, str]] = []

    def note(part: Any, place: str) -> Any:
        found.append((part, place))
        return part

    _with_parts(schema, note)
    return found


def _with_parts(schema: Mapping[str, Any], change: Callable[[Any, str], Any]) -> dict[str, Any]:
    """A copy in which each schema directly within is as `change` makes it, told its place."""
    copy: dict[str, Any] = dict(schema)
    for name, value in schema.items():
        if name in _MAPS and isinstance(value, Mapping):
            copy[name] = {key: change(part, f"/{name}/{key}") for key, part in value.items()}
        elif name in _LISTS | {"items"} and isinstance(value, list | tuple):
            copy[name] = [change(part, f"/{name}/{at}") for at, part in enumerate(value)]
        elif name in _SINGLE and (isinstance(value, Mapping) or (name == "items" and value is True)):
            copy[name] = change(value, f"/{name}")
    return copy


class _Form:
    """Checks each part of a schema by itself, and writes it as llama.cpp wants it."""

    def __init__(self, whole: Mapping[str, Any]) -> None:
        self._whole = whole
        self._repeated = 0
        self._optional = 0
        self._checked: set[int] = set()
        self._led: list[tuple[Any, str]] = []

    def check_references(self) -> None:
        """Checks that a reference leads to a part that was checked. Raises SchemaInvalid."""
        for found, place in self._led:
            if found is not True and id(found) not in self._checked:
                raise _invalid(place, "refers to what is no schema: keep those that are shared in $defs")

    def of(self, schema: Any, place: str, depth: int) -> Any:
        if schema is True:
            return {}
        if not isinstance(schema, Mapping):
            raise _invalid(place, "is no schema: write an object")
        if depth > DEEPEST:
            raise _invalid(place, f"is deeper than {DEEPEST} schemas within each other")
        self._check(schema, place)
        self._checked.add(id(schema))
        copy = _with_parts(schema, lambda part, at: self.of(part, place + at, depth + 1))
        if "enum" in copy:
            copy = _shared(copy)
        return copy

    def _check(self, schema: Mapping[str, Any], place: str) -> None:
        _check_kinds(schema.get("type"), place)
        if "$ref" in schema:
            self._led.append((target(self._whole, schema["$ref"], place), place))
        for name in ("enum", *_LISTS):
            if name in schema and not (isinstance(schema[name], list | tuple) and schema[name]):
                raise _invalid(place, f"needs at least one entry in {name!r}")
        for name in ("properties", "$defs", "definitions"):
            if name in schema and not isinstance(schema[name], Mapping):
                raise _invalid(place, f"needs an object as {name!r}")
        for name in _REPETITIONS:
            self._repeat(name, schema.get(name), place)
        properties = schema.get("properties") or {}
        required = schema.get("required")
        if isinstance(required, list) and not all(isinstance(one, str) for one in required):
            raise _invalid(place, "needs names in 'required'")
        self._optional += len(set(properties) - set(required if isinstance(required, list) else ())) ** 2
        if self._optional > OPTIONAL_SQUARED:
            raise _invalid(place, "has too many optional properties: require some, or leave some out")

    def _repeat(self, name: str, times: Any, place: str) -> None:
        if times is None:
            return
        if type(times) is not int or times < 0:
            raise _invalid(place, f"needs a whole number as {name!r}")
        self._repeated += times
        if times > REPEATED:
            raise _invalid(place, f"has a {name!r} of {times}; at most {REPEATED} is taken")
        if self._repeated > REPEATED_IN_ALL:
            raise _invalid(place, f"has repetitions whose sum is over {REPEATED_IN_ALL}")


class _Ways:
    """Counts in how many ways at once an answer can be read, with what references lead to."""

    def __init__(self, whole: Mapping[str, Any]) -> None:
        self._whole = whole
        self._steps = 0
        self._places = 0
        self._known: dict[str, int] = {}

    def of(self, schema: Any, place: str, through: tuple[str, ...]) -> tuple[int, frozenset[str]]:
        """The ways, and which of the references that led here they lead to again. Raises SchemaInvalid."""
        self._steps += 1
        if self._steps > STEPS:
            raise _invalid(place, "refers to itself in too many ways")
        if not isinstance(schema, Mapping):
            return 1, frozenset()
        if (ref := schema.get("$ref")) is not None:
            self._resolved(schema, place)
            return self._behind(ref, place, through)
        ways, again = self._own(schema, place), frozenset[str]()
        for part, at in _parts(schema):
            if not at.startswith(("/$defs/", "/definitions/", "/anyOf/", "/oneOf/")):
                found, more = self.of(part, place + at, through)
                ways, again = max(ways, found), again | more
        for name in ("anyOf", "oneOf"):
            if name in schema:
                found, more = self._among(schema[name], f"{place}/{name}", through)
                ways, again = max(ways, found), again | more
        if ways > ALTERNATIVES:
            raise _invalid(
                place, f"has {ways} alternatives that begin alike; at most {ALTERNATIVES} are taken"
            )
        return ways, again

    def _behind(self, ref: str, place: str, through: tuple[str, ...]) -> tuple[int, frozenset[str]]:
        if ref in through:
            return 1, frozenset({ref})
        if ref in self._known:
            return self._known[ref], frozenset()
        ways, again = self.of(target(self._whole, ref, place), ref, (*through, ref))
        if not (again := again - {ref}):
            self._known[ref] = ways
        return ways, again

    def _own(self, schema: Mapping[str, Any], place: str) -> int:
        ways = 1 if "enum" not in schema or enumerated(schema["enum"]) else len(schema["enum"])
        if schema.get("type") == "integer":
            ways = max(ways, _digits(schema, place))
        pattern = schema.get("pattern")
        if pattern is None:
            return ways
        try:
            through, places = ways_through(pattern, most=REPEATED)
        except ValueError as error:
            raise _invalid(place, f"has a pattern that is not taken: {error}") from error
        self._places += places
        if self._places > REPEATED_IN_ALL:
            raise _invalid(place, f"has patterns with more than {REPEATED_IN_ALL} signs in all, written out")
        return max(ways, through)

    def _among(
        self, branches: Iterable[Any], place: str, through: tuple[str, ...]
    ) -> tuple[int, frozenset[str]]:
        """The most of any group of alternatives that begin with the same sign."""
        each = []
        for at, branch in enumerate(branches):
            ways, again = self.of(branch, f"{place}/{at}", through)
            each.append((self._beginning(branch, place), self._mark(branch, place), ways, again))
        most = 1
        for sign in _ANYTHING:
            group = [one for one in each if sign in one[0]]
            if _distinguished([one[1] for one in group]):
                most = max(most, len(group), *(one[2] for one in group))
                continue
            most = max(most, sum(one[2] for one in group))
            if any(times > 1 for times in Counter(chain.from_iterable(one[3] for one in group)).values()):
                raise _invalid(
                    place,
                    "has alternatives that begin alike and lead back to themselves: begin each with a "
                    "required property of its own, or with one that is a constant",
                )
        return most, frozenset(chain.from_iterable(one[3] for one in each))

    def _resolved(self, schema: Any, place: str) -> Any:
        for _ in range(DEEPEST):
            if not isinstance(schema, Mapping) or "$ref" not in schema:
                return schema
            schema = target(self._whole, schema["$ref"], place)
        raise _invalid(place, "refers to itself and to nothing else")

    def _beginning(self, schema: Any, place: str) -> frozenset[str]:
        """Which signs an answer of this schema can begin with."""
        schema = self._resolved(schema, place)
        if not isinstance(schema, Mapping):
            return _ANYTHING
        if "const" in schema:
            return frozenset({_sign(schema["const"])})
        if isinstance(schema.get("enum"), list):
            return frozenset(_sign(value) for value in schema["enum"])
        kinds = schema.get("type")
        if kinds is None:
            implied = "object" if "properties" in schema else "array" if "items" in schema else None
            return frozenset(_BEGINNINGS[implied]) if implied else _ANYTHING
        return frozenset(_BEGINNINGS[kind] for kind in ([kinds] if isinstance(kinds, str) else kinds))

    def _mark(self, schema: Any, place: str) -> tuple[str, frozenset[str] | None] | None:
        """Beginning of an object: its first property, with its values where they are given."""
        schema = self._resolved(schema, place)
        properties = schema.get("properties") if isinstance(schema, Mapping) else None
        required = schema.get("required") if isinstance(schema, Mapping) else None
        if not properties or not isinstance(required, list):
            return None
        first = next((name for name in properties if name in required), None)
        if first is None:
            return None
        value = self._resolved(properties[first], place)
        if not isinstance(value, Mapping):
            return first, None
        given = value.get("enum", [value["const"]] if "const" in value else None)
        return first, None if given is None else frozenset(map(repr, given))


def target(whole: Mapping[str, Any], ref: Any, place: str) -> Any:
    """Resolves a reference. Raises SchemaInvalid."""
    if not isinstance(ref, str) or not ref.startswith("#/"):
        raise _invalid(place, f"refers to {str(ref)[:80]!r}; only references within the schema are taken")
    found: Any = whole
    for name in ref.removeprefix("#/").split("/"):
        if isinstance(found, Mapping) and name in found:
            found = found[name]
        elif isinstance(found, list | tuple) and name in map(str, range(len(found))):
            found = found[int(name)]
        else:
            raise _invalid(place, f"refers to {ref[:80]!r}, where there is nothing")
    return found


def _distinguished(marks: Iterable[tuple[str, frozenset[str] | None] | None]) -> bool:
    """Whether objects differ in their first property, before any other of them is read."""
    known: dict[str, set[str] | None] = {}
    for mark in marks:
        if mark is None:
            return False
        name, values = mark
        before = known.setdefault(name, set())
        if values is None:
            if before is None or before:
                return False
            known[name] = None
        elif before is None or before & values:
            return False
        else:
            before |= values
    return True


def _shared(schema: dict[str, Any]) -> dict[str, Any]:
    """Words as a pattern in which they share their beginnings, so that any number of them is quick."""
    pattern = enumerated(schema["enum"])
    if pattern is None:
        return schema
    rest = {name: value for name, value in schema.items() if name not in ("enum", "type", "const")}
    return rest | {"type": "string", "pattern": pattern}


def _digits(schema: Mapping[str, Any], place: str) -> int:
    """The ways to begin a number within limits: one for each number of digits. Raises SchemaInvalid."""
    limits = [schema[name] for name in _LIMITS if schema.get(name) is not None]
    for limit in limits:
        if type(limit) not in (int, float) or not -_LARGEST <= limit <= _LARGEST:
            raise _invalid(place, "has a limit that is no number of 64 bits")
    return 2 * sum(len(str(abs(int(limit)))) for limit in limits)


def _check_kinds(kinds: Any, place: str) -> None:
    if isinstance(kinds, list | tuple) and any(kind in kinds[:at] for at, kind in enumerate(kinds[:100])):
        raise _invalid(place, "names a type twice")
    for kind in kinds if isinstance(kinds, list | tuple) else () if kinds is None else (kinds,):
        if not isinstance(kind, str) or kind not in _BEGINNINGS:
            raise _invalid(place, f"has the type {kind!r}: there are {', '.join(_BEGINNINGS)}")


def _sign(value: Any) -> str:
    match value:
        case bool():
            return "t"
        case str():
            return '"'
        case None:
            return "n"
        case list():
            return "["
        case dict():
            return "{"
        case _:
            return "0"


def _invalid(place: str, reason: str) -> SchemaInvalid:
    return SchemaInvalid(f"the schema at {place.replace(_ROOT, '#')[:200]} {reason}")
