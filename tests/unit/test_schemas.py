"""What is said: facts stay readable for ever, commands are checked, the exported documents are true."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from schemas import export, ids
from schemas.commands import Control, CreateSession, RequestTurn, SettingsPatch
from schemas.events import FACT, payload
from schemas.recorded import UPCASTERS, VERSIONS, Recorded, UnknownFact
from schemas.settings import SessionSettings
from schemas.wire import CLIENT_MESSAGE, ClientControl, ClientPing, ClientTurnRequest

GOLDEN = Path(__file__).parent.parent / "golden"
FILES = sorted(GOLDEN.glob("*.json"))


def recorded(entry: dict[str, Any]) -> Recorded:
    return Recorded(
        seq=ids.Seq(entry["seq"]),
        ts_ms=entry["ts"],
        turn=ids.TurnId(entry["turn"] or 0),
        type=entry["type"],
        v=entry["v"],
        data=entry["data"],
    )


def golden(file: Path) -> Recorded:
    return recorded(json.loads(file.read_text(encoding="utf-8")))


# ---------------------------------------------------------------- facts


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_fact_that_was_ever_written_still_loads(file: Path) -> None:
    entry = golden(file)
    fact = entry.fact()
    assert (fact.type, fact.v) == (entry.type, VERSIONS[entry.type])
    if entry.v == fact.v:
        assert payload(fact) == entry.data
    assert file.name == f"{entry.type}.v{entry.v}.json"


@pytest.mark.parametrize("kind", ["session.started", "settings.changed", "turn.requested"])
def test_settings_from_before_there_were_providers_mean_the_voice_in_this_server(kind: str) -> None:
    entry = golden(GOLDEN / f"{kind}.v1.json")
    newer = ("tts_provider", "tts_timeout_s", "tts_extra")
    old = {name: value for name, value in entry.data["settings"].items() if name not in newer}
    fact: Any = recorded(entry.wire() | {"data": entry.data | {"settings": old}}).fact()
    assert (fact.settings.tts_provider, fact.settings.tts_timeout_s, fact.settings.tts_extra) == (
        None,
        None,
        {},
    )
    assert fact.settings.model_dump(exclude={*newer}) == old


def test_every_version_of_every_fact_has_a_golden_file() -> None:
    written = {(kind, v) for kind, newest in VERSIONS.items() for v in range(1, newest + 1)}
    assert {file.name for file in FILES} == {f"{kind}.v{v}.json" for kind, v in written}


def test_every_old_version_has_a_way_to_the_newest() -> None:
    old = {(kind, v) for kind, newest in VERSIONS.items() for v in range(1, newest)}
    assert set(UPCASTERS) == old


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_fields_of_a_newer_version_are_ignored(file: Path) -> None:
    entry = golden(file)
    newer = recorded(entry.wire() | {"data": {**entry.data, "mood": {"from": "tomorrow"}}})
    assert newer.fact() == entry.fact()


@pytest.mark.parametrize(("kind", "v"), [("audio.smelled", 1), ("text.delta", 99), ("", 0)])
def test_a_fact_of_an_unknown_kind_or_version_says_so(kind: str, v: int) -> None:
    entry = recorded({"seq": 7, "ts": 0, "turn": None, "type": kind, "v": v, "data": {}})
    with pytest.raises(UnknownFact, match=r"fact 7 is a .*not known here"):
        entry.fact()


def test_a_fact_that_lacks_a_field_is_not_taken_for_a_new_kind() -> None:
    with pytest.raises(ValidationError, match="Field required"):
        recorded({"seq": 1, "ts": 0, "turn": 2, "type": "text.delta", "v": 1, "data": {"at": 0}}).fact()


def test_an_old_shape_is_lifted_step_by_step_to_todays() -> None:
    """The voice once counted seconds and had no number for its sentence."""

    def seconds_became_milliseconds(data: dict[str, Any]) -> dict[str, Any]:
        return {"index": data["index"], "at_ms": round(data["at_s"] * 1000), "ms": round(data["s"] * 1000)}

    def index_became_sentence(data: dict[str, Any]) -> dict[str, Any]:
        rest = {name: value for name, value in data.items() if name != "index"}
        return rest | {"sentence": data["index"]}

    table = {
        ("sentence.completed", -1): seconds_became_milliseconds,
        ("sentence.completed", 0): index_became_sentence,
    }
    old = {"index": 3, "at_s": 1.5, "s": 0.98}
    entry = recorded({"seq": 9, "ts": 0, "turn": 2, "type": "sentence.completed", "v": -1, "data": old})
    assert payload(entry.fact(table)) == {"sentence": 3, "at_ms": 1500, "ms": 980}
    assert entry.data == old


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_what_is_stored_of_a_fact_brings_it_back(file: Path) -> None:
    fact = golden(file).fact()
    assert FACT.validate_json(FACT.dump_json(fact)) == fact


# ---------------------------------------------------------------- commands


def problem(model: type[Any], given: dict[str, Any]) -> str:
    with pytest.raises(ValidationError) as refused:
        model.model_validate(given)
    first = refused.value.errors()[0]
    return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"


@pytest.mark.parametrize("blank", ["", "  ", "\n\t", "\u2003"])
@pytest.mark.parametrize("field", ["prompt", "text"])
def test_a_turn_without_words_is_refused(field: str, blank: str) -> None:
    assert "is empty" in problem(RequestTurn, {field: blank})


@pytest.mark.parametrize("given", [{}, {"prompt": "a", "text": "b"}])
def test_a_turn_is_either_a_prompt_or_a_text(given: dict[str, str]) -> None:
    assert "not both" in problem(RequestTurn, given)


@pytest.mark.parametrize("bad", ["\x00", "\x1b[31m", "\x7f", "\x85", "\ud83c"])
def test_characters_that_cannot_be_shown_are_refused_with_their_place(bad: str) -> None:
    assert "at position 3" in problem(RequestTurn, {"text": f"abc{bad}"})
    assert "at position 3" in problem(CreateSession, {"title": f"abc{bad}"})
    assert "at position 3" in problem(SettingsPatch, {"system_prompt": f"abc{bad}"})


def test_line_ends_are_the_same_whatever_system_wrote_them() -> None:
    assert RequestTurn.model_validate({"text": "a\r\nb\rc\n\td"}).content == "a\nb\nc\n\td"


def test_a_sentence_is_only_named_where_one_is_skipped() -> None:
    assert Control.model_validate({"action": "skip", "sentence": 0}).sentence == 0
    assert "goes with the action" in problem(Control, {"action": "stop", "sentence": 0})


@pytest.mark.parametrize(
    "patch",
    [
        {"voise": "joe"},
        {"voice": None},
        {"voice": ""},
        {"speech_speed": "1"},
        {"speech_speed": float("nan")},
        {"speech_speed": 2.1},
        {"speak": 1},
        {"max_tokens": 12.0},
        {"sentences": {"min_length": "20"}},
        {"sentences": {"min_lenght": 20}},
        {"sentences": None},
        {"tts_provider": ""},
        {"tts_timeout_s": 0},
        {"tts_timeout_s": 301.0},
        {"tts_extra": {"": 1}},
        {"tts_extra": {"a": None}},
        {"tts_extra": {"a": [1]}},
        {"tts_extra": {"a": float("nan")}},
        {"tts_extra": {"a": "x" * 501}},
        {"tts_extra": {"a": "b\x00"}},
        {"tts_extra": {str(number): number for number in range(33)}},
    ],
)
def test_a_setting_that_is_misspelt_mistyped_or_out_of_range_is_refused(patch: dict[str, Any]) -> None:
    assert problem(RequestTurn, {"text": "x", "settings": patch}).startswith("settings.")


def settings() -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {},
        optional={
            "voice": st.sampled_from(["joe", "amy"]),
            "speech_speed": st.floats(0.5, 2.0),
            "speak": st.booleans(),
            "max_tokens": st.integers(1, 4096),
            "tts_provider": st.none() | st.sampled_from(["cloud", "local"]),
            "tts_timeout_s": st.none() | st.floats(1, 300),
            "sentences": st.fixed_dictionaries(
                {},
                optional={
                    "min_length": st.integers(1, 500),
                    "first_length": st.none() | st.integers(4, 500),
                    "threshold": st.none() | st.integers(10, 1000),
                },
            ),
        },
    )


def leaves(tree: dict[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{path}{name}.")
        else:
            yield f"{path}{name}", value


@given(settings(), settings())
def test_a_patch_changes_what_it_names_and_nothing_else(first: dict[str, Any], then: dict[str, Any]) -> None:
    base = SettingsPatch.model_validate(first).apply(SessionSettings())
    patched = SettingsPatch.model_validate(then).apply(base)
    expected = dict(leaves(base.model_dump())) | dict(leaves(then))
    assert dict(leaves(patched.model_dump())) == expected
    assert type(patched) is SessionSettings
    assert type(patched.sentences) is type(SessionSettings().sentences)


# ---------------------------------------------------------------- messages


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (
            '{"type": "turn.request", "prompt": "hi", "settings": {"voice": "joe"}, "ref": "a"}',
            ClientTurnRequest,
        ),
        ('{"type": "control", "action": "stop", "turn": 2, "ref": "b"}', ClientControl),
        ('{"type": "ping"}', ClientPing),
    ],
)
def test_a_message_is_told_by_its_type(text: str, kind: type[Any]) -> None:
    assert isinstance(CLIENT_MESSAGE.validate_json(text), kind)


@pytest.mark.parametrize(
    "text",
    [
        '{"type": "turn.requested", "prompt": "hi"}',
        '{"prompt": "hi"}',
        "[]",
        '{"type": "ping", "pong": 1}',
        "7",
    ],
)
def test_what_is_no_message_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        CLIENT_MESSAGE.validate_json(text)


# ---------------------------------------------------------------- documents


def test_the_documents_in_docs_are_current() -> None:
    assert export.update(export.documents(), check=True) == [], 'run "make schemas"'


def test_a_stale_document_is_noticed_and_written_anew(tmp_path: Path) -> None:
    made = {"schemas/a.json": {"x": 1}}
    assert export.update(made, check=True, docs=tmp_path) == ["schemas/a.json"]
    assert export.update(made, check=False, docs=tmp_path) == ["schemas/a.json"]
    assert export.update(made, check=True, docs=tmp_path) == []


@pytest.mark.parametrize("name", [name for name in export.documents() if name.startswith("schemas/")])
def test_an_exported_schema_is_a_schema(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(export.documents()[name])


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        node = list(node.values())
    if isinstance(node, list):
        for child in node:
            yield from references(child)


def test_every_reference_of_the_event_document_leads_somewhere() -> None:
    document = export.documents()["asyncapi.json"]
    for reference in set(references(document)):
        place: Any = document
        for part in reference.removeprefix("#/").split("/"):
            place = place[part]
        assert place


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_fact_on_the_wire_is_as_the_event_document_describes_it(file: Path) -> None:
    entry = golden(file)
    document = export.documents()["asyncapi.json"]
    reference = document["components"]["messages"][entry.type]["payload"]["$ref"]
    schema = {"$ref": reference, "components": document["components"]}
    jsonschema.Draft202012Validator(schema).validate(entry.wire())


# ---------------------------------------------------------------- ids


@given(st.integers(0, (1 << 48) - 1))
def test_a_session_id_carries_its_birth_and_parses_back(now_ms: int) -> None:
    session = ids.new_session_id(now_ms)
    assert ids.created_ms(session) == now_ms
    assert ids.parse_session_id(session) == session
    assert int(ids.generation(now_ms), 36) == now_ms


@pytest.mark.parametrize("text", ["", "x", "0" * 32, "01A1FEB8-357B-7032-81E8-4D2DDF6A2292", "../etc/passwd"])
def test_what_is_no_session_id_is_none(text: str) -> None:
    assert ids.parse_session_id(text) is None
