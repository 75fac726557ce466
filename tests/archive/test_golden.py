"""What was ever archived or exported can be read for ever: these files are never made anew."""

from pathlib import Path

from pipeline.eventlog.archive.entry_chain import FIRST_LINK, link
from pipeline.eventlog.archive.segments import StoredFact, chunk_span, cut_chunks, unpack_frame, verify
from pipeline.eventlog.redis.codec import decode_entry
from pipeline.transfer.bundle_reader import ReadBundle
from schemas.events.recorded import Recorded

GOLDEN = Path(__file__).parent / "golden"
LIMIT = 10_000_000


def archived() -> list[StoredFact]:
    [events], [audio] = GOLDEN.glob("*.events.zst"), GOLDEN.glob("*.audio")
    stored, sound = events.read_bytes(), audio.read_bytes()
    told, heard = verify(stored), verify(sound)
    facts = [fact for _, at, size in told.index for fact in unpack_frame(stored[at : at + size])]
    start, end, inside = chunk_span(heard, [fact.seq for fact in facts])
    chunks = cut_chunks(sound[start:end], inside)
    whole = [StoredFact(fact.seq, fact.fields, chunks.get(fact.seq, b"")) for fact in facts]
    chain = FIRST_LINK
    for fact in whole:
        chain = link(chain, fact)
    assert (chain, told.sealed, told.audio) == (told.chain, True, heard.sha256)
    return whole


def exported() -> list[Recorded]:
    with (GOLDEN / "bundle.v1.zip").open("rb") as file:
        bundle = ReadBundle(file, max_bytes=LIMIT, session_bytes=LIMIT)
        conversation = bundle.check()
        assert (conversation.title, conversation.ended) == ("Of the sea", True)
        [turn] = conversation.turns.values()
        assert (turn.answer, turn.status) == ("The sea is wide. It is deep, too!", "completed")
        return [recorded for recorded, _ in bundle.facts()]


def test_an_old_archive_and_an_old_bundle_say_the_same() -> None:
    facts = [decode_entry((b"%d-0" % fact.seq, list(fact.fields)), fact.audio or None) for fact in archived()]
    assert [(f.seq, f.ts_ms, f.turn, f.type, f.cause, f.audio) for f in facts] == [
        (f.seq, f.ts_ms, f.turn, f.type, f.cause, f.audio) for f in exported()
    ]
    for ours, theirs in zip(facts, exported(), strict=True):
        assert ours.fact() == theirs.fact()
