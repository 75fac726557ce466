"""Events stay readable for ever, commands are checked, the exported documents are true."""

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
from schemas.events import EVENT, payload
from schemas.events.recorded import Recorded
from schemas.events.upcasting import UPCASTERS, VERSIONS, UnknownEvent, upcast

GOLDEN = Path(__file__).parent.parent / "golden"
FILES = sorted(GOLDEN.glob("*.json"))
DOCUMENTS = export.documents()


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


def without_additions(stored: Any, written: Any) -> Any:
    """Returns the stored value without fields of mappings that were not written then."""
    if isinstance(stored, dict) and isinstance(written, dict):
        return {name: without_additions(stored.get(name), written[name]) for name in written}
    return stored


# ---------------------------------------------------------------- events


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_an_event_that_was_ever_written_still_loads(file: Path) -> None:
    entry = golden(file)
    event = entry.event()
    assert (event.type, event.v) == (entry.type, VERSIONS[entry.type])
    if entry.v == event.v:
        stored = payload(event)
        assert without_additions(stored, entry.data) == entry.data
        fields = type(event).model_fields
        added = {name: value for name, value in stored.items() if name not in entry.data}
        defaults = {name: fields[name].get_default() for name in added}
        assert json.loads(json.dumps(added)) == json.loads(json.dumps(defaults))  # what is new has a default
    assert file.name == f"{entry.type}.v{entry.v}.json"


@pytest.mark.parametrize("kind", ["session.started", "settings.changed", "turn.requested"])
def test_settings_from_before_there_were_providers_mean_this_server(kind: str) -> None:
    entry = golden(GOLDEN / f"{kind}.v1.json")
    newer = (
        *("tts_provider", "tts_timeout_s", "tts_extra", "llm_provider", "llm_model"),
        *("sampling", "tools", "collections", "search", "character", "character_seq"),
        *("style", "instructions", "pauses", "emoji", "pronunciations"),
    )
    old = {name: value for name, value in entry.data["settings"].items() if name not in newer}
    event: Any = recorded(entry.to_dict() | {"data": entry.data | {"settings": old}}).event()
    assert (event.settings.tts_provider, event.settings.tts_timeout_s, event.settings.tts_extra) == (
        None,
        None,
        {},
    )
    assert (event.settings.llm_provider, event.settings.llm_model) == (None, None)
    assert without_additions(event.settings.model_dump(mode="json", exclude={*newer}), old) == old


def test_every_version_of_every_event_has_a_golden_file() -> None:
    written = {(kind, v) for kind, newest in VERSIONS.items() for v in range(1, newest + 1)}
    assert {file.name for file in FILES} == {f"{kind}.v{v}.json" for kind, v in written}


def test_every_old_version_has_a_way_to_the_newest() -> None:
    old = {(kind, v) for kind, newest in VERSIONS.items() for v in range(1, newest)}
    assert set(UPCASTERS) == old


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_fields_of_a_newer_version_are_ignored(file: Path) -> None:
    entry = golden(file)
    newer = recorded(entry.to_dict() | {"data": {**entry.data, "mood": {"from": "tomorrow"}}})
    assert newer.event() == entry.event()


@pytest.mark.parametrize(("kind", "v"), [("audio.smelled", 1), ("text.delta", 99), ("", 0)])
def test_an_event_of_an_unknown_kind_or_version_says_so(kind: str, v: int) -> None:
    entry = recorded({"seq": 7, "ts": 0, "turn": None, "type": kind, "v": v, "data": {}})
    with pytest.raises(UnknownEvent, match=r"event 7 is a .*not known here"):
        entry.event()


def test_an_event_that_lacks_a_field_is_not_taken_for_a_new_kind() -> None:
    with pytest.raises(ValidationError, match="Field required"):
        recorded({"seq": 1, "ts": 0, "turn": 2, "type": "text.delta", "v": 1, "data": {"at": 0}}).event()


def test_an_old_shape_is_lifted_step_by_step_to_todays(monkeypatch: pytest.MonkeyPatch) -> None:
    """The voice once counted seconds and had no number for its sentence."""

    def seconds_became_milliseconds(data: dict[str, Any]) -> dict[str, Any]:
        return {"index": data["index"], "at_ms": round(data["at_s"] * 1000), "ms": round(data["s"] * 1000)}

    def index_became_sentence(data: dict[str, Any]) -> dict[str, Any]:
        rest = {name: value for name, value in data.items() if name != "index"}
        return rest | {"sentence": data["index"]}

    monkeypatch.setitem(UPCASTERS, ("sentence.completed", -1), seconds_became_milliseconds)
    monkeypatch.setitem(UPCASTERS, ("sentence.completed", 0), index_became_sentence)
    old = {"index": 3, "at_s": 1.5, "s": 0.98}
    kind, v, data = upcast("sentence.completed", -1, old)
    assert (kind, v, data) == ("sentence.completed", 1, {"sentence": 3, "at_ms": 1500, "ms": 980})
    assert old == {"index": 3, "at_s": 1.5, "s": 0.98}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_stored_form_of_an_event_brings_it_back(file: Path) -> None:
    event = golden(file).event()
    assert EVENT.validate_json(EVENT.dump_json(event)) == event


# ---------------------------------------------------------------- documents


def test_a_stale_document_is_noticed_and_written_anew(tmp_path: Path) -> None:
    file = tmp_path / "schemas" / "a.json"
    files = {file: export.written({"x": 1})}
    assert export.stale(files, write=False) == export.stale(files, write=True) == [file]
    assert export.stale(files, write=False) == []


@pytest.mark.parametrize("name", [name for name in DOCUMENTS if name.startswith("schemas/")])
def test_an_exported_schema_is_a_schema(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(DOCUMENTS[name])


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        node = list(node.values())
    if isinstance(node, list):
        for child in node:
            yield from references(child)


def test_every_reference_of_the_event_document_leads_somewhere() -> None:
    document = DOCUMENTS["asyncapi.json"]
    for reference in set(references(document)):
        place: Any = document
        for part in reference.removeprefix("#/").split("/"):
            place = place[part]
        assert isinstance(place, dict)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_an_event_on_the_wire_is_as_the_event_document_describes_it(file: Path) -> None:
    entry = golden(file)
    document = DOCUMENTS["asyncapi.json"]
    reference = document["components"]["messages"][entry.type]["payload"]["$ref"]
    schema = {"$ref": reference, "components": document["components"]}
    jsonschema.Draft202012Validator(schema).validate(entry.to_dict())


# ---------------------------------------------------------------- ids


@given(st.integers(0, 253_402_300_799_999))
def test_a_session_id_carries_its_birth_and_parses_back(now_ms: int) -> None:
    session = ids.new_session_id(now_ms)
    assert ids.created_ms(session) == now_ms
    assert ids.parse_session_id(session) == session
    assert int(ids.generation(now_ms), 36) == now_ms


AFTER_THE_YEAR_9999 = "ffffffff-ffff-7fff-bfff-ffffffffffff"


@pytest.mark.parametrize(
    "text",
    ["", "x", "0" * 32, "01A1FEB8-357B-7032-81E8-4D2DDF6A2292", "../etc/passwd", AFTER_THE_YEAR_9999],
)
def test_a_malformed_session_id_is_none(text: str) -> None:
    assert ids.parse_session_id(text) is None
