"""The archive's files: whatever goes in comes out, however it is cut, and no byte changes unnoticed."""

from collections.abc import Sequence
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.eventlog.archive import segments
from pipeline.eventlog.archive.segments import (
    FIRST_LINK,
    FRAME_BYTES,
    FRAME_EVENTS,
    Segment,
    SegmentBuilder,
    SegmentName,
    StoredEvent,
    chunk_span,
    cut_chunks,
    link,
    parse_footer,
    unpack_frame,
    verify,
)
from schemas.errors import ArchiveDamaged
from schemas.ids import Seq

CONTENT = st.lists(
    st.tuples(
        st.sampled_from([b"text.delta", b"audio.chunk", b"session.ended"]),
        st.binary(max_size=40),
        st.binary(max_size=60),
    ),
    min_size=1,
    max_size=40,
)


def events_of(content: Sequence[tuple[bytes, bytes, bytes]], first: int = 1) -> list[StoredEvent]:
    return [
        StoredEvent(Seq(n), (b"t", kind, b"v", b"1", b"d", data), audio)
        for n, (kind, data, audio) in enumerate(content, first)
    ]


def built(events: Sequence[StoredEvent], chain: bytes = FIRST_LINK) -> Segment:
    builder = SegmentBuilder(chain)
    builder.extend(events)
    return builder.finish()


def events_in(segment: Segment) -> list[StoredEvent]:
    frames = [segment.events[at : at + size] for _, at, size in segment.footer.index]
    return [event for frame in frames for event in unpack_frame(frame)]


def sound_in(segment: Segment, first: int, last: int) -> dict[Seq, bytes]:
    if not segment.audio:
        return {}
    start, end, inside = chunk_span(parse_footer(segment.audio), [Seq(first), Seq(last)])
    return cut_chunks(segment.audio[start:end], inside)


@given(CONTENT, st.integers(1, 10**9))
def test_a_segment_gives_back_its_events(content: list[tuple[bytes, bytes, bytes]], first: int) -> None:
    events = events_of(content, first)
    segment = built(events)
    assert verify(segment.events) == segment.footer
    assert events_in(segment) == [StoredEvent(event.seq, event.fields) for event in events]
    assert sound_in(segment, first, first + len(events)) == {f.seq: f.audio for f in events if f.audio}
    assert segment.footer.sealed == (events[-1].type == "session.ended")
    assert built(events) == segment


@given(CONTENT, st.data())
def test_a_part_of_the_sound_is_read_alone(
    content: list[tuple[bytes, bytes, bytes]], data: st.DataObject
) -> None:
    events = events_of(content)
    first = data.draw(st.integers(1, len(events)))
    last = data.draw(st.integers(first, len(events)))
    wanted = {event.seq: event.audio for event in events if first <= event.seq <= last and event.audio}
    assert sound_in(built(events), first, last) == wanted


@given(CONTENT, st.data())
def test_the_chain_names_the_events_and_not_the_cuts(
    content: list[tuple[bytes, bytes, bytes]], data: st.DataObject
) -> None:
    events = events_of(content)
    cut = data.draw(st.integers(0, len(events) - 1))
    chain = built(events[:cut]).footer.chain if cut else FIRST_LINK
    assert built(events[cut:], chain).footer.chain == built(events).footer.chain
    other = [*events[:-1], StoredEvent(events[-1].seq, events[-1].fields, events[-1].audio + b"!")]
    assert built(other).footer.chain != built(events).footer.chain


@settings(max_examples=50)
@given(CONTENT, st.data())
def test_no_byte_of_a_file_changes_unnoticed(
    content: list[tuple[bytes, bytes, bytes]], data: st.DataObject
) -> None:
    segment = built(events_of(content))
    file = bytearray(segment.events)
    at = data.draw(st.integers(0, len(file) - 1))
    file[at] ^= data.draw(st.integers(1, 255))
    cut = data.draw(st.integers(0, len(file) - 1))
    for damaged in (file, segment.events[:cut], segment.events[cut + 1 :], segment.events + b"!"):
        with pytest.raises(ArchiveDamaged):
            verify(bytes(damaged))


def test_frames_are_full_but_for_the_last() -> None:
    segment = built(events_of([(b"text.delta", b"x", b"")] * (2 * FRAME_EVENTS + 5)))
    assert [first for first, _, _ in segment.footer.index] == [1, 1 + FRAME_EVENTS, 1 + 2 * FRAME_EVENTS]
    assert segment.audio == b""
    assert segment.footer.audio == ""


def test_a_frame_of_large_events_is_closed_at_a_megabyte() -> None:
    segment = built(events_of([(b"text.completed", b"x" * (FRAME_BYTES // 4), b"")] * 10))
    assert [first for first, _, _ in segment.footer.index] == [1, 5, 9]
    verify(segment.events)


def test_events_with_a_gap_are_no_segment() -> None:
    with pytest.raises(ArchiveDamaged):
        built([*events_of([(b"a", b"", b"")]), StoredEvent(Seq(3), (b"t", b"b"))])


def test_names_sort_as_their_events_do_and_strangers_are_none() -> None:
    names = [SegmentName(Seq(first), Seq(first + 8)) for first in (1, 9, 10, 1_000)]
    files = [name.file("events") for name in names]
    assert files == sorted(files)
    assert [SegmentName.parse(file) for file in files] == names
    for stranger in (names[0].file("audio"), ".part-00", "1-2.events.zst", files[0] + "x"):
        assert SegmentName.parse(stranger) is None


def test_the_format_has_not_changed() -> None:
    """Archives are read for ever: another digest here needs another magic and a reader for both."""
    assert segments._MAGIC == b"RHSEG\x00\x01\n"
    chain = FIRST_LINK
    for event in events_of([(b"text.delta", b"\x81\xa2at\x00", b""), (b"audio.chunk", b"\x80", b"sound")]):
        chain = link(chain, event)
    assert sha256(chain).hexdigest()[:16] == "e8fc026ebb1c1cb5"
