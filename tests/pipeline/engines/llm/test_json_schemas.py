"""Which JSON schemas the engine in this server is given: all honest ones, and none that would hold it up."""

import json
import re
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import jsonschema
import pytest

from pipeline.engines.llm.json_schemas import ALTERNATIVES, DEEPEST, REPEATED, beneath, enumerated, taken
from pipeline.engines.ports import ChatRequest, Function, LanguageModel, Message, ToolCall
from schemas.errors import SchemaInvalid
from tests.contracts.language_model import answer

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


REFUSED: list[tuple[Schema, str]] = [
    (text("^" + "(" * 10 + "a" + "{0,50})" * 10 + "$"), "repeats what may be empty"),
    (text("^(((a{0,50}){0,50}){0,50})$"), "repeats what may be empty"),
    (text("^((((a?)*)*)*)$"), "repeats what may be empty"),
    (text("^(a{1,50}){1,50}$"), "more than 2000"),
    (text("^(a{1,20}){1,20}$"), "400 places"),
    (text("^(" + "|".join(f"a{n}" for n in range(ALTERNATIVES + 1)) + ")$"), "alternatives"),
    (text("^(a?|b?)(a?|b?)$"), "may be empty"),
    (text("^" + "(" * 40 + "a" + ")" * 40 + "$"), "groups are deeper"),
    (text("^(?=a)b$"), "looks ahead"),
    (text("^(((("), "not closed"),
    (text("^a)b$"), "closes nothing"),
    (text("^a{5,2}$"), "ends before"),
    (text("^(((a{,50}){,50}){,50})$"), "needs a \\"),
    (text("^(((a{ 0,50}){ 0,50}){ 0,50})$"), "needs a \\"),
    (text("^(((a{0,0000000050}){0,0000000050}){0,0000000050})$"), "needs a \\"),
    (text("^[](((a{0,50}){0,50}){0,50})]$"), "needs a \\"),
    (text("^[^](((a{0,50}){0,50}){0,50})]$"), "repeats what may be empty"),
    (text("^({3}a)$"), "needs a \\"),
    (text("^" + "(" * 30 + "." + "+)" * 30 + "$"), "16 signs can be read"),
    (text("^((.{1,4}){1,8}){1,8}$"), "16 signs can be read"),
    (text("^((((.{1,2}){1,3}){1,3}){1,3}){1,4}$"), "16 signs can be read"),
    (text("^" + "[^b]*" * 20 + "$"), "16 signs can be read"),
    (text("^" + r"\w?" * 200 + "$"), "16 signs can be read"),
    (text("^" + "(.|[a-z])" * 9 + "$"), "16 signs can be read"),
    (text(r"^\UFFFFFFFF$"), "the escape"),
    (text("^(((((){32}){32}){32}){32}){32}a$"), "repeats what may be empty"),
    (text("^a^*$"), "repeats what may be empty"),
    ({"$ref": "#/anyOf/" + "1" * 5_000, "anyOf": [{}, {}]}, "where there is nothing"),
    ({"$ref": "#/anyOf/00", "anyOf": [{}, {}]}, "where there is nothing"),
    ({"type": ["array", "array"], "items": {}}, "names a type twice"),
    ({"type": "string", "pattern": 7}, "no text"),
    ({"enum": list(range(ALTERNATIVES + 1))}, "begin alike"),
    ({"enum": [chr(0x4E00 + n) + "x" for n in range(ALTERNATIVES + 1)]}, "begin alike"),
    ({"anyOf": [member("p") | {"title": str(n)} for n in range(ALTERNATIVES + 1)]}, "begin alike"),
    (
        {"anyOf": [{"type": "integer", "minimum": n, "maximum": 10**17 + n} for n in range(250)]},
        "alternatives that begin alike",
    ),
    ({"type": "integer", "maximum": 10**30}, "64 bits"),
    ({"type": "integer", "minimum": "a"}, "64 bits"),
    (doubled(9), "512 alternatives that begin alike"),
    (expression(marked=False), "lead back to themselves"),
    (within(DEEPEST + 2, {}), "deeper than"),
    ({"type": "array", "minItems": 1_000_000}, f"at most {REPEATED}"),
    ({"type": "string", "minLength": -1}, "whole number"),
    ({"type": "object", "properties": {f"p{n}": {"maxLength": 2_000} for n in range(30)}}, "sum is over"),
    ({"type": "object", "properties": {f"p{n}": {} for n in range(400)}}, "optional properties"),
    ({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}}, "nothing else"),
    ({"anyOf": [{"$ref": "#/$defs/a"}], "$defs": {"a": {"$ref": "#/$defs/a"}}}, "nothing else"),
    (member("x", {"$ref": "https://example.com/a.json"}), "within the schema"),
    (member("x", {"$ref": "#/$defs/B"}), "where there is nothing"),
    ({"$ref": "#/x", "x": {"type": "string", "minLength": 1_000_000}}, "is no schema"),
    ({"$ref": "#/$defs/q/examples/0", "$defs": {"q": {"examples": [{"enum": WORDS}]}}}, "is no schema"),
    ({"anyOf": [{"$ref": "#/x"}, {}], "x": {"type": ["objekt"]}}, "is no schema"),
    ({"type": "objekt"}, "'objekt'"),
    ({"type": [["string"]]}, "the type ['string']"),
    ({"anyOf": [{"type": [None]}, {}]}, "the type None"),
    ({"type": "object", "properties": {"a": {}}, "required": [["a"]]}, "names in 'required'"),
    (within(3_000, {}), "deeper than"),
    (member("x", {"enum": []}), "#/properties/x needs at least one entry in 'enum'"),
    ({"type": "object", "properties": {"x": False}}, "is no schema"),
    ({"type": "object", "properties": [1]}, "needs an object as 'properties'"),
]


@pytest.mark.parametrize(("schema", "told"), REFUSED, ids=range(len(REFUSED)))
def test_what_would_hold_the_engine_up_or_is_no_schema_is_refused_with_its_place(
    schema: Schema, told: str
) -> None:
    with pytest.raises(SchemaInvalid, match=re.escape(told)) as refused:
        taken(schema)
    assert str(refused.value).startswith("the schema at #")


@pytest.mark.parametrize(
    "schema",
    [
        PERSON,
        TREE,
        expression(marked=True),
        doubled(8),
        within(DEEPEST - 1, {"type": "string"}),
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
        {"anyOf": [{"type": "integer", "minimum": 10 * n, "maximum": 10 * n + 5} for n in range(9)]},
        {"type": "integer", "minimum": -(2**53), "exclusiveMaximum": 2**53},
        text(r"^\{[^\[\]{}]{1,9}\}$"),
        {"anyOf": [{"type": "object", "properties": {"a": True}, "required": ["a"]}, {"type": "null"}]},
        {"enum": ["a", None, 1, {"b": []}]},
        {"type": ["string", "null"], "maxLength": 2_000},
        {"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}], "items": True},
        {"anyOf": [{"$ref": "#/$defs/T"}, {"type": "null"}], "$defs": {"T": {"anyOf": [TREE, {}]}}},
        {},
    ],
)
def test_honest_schemas_are_taken(schema: Schema) -> None:
    taken(schema)


def test_a_schema_that_is_always_true_is_an_empty_one() -> None:
    assert taken({"type": "object", "properties": {"x": True}})["properties"] == {"x": {}}


@pytest.mark.parametrize(
    "words",
    [
        WORDS,
        ["", *("a" * length for length in range(1, 200))],
        [f"a.b*(c)[{number}]{{x}}|^$+?/- é€ 日本" for number in range(100)],
    ],
)
def test_many_words_are_a_pattern_of_exactly_these(words: list[str]) -> None:
    form = taken({"enum": words})
    assert set(form) == {"type", "pattern"}
    pattern = re.compile(form["pattern"][1:-1])
    assert all(pattern.fullmatch(word) for word in words)
    assert not any(pattern.fullmatch(word + "~") or pattern.fullmatch("~" + word) for word in words)


@pytest.mark.parametrize("words", [["a", "b"], [*WORDS, 1], [f'"{word}' for word in WORDS], [*WORDS, "a\nb"]])
def test_few_words_and_those_with_signs_that_are_escaped_stay_a_list(words: list[Any]) -> None:
    assert enumerated(words) is None


def test_references_follow_a_schema_to_its_new_place_and_words_that_look_like_some_do_not() -> None:
    schema: Schema = {
        "properties": {"enum": {"$ref": "#/$defs/A"}, "$ref": {"items": {"$ref": "#"}}},
        "enum": [{"$ref": "#/$defs/A"}],
        "$defs": {"A": {"$ref": "https://example.com/a.json"}},
    }
    moved = beneath(schema, "#/$defs/f")
    assert moved["properties"]["enum"] == {"$ref": "#/$defs/f/$defs/A"}
    assert moved["properties"]["$ref"] == {"items": {"$ref": "#/$defs/f"}}
    assert moved["enum"] == schema["enum"]
    assert moved["$defs"] == schema["$defs"]


@pytest.mark.parametrize(
    "make",
    [
        lambda: {"enum": WORDS},
        lambda: {"anyOf": [member(f"p{number}") for number in range(600)]},
        lambda: {"anyOf": [text("^" + "".join(f"{chr(97 + n)}?" for n in range(26)) + "$")] * 250},
        lambda: text("^(" + "|".join(f"[{chr(0x4E00 + n)}a]" for n in range(4_000)) + ")$"),
        lambda: {"anyOf": [text("^" + "".join(f"[{chr(0x4E00 + n)}]?" for n in range(40)) + "$")] * 100},
        lambda: member("a", {"anyOf": [text(r"^.{0,100}x.{0,10}$")] * 250}),
        lambda: {
            "$defs": {
                f"N{n}": {"anyOf": [member(f"p{m}", {"$ref": f"#/$defs/N{m}"}) for m in range(20)]}
                for n in range(20)
            },
            "$ref": "#/$defs/N0",
        },
    ],
    ids=["words", "alternatives", "optional signs", "sets", "optional sets", "many patterns", "entangled"],
)
def test_looking_at_a_schema_takes_no_time_worth_mentioning(make: Callable[[], Schema]) -> None:
    """Processor time of this thread: a gateway looks at schemas between two events of others."""
    schema = make()
    began = time.thread_time()
    with suppress(SchemaInvalid):
        taken(schema)
    assert time.thread_time() - began < 1.0


# ------------------------------------------------------------- the engine itself


@pytest.mark.anyio
@pytest.mark.weights
@pytest.mark.parametrize(
    "schema", [{"enum": WORDS}, {"enum": [f"a.b*(c)[{n}]{{x}}|^$+? é€" for n in range(40)]}, TREE, PERSON]
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
    schema = REFUSED[0][0]
    form = (
        {"functions": (Function("f", "", schema),), "choice": choice} if choice else {"json_schema": schema}
    )
    with pytest.raises(SchemaInvalid):
        await answer(llama, ChatRequest(ASKED, 20, **form))
    assert (await answer(llama, ChatRequest(ASKED, 4)))[0]


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string", "pattern": "^" + "|".join(f"{chr(0x4E00 + n)}{{2000}}" for n in range(100)) + "$"},
        {
            "type": "object",
            "properties": {f"p{n}": {"type": "string", "pattern": "^.{0,2000}$"} for n in range(100)},
            "required": [f"p{n}" for n in range(100)],
        },
    ],
    ids=["alternatives", "many patterns"],
)
def test_what_patterns_have_written_out_is_bounded_in_all(schema: dict[str, Any]) -> None:
    with pytest.raises(SchemaInvalid, match="written out"):
        taken(schema)
