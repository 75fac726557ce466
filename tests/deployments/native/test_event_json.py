"""The JSON of an event: made once for all listeners, and the same bytes as ever with audio in it."""

import base64
import json
from pathlib import Path
from typing import Any

import orjson
import pytest

from deployments.faces.native.event_feed import dumps
from deployments.faces.native.event_routes import with_audio
from schemas.events.recorded import Recorded
from schemas.ids import Seq, TurnId

GOLDEN = sorted((Path(__file__).parents[2] / "golden").glob("*.json"))


@pytest.fixture(params=GOLDEN, ids=lambda file: file.stem)
def event(request: pytest.FixtureRequest) -> Recorded:
    entry = json.loads(request.param.read_text(encoding="utf-8"))
    place = Seq(entry["seq"]), entry["ts"], TurnId(entry["turn"] or 0)
    return Recorded(*place, entry["type"], entry["v"], entry["data"])


def test_the_json_of_an_event_is_encoded_once(event: Recorded) -> None:
    encoded: list[Any] = []

    def counting(value: Any) -> bytes:
        encoded.append(value)
        return dumps(value)

    assert event.json(counting) is event.json(counting)
    assert encoded == [event.to_dict()]


@pytest.mark.parametrize("audio", [b"\x00", b"OpusHead\xff\xfe" * 40])
def test_audio_is_the_last_member_of_an_events_json(event: Recorded, audio: bytes) -> None:
    shown = {**event.to_dict(), "audio": base64.b64encode(audio).decode()}
    assert with_audio(event.json(dumps), audio) == orjson.dumps(shown)
