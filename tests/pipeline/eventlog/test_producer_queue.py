"""The pure parts of recorder and tailer: batches, places, and what a listener is given."""

import asyncio
from collections.abc import Sequence

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.eventlog.event_log import Batch, Outcome, Push, Verdict
from pipeline.eventlog.producer_queue import BATCH_BYTES, BATCH_EVENTS, Entry, Mode, ProducerQueue, weight
from pipeline.eventlog.tailer import WAITING, LogListener
from schemas.events import TextDelta
from schemas.events.recorded import NewEvent, Recorded
from schemas.ids import Seq, TurnId, new_session_id
from tests.support.eventlog.log_events import STARTED, delta, new

SESSION = new_session_id()
MODES = st.sampled_from(["append"] * 12 + ["create", "seal"])


def drain(queue: ProducerQueue) -> list[Batch]:
    """Every batch of the lane, each accepted by a log in turn."""
    batches, head = [], 0
    while (following := queue.batch()) is not None:
        assert queue.batch() is following  # the same one until it is answered
        batches.append(following)
        queue.settle(Outcome(Verdict.OK, Seq(head + 1), Seq(head + len(following.events))))
        head += len(following.events)
    return batches


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(1, 60), MODES, st.sampled_from([0, 0, 90_000])), max_size=30))
def test_batches_hold_the_entries_in_order_and_whole(shape: list[tuple[int, Mode, int]]) -> None:
    queue = ProducerQueue(SESSION, "p")
    entries = [
        Entry([new(delta(at), audio=bytes(audio)) for at in range(count)], mode)
        for count, mode, audio in shape
    ]
    for entry in entries:
        queue.put(entry)
    batches = drain(queue)
    assert [event for one in batches for event in one.events] == [
        event for one in entries for event in one.events
    ]
    assert [one.number for one in batches] == list(range(1, len(batches) + 1))
    assert queue.weight == 0
    assert sum(one.mode != "append" for one in batches) == sum(one.mode != "append" for one in entries)
    sizes = {len(entry.events) for entry in entries}
    for one in batches:
        assert len(one.events) <= BATCH_EVENTS
        assert weight(one.events) <= BATCH_BYTES or len(one.events) in sizes


@settings(deadline=None)
@given(st.lists(st.integers(1, 5), min_size=1, max_size=20))
def test_every_entry_learns_its_own_place(counts: list[int]) -> None:
    async def place() -> list[Outcome]:
        queue, loop = ProducerQueue(SESSION, "p"), asyncio.get_running_loop()
        waiters = [loop.create_future() for _ in counts]
        for count, waiter in zip(counts, waiters, strict=True):
            queue.put(Entry([new(delta(0))] * count, "append", [waiter]))
        drain(queue)
        return [waiter.result() for waiter in waiters]

    outcomes = asyncio.run(place())
    ends = [sum(counts[: n + 1]) for n in range(len(counts))]
    assert [(one.first, one.last) for one in outcomes] == [
        (end - count + 1, end) for count, end in zip(counts, ends, strict=True)
    ]


@settings(deadline=None)
@given(st.lists(st.sampled_from(["text", "text", "text of turn 2", "event", "sent"]), max_size=40))
def test_text_that_waits_is_joined_with_what_follows_it(story: list[str]) -> None:
    queue, sent, at = ProducerQueue(SESSION, "p"), list[NewEvent](), 0
    expected, waiting = list[tuple[int, str]](), False
    for step in story:
        if step == "sent":
            sent += [event for one in drain(queue) for event in one.events]
            waiting = False
            continue
        turn, event = TurnId(2 if step.endswith("2") else 1), delta(at) if step != "event" else STARTED
        queue.put(Entry([NewEvent(event, 1_000, turn)], "append"))
        text = event.text if isinstance(event, TextDelta) else ""
        if waiting and text and expected[-1][0] == turn and expected[-1][1]:
            expected[-1] = (turn, expected[-1][1] + text)
        else:
            expected.append((turn, text))
        at, waiting = at + len(text), True
    sent += [event for one in drain(queue) for event in one.events]
    assert [(one.turn, getattr(one.event, "text", "")) for one in sent] == expected
    texts = [one.event for one in sent if isinstance(one.event, TextDelta)]
    assert [one.at for one in texts] == [sum(len(one.text) for one in texts[:n]) for n in range(len(texts))]


def test_joined_text_stays_short_and_leaves_nobody_waiting() -> None:
    async def joined() -> tuple[list[str], Outcome]:
        queue, waiter = ProducerQueue(SESSION, "p"), asyncio.get_running_loop().create_future()
        for at in range(0, 1_200, 300):
            queue.put(Entry([new(delta(at, "x" * 300 if at < 900 else "y"))], "append"))
        queue.put(Entry([new(delta(901, "z"))], "append", [waiter]))
        [batch] = drain(queue)
        texts = [one.event.text for one in batch.events if isinstance(one.event, TextDelta)]
        return texts, waiter.result()

    texts, outcome = asyncio.run(joined())
    assert texts == ["x" * 300, "x" * 300, "x" * 300 + "yz"]
    assert outcome.last == 3


def recorded(seq: int, size: int = 0) -> Recorded:
    return Recorded(Seq(seq), 1_000, TurnId(1), "text.delta", 1, {}, size=size)


def push(first: int, last: int) -> Push:
    return Push(SESSION, Seq(first), Seq(last), [recorded(seq) for seq in range(first, last + 1)])


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 6), st.booleans(), st.booleans()), max_size=60),
    st.integers(1, 20),
    st.integers(0, 10),
)
def test_a_listener_is_given_every_event_once(
    story: Sequence[tuple[int, bool, bool]], buffer: int, after: int
) -> None:
    """Pushes are lost or come twice, the listener looks now and then, and gaps are read from the log."""
    listener = LogListener(SESSION, Seq(after), audio=False, buffer=buffer)
    given_out, head = [], 0
    for count, lost, looks in story:
        if not lost:
            listener.offer(push(head + 1, head + count))
            listener.offer(push(head + 1, head + count))
        head += count
        if looks:
            given_out += listener.take()
            missing = [recorded(seq) for seq in range(listener.cursor + 1, head + 1)]
            given_out += listener.deliver(missing)
    assert [event.seq for event in given_out] == list(range(after + 1, listener.cursor + 1))


def test_a_listener_is_woken_for_what_cannot_wait_or_for_much_that_can() -> None:
    async def woken_at(offers: range) -> list[int]:
        listener = LogListener(SESSION, Seq(0), audio=False, buffer=256, can_wait=lambda one: one.seq != 70)
        found = []
        woken = asyncio.create_task(listener.changed())
        for seq in offers:
            await asyncio.sleep(0)
            listener.offer(push(seq, seq))
            await asyncio.sleep(0)
            if woken.done():
                found.append(seq)
                assert [event.seq for event in listener.take()][-1] == seq
                woken = asyncio.create_task(listener.changed())
        woken.cancel()
        return found

    assert asyncio.run(woken_at(range(1, 140))) == [WAITING, 70, 70 + WAITING]


def test_a_listener_is_woken_at_a_gap_also_for_what_can_wait() -> None:
    """The event whose push was lost may be one that cannot wait; it is read from the log."""

    async def woken_by(*seqs: int) -> bool:
        listener = LogListener(SESSION, Seq(0), audio=False, buffer=256, can_wait=lambda _: True)
        woken = asyncio.create_task(listener.changed())
        for seq in seqs:
            listener.offer(push(seq, seq))
        await asyncio.sleep(0)
        return woken.done() or not woken.cancel()

    assert asyncio.run(woken_by(1, 2, 3)) is False
    assert asyncio.run(woken_by(1, 3)) is True
    assert asyncio.run(woken_by(2)) is True


def test_a_listener_holds_few_bytes_of_what_was_pushed() -> None:
    """A client that reads nothing would have 256 events held, each of up to 64 kB."""

    async def taken(size: int) -> list[int]:
        listener = LogListener(SESSION, Seq(0), audio=False, buffer=256)
        for seq in range(1, 5):
            listener.offer(Push(SESSION, Seq(seq), Seq(seq), [recorded(seq, size)]))
        return [one.seq for one in listener.take()]

    assert asyncio.run(taken(16_000)) == [1, 2, 3, 4]
    assert asyncio.run(taken(20_000)) == []


@pytest.mark.parametrize("length", [9, 99_999])
def test_the_json_of_an_event_is_made_once_for_all_its_listeners(length: int) -> None:
    event = Recorded(Seq(1), 1, TurnId(1), "text.delta", 1, {"at": 0, "text": "a" * length})
    assert event.json(orjson.dumps) is event.json(orjson.dumps)
    assert orjson.loads(event.json(orjson.dumps))["data"]["text"] == "a" * length
