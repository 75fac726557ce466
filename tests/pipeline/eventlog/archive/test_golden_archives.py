"""Archives and bundles of every version stay readable: these files are never made anew."""

from pathlib import Path

from pipeline.eventlog.archive.segments import (
    FIRST_LINK,
    StoredEvent,
    chunk_span,
    cut_chunks,
    link,
    unpack_frame,
    verify,
)
from pipeline.eventlog.redis.codec import decode_entry
from pipeline.transfer.bundle_reader import ReadBundle
from schemas.events.recorded import Recorded

GOLDEN = Path(__file__).parents[3] / "golden" / "archive"
LIMIT = 10_000_000


def archived() -> list[StoredEvent]:
    [events], [audio] = GOLDEN.glob("*.events.zst"), GOLDEN.glob("*.audio")
    stored, sound = events.read_bytes(), audio.read_bytes()
    told, heard = verify(stored), verify(sound)
    log_events = [event for _, at, size in told.index for event in unpack_frame(stored[at : at + size])]
    start, end, inside = chunk_span(heard, [event.seq for event in log_events])
    chunks = cut_chunks(sound[start:end], inside)
    whole = [StoredEvent(event.seq, event.fields, chunks.get(event.seq, b"")) for event in log_events]
    chain = FIRST_LINK
    for event in whole:
        chain = link(chain, event)
    assert (chain, told.sealed, told.audio) == (told.chain, True, heard.sha256)
    return whole


def exported() -> list[Recorded]:
    with (GOLDEN / "bundle.v1.zip").open("rb") as file:
        bundle = ReadBundle(file, max_bytes=LIMIT, session_bytes=LIMIT)
        conversation = bundle.check()
        assert (conversation.title, conversation.ended) == ("Of the sea", True)
        [turn] = conversation.turns.values()
        assert (turn.answer, turn.status) == ("The sea is wide. It is deep, too!", "completed")
        return [recorded for recorded, _ in bundle.events()]


def test_an_old_archive_and_an_old_bundle_say_the_same() -> None:
    log_events = [
        decode_entry((b"%d-0" % event.seq, list(event.fields)), event.audio or None) for event in archived()
    ]
    assert [(f.seq, f.ts_ms, f.turn, f.type, f.cause, f.audio) for f in log_events] == [
        (f.seq, f.ts_ms, f.turn, f.type, f.cause, f.audio) for f in exported()
    ]
    for ours, theirs in zip(log_events, exported(), strict=True):
        assert ours.event() == theirs.event()
