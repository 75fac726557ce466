"""Grammars of llguidance for JSON schemas: the engine chooses tokens by them, and an answer is read by them.

llguidance takes derivatives and has limits of its own, so a token costs milliseconds whatever the schema is.
`grammar_check` bounds the cost of a grammar before the first token (docs/adr/0221).
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from pipeline.engines.ports import Completion, Written
from schemas.errors import SchemaInvalid

_OPTIONS: Final = {
    "whitespace_flexible": False,  # small models write blanks for ever where they may
    "item_separator": ", ",
    "key_separator": ": ",
    "coerce_one_of": True,
    "lenient": True,  # an answer is not held to keywords that llguidance does not know
}
_MAPS: Final = frozenset({"properties", "$defs", "definitions", "patternProperties", "dependentSchemas"})
_LISTS: Final = frozenset({"anyOf", "oneOf", "allOf", "prefixItems", "items"})
_SINGLE: Final = frozenset({"items", "additionalProperties", "not", "if", "then", "else", "contains"})
_INTERSECTING: Final = frozenset({"properties", "$ref", "anyOf", "oneOf", "allOf"})
_TOO_DEEP: Final = "the schema is too deep"
_PATTERN_PART: Final = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*+(?:\]|\\?\Z)|.", re.DOTALL)
"""A set that is not closed is one part, too: else all that follows it would be looked at again and again."""
_ESCAPED_IN_JSON: Final = frozenset({'"', *(f"\\{sign}" for sign in '\\"nrtf')})
_NEVER: Final = "\U0010ffff"
"""A code point that is no character: see `_pattern`."""


def grammar(schema: Mapping[str, Any]) -> str:
    """The grammar of the documents that a schema describes. Raises SchemaInvalid for what is no JSON."""
    try:
        whole = _held_rightly(closed(schema) if _separate(schema) else schema)
        text = json.dumps(whole | {"x-guidance": _OPTIONS}, allow_nan=False)
    except RecursionError as error:
        raise SchemaInvalid(_TOO_DEEP) from error
    except (ValueError, TypeError) as error:
        raise SchemaInvalid(f"the schema is no JSON: {error}") from error
    return f"%llguidance {{}}\nstart: %json {text}"


def closed(schema: Any) -> Any:
    """The same, but objects that name their properties have no others, unless the schema says so.

    Small models would go on with properties of their own until their tokens are used up.
    """
    if not isinstance(schema, Mapping):
        return schema
    whole = _with_parts(schema, closed)
    names, required = schema.get("properties"), schema.get("required", ())
    if (
        isinstance(names, Mapping)
        and isinstance(required, list | tuple)
        and all(isinstance(one, str) and one in names for one in required)
        and not {"additionalProperties", "patternProperties"} & set(schema)
    ):
        return {"type": "object", **whole, "additionalProperties": False}
    return whole


def beneath(schema: Any, place: str) -> Any:
    """The same schema with its references as they must be when it stands at `place` of another one."""
    if not isinstance(schema, Mapping):
        return schema
    moved = _with_parts(schema, lambda part: beneath(part, place))
    if isinstance(ref := schema.get("$ref"), str) and ref.startswith("#"):
        moved["$ref"] = place + ref.removeprefix("#")
    moved.pop("$id", None)  # else references would be read from here again
    return moved


def _held_rightly(schema: Any) -> Any:
    """The same with patterns that llguidance 1.0 reads as they are meant."""
    if not isinstance(schema, Mapping):
        return schema
    whole = _with_parts(schema, _held_rightly)
    if isinstance(pattern := schema.get("pattern"), str):
        whole["pattern"] = _pattern(pattern)
    if isinstance(named := whole.get("patternProperties"), dict):
        whole["patternProperties"] = {_pattern(name): part for name, part in named.items()}
    return whole


def _pattern(pattern: str) -> str:
    """The pattern without literals that are escaped in JSON: llguidance 1.0 forgets what follows one of them.

    Each is a set with a second member, which `HeldAnswer` refuses.
    """

    def part(found: re.Match[str]) -> str:
        sign = found[0][1:-1] if found[0].startswith("[") else found[0]
        return rf"[{sign}\x{{10ffff}}]" if sign in _ESCAPED_IN_JSON else found[0]

    return _PATTERN_PART.sub(part, pattern)


def _separate(schema: Any) -> bool:
    """True if no part must satisfy two descriptions at once: closed ones would exclude each other."""
    if not isinstance(schema, Mapping):
        return True
    several = schema.get("allOf")
    alone = len(_INTERSECTING & set(schema)) < 2 and not (isinstance(several, list) and len(several) > 1)
    apart: list[bool] = []
    if alone:
        _with_parts(schema, lambda part: apart.append(_separate(part)))
    return alone and all(apart)


def _with_parts(schema: Mapping[str, Any], change: Callable[[Any], Any]) -> dict[str, Any]:
    """A copy in which each schema directly within is as `change` makes it."""
    copy: dict[str, Any] = dict(schema)
    for name, value in schema.items():
        if name in _MAPS and isinstance(value, Mapping):
            copy[name] = {key: change(part) for key, part in value.items()}
        elif name in _LISTS and isinstance(value, list | tuple):
            copy[name] = [change(part) for part in value]
        elif name in _SINGLE and isinstance(value, Mapping):
            copy[name] = change(value)
    return copy


class HeldAnswer:
    """Reads an answer while it is written: an engine that ran into its limits goes on without the grammar."""

    def __init__(self, text: str, *, cut: bool) -> None:
        """`text`: of the grammar; it takes as long as `grammar_check` allows. `cut`: the request names words
        that end the answer, even within its document."""
        from llguidance import LLMatcher, LLTokenizer

        self._matcher = LLMatcher(LLTokenizer("byte"), text, log_level=0)
        self._cut = cut

    def take(self, item: Written) -> None:
        """Raises SchemaInvalid for text that is not in the grammar, or ends too early."""
        if isinstance(item, str):
            fits = _NEVER not in item and self._matcher.consume_tokens(list(item.encode()))
        else:
            ends = isinstance(item, Completion) and item.finish == "stop" and not self._cut
            fits = not ends or self._matcher.is_accepting()
        if not fits:
            raise SchemaInvalid("the answer left its schema: the schema is too complex for the engine")
