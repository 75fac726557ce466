"""Which JSON schemas the engine in this server is given, and that its answers keep to them."""

import json
import random
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as some

from pipeline.engines.llm import grammar_check
from pipeline.engines.llm.grammar_check import GrammarChecker
from pipeline.engines.llm.json_grammars import HeldAnswer, beneath, closed, grammar
from pipeline.engines.ports import ChatRequest, Completion, Function, LanguageModel, Message, ToolCall
from rhapsode.testing.language_model_contract import answer
from schemas.errors import SchemaInvalid

Schema = dict[str, Any]
WORDS = [f"v{number}" for number in range(3_000)]
ASKED = (Message("user", "Ann lives in Oslo. As JSON?"),)
PERSON: Schema = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "address": {"$ref": "#/$defs/Address"}},
    "required": ["name", "address"],
    "$defs": {
        "Address": {
            "type": "object",
            "properties": {"city": {"enum": ["Oslo", "Kiel"]}},
            "required": ["city"],
        }
    },
}
TREE: Schema = {
    "type": "object",
    "properties": {"v": {"enum": [1, 2]}, "k": {"type": "array", "items": {"$ref": "#"}, "maxItems": 1}},
    "required": ["v", "k"],
}
LEAF = TREE | {"properties": TREE["properties"] | {"k": TREE["properties"]["k"] | {"maxItems": 0}}}
"""A tree of which the model cannot write more than fits."""


def text(pattern: str) -> Schema:
    return {"type": "string", "pattern": pattern}


def member(name: str, schema: Schema | None = None) -> Schema:
    return {"type": "object", "properties": {name: schema or {"type": "string"}}, "required": [name]}


def within(depth: int, schema: Schema) -> Schema:
    for _ in range(depth):
        schema = member("a", schema)
    return schema


def doubled(levels: int) -> Schema:
    """Each level has two alternatives that begin alike."""
    levels_of: Schema = {"L0": {"type": "string"}}
    for level in range(1, levels + 1):
        inner = {"$ref": f"#/$defs/L{level - 1}"}
        either = [
            {"type": "object", "properties": {"a": inner, name: {}}, "required": ["a", name]} for name in "bc"
        ]
        levels_of[f"L{level}"] = {"anyOf": either}
    return {"$defs": levels_of, "$ref": f"#/$defs/L{levels}"}


def expression(marked: bool) -> Schema:
    """Sums and products of each other; `marked`: the kind comes first."""
    self, kinds = {"$ref": "#/$defs/E"}, ("sum", "product")
    either: list[Schema] = [{"type": "number"}]
    for kind in kinds:
        names = {"kind": {"const": kind}, "left": self, "right": self}
        ordered = names if marked else dict(reversed(names.items()))
        either.append({"type": "object", "properties": ordered, "required": list(names)})
    return {"$defs": {"E": {"anyOf": either}}, "$ref": "#/$defs/E"}


def crossed(groups: int, alternatives: int) -> Schema:
    """Each way through all groups is a description of its own."""
    return {
        "type": "object",
        "allOf": [
            {"anyOf": [member(f"p{group}_{number}") for number in range(alternatives)]}
            for group in range(groups)
        ],
    }


ENDLESS: Schema = {"type": "string", "allOf": [{"pattern": f".*{chr(97 + n)}.*"} for n in range(26)]}
"""llguidance's compiler would work on it for minutes."""
_COMPLEX = "too complex"

REFUSED: list[tuple[Schema, str]] = [
    (ENDLESS, _COMPLEX),
    ({"type": "string", "allOf": [{"pattern": f".*{chr(97 + n)}.{{{n}}}"} for n in range(26)]}, _COMPLEX),
    ({"type": "array", "minItems": 10_000_000}, _COMPLEX),
    ({"type": "array", "maxItems": 2**31}, _COMPLEX),
    ({"type": "array", "maxItems": 2**63}, _COMPLEX),
    ({"type": "integer", "multipleOf": 1_000_003}, _COMPLEX),
    ({"type": "object", "required": [f"r{n}" for n in range(20_000)]}, _COMPLEX),
    ({"enum": [f"word {n * 7_919}" for n in range(200_000)]}, _COMPLEX),
    (crossed(2, 100), _COMPLEX),
    (crossed(20, 2), "too large"),
    (text("^(?=a)b$"), "look-around"),
    (text("^(((("), "unclosed group"),
    (text("^a)b$"), "unopened group"),
    (text("^a{5,2}$"), "repetition count range"),
    (text("^(((a{,50}){,50}){,50})$"), "repetition quantifier"),
    (text("^({3}a)$"), "repetition operator"),
    (text("(" * 1_000 + "a" + ")" * 1_000), "nested parentheses"),
    (text(r"^\UFFFFFFFF$"), "Unicode scalar value"),
    (text(r"^(a)\1$"), "backreferences"),
    (text("^a^*$"), "lookarounds"),
    ({"$ref": "#/anyOf/" + "1" * 5_000, "anyOf": [{}, {}]}, "Failed to parse array index"),
    ({"type": "string", "pattern": 7}, "Expected string for 'pattern'"),
    ({"type": "string", "pattern": None}, "Expected string for 'pattern'"),
    ({"type": "integer", "minimum": "a"}, "Expected f64 for 'minimum'"),
    (within(100, {}), "recursion limit"),
    (within(10_000, {}), "too deep"),
    ({"type": "string", "minLength": -1}, "Expected positive integer"),
    ({"type": "string", "minLength": 2**63}, "decimal literal invalid"),
    ({"type": "string", "minLength": 2**64}, "Expected positive integer"),
    ({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}}, "no document that fits"),
    ({"$ref": "#"}, "no document that fits"),
    (member("x", {"$ref": "https://example.com/a.json"}), "does not fetch"),
    (member("x", {"$ref": "file:///etc/passwd"}), "does not fetch"),
    (member("x", {"$ref": "#/$defs/B"}), "does not exist"),
    ({"anyOf": [{"$ref": "#/x"}, {}], "x": {"type": ["objekt"]}}, "Invalid type"),
    ({"type": "objekt"}, "Invalid type: objekt"),
    ({"type": [["string"]]}, "type must be a string"),
    ({"anyOf": [{"type": [None]}, {}]}, "type must be a string"),
    ({"type": "object", "properties": {"a": {}}, "required": [["a"]]}, "'required' item"),
    (member("x", {"enum": []}), "Unsatisfiable"),
    ({"type": "object", "properties": [1]}, "must be an object"),
    ({"const": "\ud800"}, "hex escape"),
    ({"minimum": float("nan")}, "no JSON"),
    ({"const": {1, 2}}, "no JSON"),
]


@pytest.fixture(autouse=True)
def _no_process_is_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gives the check normal priority: on a busy machine a lower one gets no processor for seconds."""
    monkeypatch.setattr(grammar_check, "_COMPILED_S", 100.0)
    monkeypatch.setattr(grammar_check, "_WAIT_S", 100.0)


@pytest.mark.server
@pytest.mark.anyio
@pytest.mark.parametrize(("schema", "told"), REFUSED, ids=range(len(REFUSED)))
async def test_an_unusable_schema_is_refused_with_the_reason(schema: Schema, told: str) -> None:
    with pytest.raises(SchemaInvalid, match=told) as refused:
        await GrammarChecker().check(grammar(schema), field="form")
    assert str(refused.value).startswith("the schema ")
    assert "\n" not in str(refused.value)


TAKEN: list[Schema] = [
    PERSON,
    TREE,
    expression(marked=True),
    expression(marked=False),
    doubled(9),
    within(40, {"type": "string"}),
    text(r"^(\d{1,3}\.){3}\d{1,3}$"),
    text("^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"),
    text(r"^[a-z0-9._%+-]+@[a-z0-9.-]+\.[a-z]{2,}$"),
    text("^[a-z]+(-[a-z]+)*$"),
    text(r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2})$"),
    text(r"^\d{4}\d{2}\d{2}\d{2}\d{2}\d{2}$"),
    text("^[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}$"),
    text(r"^v?\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?$"),
    text("^https?://[^/ ]+(/[^ ]*)?$"),
    text("^.{1,40}: .{1,200}$"),
    text("^.{0,2000}$"),
    text("(?P<year>[0-9]{4})"),
    text("[!-~]+"),
    text('"'),
    text(r"\S\\"),
    text("^(((a{0,50}){0,50}){0,50})$"),
    text("^" + "(" * 30 + "." + "+)" * 30 + "$"),
    text(r"^((.{1,4}){1,8}){1,8}$"),
    text("^(((((){32}){32}){32}){32}){32}a$"),
    text("^" + r"\w?" * 200 + "$"),
    {"anyOf": [{"type": "integer", "minimum": 10 * n, "maximum": 10 * n + 5} for n in range(9)]},
    {"type": "integer", "minimum": -(2**53), "exclusiveMaximum": 2**53},
    {"type": "integer", "minimum": 0, "maximum": 2**64},
    text(r"^\{[^\[\]{}]{1,9}\}$"),
    {"anyOf": [{"type": "object", "properties": {"a": True}, "required": ["a"]}, {"type": "null"}]},
    {"type": "object", "properties": {"x": False}},
    {"enum": ["a", None, 1, {"b": []}]},
    {"enum": WORDS},
    {"enum": [f"word {n * 7_919} of {n}" for n in range(20_000)]},
    {"type": ["string", "null"], "maxLength": 2_000},
    {"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}], "items": True},
    {"type": "array", "items": {"type": "string"}, "minItems": 1_000},
    {"anyOf": [{"$ref": "#/$defs/T"}, {"type": "null"}], "$defs": {"T": {"anyOf": [TREE, {}]}}},
    {"type": "object", "properties": {f"p{n}": {"maxLength": 2_000} for n in range(400)}},
    {"type": "array", "items": {"type": "string"}, "uniqueItems": True},
    {"type": "string", "not": {"const": "a"}, "format": "color"},
    {"oneOf": [{"type": "string"}, {"type": "string", "minLength": 2}]},
    {"type": "object", "minProperties": 1, "properties": {"a": {}, "b": {}}},
    {"type": "object", "if": member("a"), "then": member("b")},
    {"allOf": [{"$ref": "#/$defs/A"}], "$defs": {"A": member("a")}},
    {"$schema": "http://json-schema.org/draft-07/schema#", "$id": "https://a.b/c", **PERSON},
    {},
]


@pytest.mark.server
@pytest.mark.anyio
@pytest.mark.parametrize("schema", TAKEN, ids=range(len(TAKEN)))
async def test_schemas_are_taken(schema: Schema) -> None:
    await GrammarChecker().check(grammar(schema))


@pytest.mark.server
@pytest.mark.anyio
async def test_the_refused_part_of_a_grammar_is_named_by_its_field() -> None:
    whole = {"anyOf": [{"type": "string"}, {"type": "objekt"}]}
    parts = {"f.0": grammar({"type": "string"}), "f.1": grammar({"type": "objekt"})}
    with pytest.raises(SchemaInvalid) as refused:
        await GrammarChecker().check(grammar(whole), field="f", parts=parts)
    assert refused.value.field == "f.1"
    with pytest.raises(SchemaInvalid) as refused:
        await GrammarChecker().check(grammar(whole), field="f", parts={"f.0": parts["f.0"]})
    assert refused.value.field == "f"


def test_objects_have_the_properties_that_are_named_where_that_leaves_any_document() -> None:
    assert closed(member("a", member("b")))["properties"]["a"]["additionalProperties"] is False
    for opened in (
        member("a") | {"additionalProperties": {"type": "integer"}},
        member("a") | {"patternProperties": {"^x": {}}},
        member("a") | {"required": ["a", "z"]},
    ):
        assert closed(opened).get("additionalProperties") is not False
    assert fits({"allOf": [member("a"), member("b")]}, '{"a": "x", "b": "y"}')
    assert fits(member("b") | {"anyOf": [{"required": ["a"]}, {"required": ["b"]}]}, '{"b": "y"}')
    assert not fits(member("a"), '{"a": "x", "b": "y"}')


def test_references_follow_a_schema_to_its_new_place_and_words_that_look_like_some_do_not() -> None:
    schema: Schema = {
        "properties": {"enum": {"$ref": "#/$defs/A"}, "$ref": {"items": {"$ref": "#"}}},
        "enum": [{"$ref": "#/$defs/A"}],
        "$defs": {"A": {"$ref": "https://example.com/a.json"}},
    }
    moved = beneath(schema | {"$id": "https://example.com/b.json"}, "#/$defs/f")
    assert "$id" not in moved
    assert moved["properties"]["enum"] == {"$ref": "#/$defs/f/$defs/A"}
    assert moved["properties"]["$ref"] == {"items": {"$ref": "#/$defs/f"}}
    assert moved["enum"] == schema["enum"]
    assert moved["$defs"] == schema["$defs"]


# ------------------------------------------------------------- answers


def fits(schema: Schema, document: str, *, cut: bool = False) -> bool:
    held = HeldAnswer(grammar(schema), cut=cut)
    try:
        for sign in document:
            held.take(sign)
        held.take(Completion("stop", 1, 1))
    except SchemaInvalid:
        return False
    return True


@pytest.mark.parametrize(
    ("schema", "document", "fitting"),
    [
        (PERSON, '{"name": "Ann", "address": {"city": "Oslo"}}', True),
        (PERSON, '{"name": "Ann", "address": {"city": "Rome"}}', False),
        (PERSON, '{"name": "Ann"', False),
        (PERSON, '{"name":"Ann"}', False),
        (text("^[!-~]+$"), '"a"b"', False),
        (text("^[!-~]+$"), r'"a\"b\\"', True),
        (text('"'), r'"x\"y"', True),
        (text(r"^\S$"), '"\n"', False),
        (text('^"[a-z]+"$'), r'"\"word\""', True),
        (text('^"[a-z]+"$'), r'"\""', False),
        (text(r"^[A-Z]:[\\].*$"), r'"C:\\temp"', True),
        (text(r"^a\n[^]\n]$"), r'"a\nb"', True),
        (text(r"^a\n[^]\n]$"), r'"a\n"', False),
        (text('^"a$'), '"\U0010ffffa"', False),
        ({"type": "object", "patternProperties": {'^"[a-z]$': {"type": "null"}}}, r'{"\"b": null}', True),
        (text("b"), '"abc"', True),
        (text("b"), '"ac"', False),
        ({"type": "integer"}, str(2**70), True),
        ({"type": "integer", "maximum": 2**64}, str(2**65), False),
        ({"enum": ["é", "日本"]}, '"日本"', True),
        ({"type": "array", "items": {"type": "string"}, "uniqueItems": True}, '["a", "a"]', True),
    ],
)
def test_an_answer_is_read_by_its_schema(schema: Schema, document: str, fitting: bool) -> None:
    assert fits(schema, document) is fitting


def test_an_answer_may_end_early_where_its_tokens_or_the_request_say_so() -> None:
    held = HeldAnswer(grammar(PERSON), cut=False)
    held.take('{"name": "A')
    held.take(Completion("length", 1, 1))
    assert fits(PERSON, '{"name": "A', cut=True)
    assert not fits(PERSON, '{"surname": "A', cut=True)


_LEAVES = some.one_of(
    some.sampled_from([{"type": "boolean"}, {"type": "null"}, {"type": "integer"}, {"type": "number"}]),
    some.builds(lambda words: {"enum": words}, some.lists(some.text(max_size=4), min_size=1, max_size=4)),
    some.builds(
        lambda least, more: {"type": "string", "minLength": least, "maxLength": least + more},
        some.integers(0, 4),
        some.integers(0, 4),
    ),
    some.builds(
        lambda least, more: {"type": "integer", "minimum": least, "maximum": least + more},
        some.integers(-(2**40), 2**40),
        some.integers(0, 2**40),
    ),
    some.sampled_from(
        [text(one) for one in ("^[!-~]{1,5}$", "b", r'^"\\\S$', r"^(\d{1,3}\.){2}$", "^.{2}$")]
    ),
)
_NAMES = some.text(min_size=1, max_size=4)


def _object(members: dict[str, Schema], optional: bool, open_: bool | None) -> Schema:
    schema: Schema = {"type": "object", "properties": members}
    if not optional:
        schema["required"] = list(members)
    return schema if open_ is None else schema | {"additionalProperties": open_}


_SCHEMAS = some.recursive(
    _LEAVES,
    lambda inner: some.one_of(
        some.builds(
            _object,
            some.dictionaries(_NAMES, inner, max_size=3),
            some.booleans(),
            some.sampled_from([None, True, False]),
        ),
        some.builds(
            lambda item, least, more: {
                "type": "array",
                "items": item,
                "minItems": least,
                "maxItems": least + more,
            },
            inner,
            some.integers(0, 2),
            some.integers(0, 2),
        ),
        some.builds(lambda either: {"anyOf": either}, some.lists(inner, min_size=1, max_size=3)),
    ),
    max_leaves=6,
)


@given(schema=_SCHEMAS, seed=some.integers(0, 2**32))
def test_every_text_of_a_grammar_is_valid_by_its_schema(schema: Schema, seed: int) -> None:
    """Bytes are chosen among those that the grammar allows, until it allows an end."""
    from llguidance import LLMatcher, LLTokenizer

    whole = {"$ref": "#/$defs/it", "$defs": {"it": schema}}
    matcher = LLMatcher(LLTokenizer("byte"), grammar(whole), log_level=0)
    assert not matcher.get_error()
    choose, written = random.Random(seed), bytearray()
    while len(written) < 400 and not matcher.is_stopped():
        mask = matcher.compute_bitmask()
        allowed = [byte for byte in range(256) if mask[byte // 8] >> byte % 8 & 1]
        if matcher.is_accepting() and (not allowed or choose.random() < 0.5):
            break
        byte = choose.choice([one for one in allowed if one in b'"}]'] or allowed)
        assert matcher.consume_token(byte)
        written.append(byte)
    if matcher.is_accepting() and fits(whole, written.decode()):
        jsonschema.validate(json.loads(written), whole)


# ------------------------------------------------------------- the engine itself


@pytest.mark.anyio
@pytest.mark.weights
@pytest.mark.parametrize(
    "schema", [{"enum": WORDS}, {"enum": [f"a.b*(c)[{n}]{{x}}|^$+? é€" for n in range(40)]}, LEAF, PERSON]
)
async def test_the_engine_answers_in_the_form_that_was_asked_for(
    llama: LanguageModel, schema: Schema
) -> None:
    request = ChatRequest(ASKED, 200, temperature=0.0, json_schema=schema)
    deltas, completion = await answer(llama, request)
    assert completion.finish == "stop"
    jsonschema.validate(json.loads("".join(deltas)), schema)


@pytest.mark.anyio
@pytest.mark.weights
@pytest.mark.parametrize("parameters", [PERSON, LEAF, {"$defs": PERSON["$defs"], "$ref": "#/$defs/Address"}])
async def test_a_function_that_must_be_called_may_refer_to_its_own_definitions(
    llama: LanguageModel, parameters: Schema
) -> None:
    functions = (Function("other", "", PERSON), Function("f", "Note it.", parameters))
    request = ChatRequest(ASKED, 200, temperature=0.0, functions=functions, choice="function:f")
    call, completion = [item async for item in llama.stream(request)]
    assert isinstance(call, ToolCall)
    assert not isinstance(completion, str | ToolCall)
    jsonschema.validate(json.loads(call.arguments), parameters)


@pytest.mark.anyio
@pytest.mark.weights
@pytest.mark.parametrize("choice", ["", "required"])
async def test_the_engine_is_not_given_what_would_hold_it_up(llama: LanguageModel, choice: str) -> None:
    form = (
        {"functions": (Function("f", "", ENDLESS),), "choice": choice} if choice else {"json_schema": ENDLESS}
    )
    with pytest.raises(SchemaInvalid):
        await answer(llama, ChatRequest(ASKED, 20, **form))
    assert (await answer(llama, ChatRequest(ASKED, 4)))[0]


@pytest.mark.anyio
@pytest.mark.weights
@pytest.mark.parametrize(
    "make",
    [
        lambda: text("^(((a{0,50}){0,50}){0,50})$"),
        lambda: text("((.{1,4}){1,8}){1,8}"),
        lambda: text("^" + r"\w?" * 200 + "$"),
        lambda: text("^.*a.{2000}$"),
        lambda: expression(marked=False),
        lambda: doubled(9),
        lambda: {"anyOf": [member("p") | {"title": str(n)} for n in range(600)]},
        lambda: {"type": "object", "properties": {f"p{n}": {} for n in range(400)}},
        lambda: {"type": "array", "items": {"enum": WORDS}, "minItems": 1_000},
    ],
)
async def test_schemas_that_once_held_the_engine_up_end_or_fail_as_what_they_are(
    llama: LanguageModel, make: Callable[[], Schema]
) -> None:
    """Within its tokens, in the schema or not at all."""
    schema = make()
    request = ChatRequest(ASKED, 40, temperature=0.0, json_schema=schema)
    with suppress(SchemaInvalid):
        deltas, completion = await answer(llama, request)
        if completion.finish == "stop":
            jsonschema.validate(json.loads("".join(deltas)), schema)
    assert (await answer(llama, ChatRequest(ASKED, 4)))[0]


@pytest.mark.timeout(20)
def test_a_set_that_is_not_closed_is_looked_at_once() -> None:
    """A schema may have 32,000 characters, and a gateway does nothing else meanwhile."""
    for pattern in ("[" * 100_000, "[a\\\\" * 20_000 + "\\"):
        assert grammar({"type": "string", "pattern": pattern}).startswith("%llguidance")
