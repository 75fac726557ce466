"""Old and later versions of events: every reader is given today's shape, or passes over the event."""

import subprocess
import sys
from collections.abc import Iterable
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import msgpack
import pytest

from deployments.faces.openai.chunk_translator import ChunkTranslator, Wanted
from deployments.faces.realtime.event_translator import Translator
from pipeline.delivery.captions import render
from pipeline.eventlog.redis.codec import decode_entry
from pipeline.observability.metric_fold import SessionMeter
from pipeline.session_state.conversation import Conversation
from schemas.events.recorded import Recorded
from schemas.events.upcasting import UnknownEvent, UnknownEvents
from schemas.ids import new_session_id
from tests.pipeline.eventlog.archive.test_golden_archives import archived

pytestmark = pytest.mark.anyio
ROOT = Path(__file__).resolve().parents[3]
SESSION = new_session_id()
SHORT = ("tests/deployments/realtime/test_realtime_resume.py", "tests/pipeline/delivery/test_replay_times.py")
WHOLE = (
    "tests/deployments/admin",
    "tests/deployments/native",
    "tests/deployments/observability",
    "tests/deployments/openai",
    "tests/deployments/realtime",
    "tests/deployments/stories",
    "tests/deployments/web",
    "tests/pipeline/background",
    "tests/pipeline/delivery",
    "tests/pipeline/eventlog/archive",
    "tests/pipeline/observability",
    "tests/pipeline/stt/evaluation",
    "tests/pipeline/tools",
    "tests/pipeline/transfer",
    "tests/pipeline/turn",
    "tests/cluster/observability",
    "tests/seeds",
)


def with_plugin(*paths: str) -> None:
    options = [
        "-q",
        "-p",
        "tests.support.mixed_versions",
        "-p",
        "no:cacheprovider",
        "-m",
        "not long and not weights",
    ]
    command = [sys.executable, "-m", "pytest", *options, *paths]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4_000:]


@pytest.mark.server
def test_a_log_of_old_and_new_events_is_read_like_one_of_new_events() -> None:
    with_plugin(*SHORT)


@pytest.mark.long
def test_every_face_fold_projection_and_archive_reader_is_given_todays_shape() -> None:
    with_plugin(*WHOLE)


def entry(fields: Iterable[bytes], **changes: bytes) -> list[bytes]:
    values = list(fields)
    named = dict(zip(values[::2], values[1::2], strict=True)) | {k.encode(): v for k, v in changes.items()}
    return list(chain.from_iterable(named.items()))


def todays() -> list[Recorded]:
    return [decode_entry((b"%d-0" % one.seq, list(one.fields)), one.audio or None) for one in archived()]


def of_a_later_program() -> list[Recorded]:
    """The same session with unknown fields, and before each event a later version and an unknown type."""
    found = []
    for one in archived():
        at = b"%d-0" % one.seq
        strange = msgpack.packb({"shape": "of tomorrow"})
        found.append(decode_entry((at, entry(one.fields, v=b"99", d=strange))))
        found.append(decode_entry((at, entry(one.fields, t=b"audio.smelled", d=strange))))
        now = decode_entry((at, list(one.fields)), one.audio or None)
        found.append(replace(now, data={**now.data, "mood": {"from": "tomorrow"}}))
    return found


async def shown(events: Iterable[Recorded]) -> dict[str, Any]:
    """Results of the folds and translators for a session."""
    conversation, meter, translator = Conversation(), SessionMeter(SESSION), Translator(SESSION)
    found: dict[str, Any] = {"counted": [], "realtime": [], "chunks": []}
    teller: ChunkTranslator | None = None
    for event in events:
        conversation.apply(event)
        found["counted"].append(dict(meter.apply(event) or {}))
        found["realtime"] += [one.data for one in translator.apply(event)]
        if event.type == "turn.requested":
            asked = Wanted(
                session=SESSION,
                turn=event.turn or event.seq,
                created=1,
                model="fox",
                answered=lambda a, b: f"{a}/{b}",
            )
            teller = ChunkTranslator(asked)
        if teller:
            found["chunks"] += await teller.of(event)
    turns = list(conversation.turns.values())
    found["counted"] = [one for one in found["counted"] if one]
    found["captions"] = "".join(render(conversation, turns, "vtt", words=True))
    found["answers"] = [(turn.answer, turn.status, turn.audio_ms) for turn in turns]
    return found


async def test_events_of_a_later_program_change_nothing_that_is_shown_and_are_counted() -> None:
    before = UnknownEvents.read
    later = of_a_later_program()
    assert UnknownEvents.read - before == 2 * len(archived())
    assert await shown(later) == await shown(todays())


def test_a_later_version_is_handed_on_as_it_is_stored_and_never_taken_for_todays() -> None:
    event = of_a_later_program()[0]
    assert (event.to_dict()["type"], event.to_dict()["v"]) == ("session.started", 99)
    assert event.to_dict()["data"] == {"shape": "of tomorrow"}
    with pytest.raises(UnknownEvent, match=r"session.started of version 99"):
        event.event()
