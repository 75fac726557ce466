"""Contract of every log. A test class derives from this one and gives it the fixture `log`."""

import anyio
import pytest

from pipeline.eventlog.event_log import Batch, EventLog, Outcome, Push, Subscribed, Verdict
from pipeline.eventlog.redis.codec import AUDIO_MAX, PUSH_MAX
from schemas.events import AudioChunk, SessionEndRequested, TurnRequested, TurnStopped, payload
from schemas.events.recorded import NewEvent
from schemas.ids import Seq, SessionId, TurnId, created_ms, generation, new_session_id
from schemas.settings import SessionSettings
from tests.support.eventlog.log_events import ENDED, STARTED, batch, creation, delta, new

MAX_BYTES = 400_000
"""The quota of the logs under test."""


@pytest.mark.anyio
class EventLogContract:
    @pytest.fixture
    def session(self) -> SessionId:
        return new_session_id()

    async def say(self, log: EventLog, *batches: Batch) -> list[Verdict]:
        return [outcome.verdict for outcome in await log.append(batches)]

    async def test_events_come_back_as_they_were_said(self, log: EventLog, session: SessionId) -> None:
        chunk = AudioChunk(sentence=0, chunk=0, at_ms=0, ms=20, bytes=3)
        wish = TurnRequested(kind="prompt", text="Erzähl mir was 🐉", settings=SessionSettings())
        said = [
            NewEvent(wish, 1_000, TurnId(0)),
            NewEvent(chunk, 1_020, TurnId(2), cause=Seq(2), audio=b"\x00\r\n"),
        ]
        await log.append([creation(session), Batch(session, "p", 1, said)])
        heard = (await log.read(session, Seq(0), audio=True))[1:]
        assert [(f.seq, f.ts_ms, f.turn, f.type, f.v, f.cause, f.audio) for f in heard] == [
            (2, 1_000, 0, "turn.requested", 1, None, None),
            (3, 1_020, 2, "audio.chunk", 1, 2, b"\x00\r\n"),
        ]
        assert [f.data for f in heard] == [payload(wish), payload(chunk)]
        assert heard[0].event() == wish

    async def test_sequence_numbers_have_no_gaps(self, log: EventLog, session: SessionId) -> None:
        outcomes = await log.append(
            [
                creation(session),
                batch(session, 1, delta(0), delta(9), delta(18)),
                batch(session, 1, delta(27), producer="q"),
                batch(session, 2, delta(36), delta(45)),
            ]
        )
        assert [(o.first, o.last) for o in outcomes] == [(1, 1), (2, 4), (5, 5), (6, 7)]
        assert [event.seq for event in await log.read(session, Seq(0))] == list(range(1, 8))

    async def test_reading_goes_on_after_a_cursor(self, log: EventLog, session: SessionId) -> None:
        await log.append([creation(session), batch(session, 1, *(delta(n) for n in range(9)))])
        assert [event.seq for event in await log.read(session, Seq(3), limit=4)] == [4, 5, 6, 7]
        assert await log.read(session, Seq(10)) == []
        assert await log.read(new_session_id(), Seq(0)) == []

    async def test_a_batch_sent_again_is_in_the_log_once(self, log: EventLog, session: SessionId) -> None:
        again = batch(session, 1, delta(0), delta(9))
        await log.append([creation(session), again, batch(session, 1, delta(18), producer="q")])
        assert await log.append([again]) == [Outcome(Verdict.DUP, Seq(2), Seq(3))]
        assert len(await log.read(session, Seq(0))) == 4

    async def test_a_producer_can_neither_go_back_nor_skip(self, log: EventLog, session: SessionId) -> None:
        await log.append([creation(session), batch(session, 1, delta(0)), batch(session, 2, delta(9))])
        outcomes = await log.append([batch(session, 1, delta(0)), batch(session, 4, delta(9))])
        assert outcomes == [
            Outcome(Verdict.STALE, Seq(2), Seq(3)),
            Outcome(Verdict.PRODUCER_GAP, Seq(2), Seq(3)),
        ]

    async def test_a_session_is_created_once(self, log: EventLog, session: SessionId) -> None:
        twin = batch(session, 1, STARTED, producer="twin", mode="create")
        early = batch(session, 1, delta(0))
        assert await self.say(log, early, creation(session), creation(session), twin) == [
            Verdict.NO_SESSION,
            Verdict.OK,
            Verdict.DUP,
            Verdict.CONFLICT,
        ]

    async def test_an_expected_place_that_is_taken_conflicts(self, log: EventLog, session: SessionId) -> None:
        await log.append([creation(session)])
        assert await self.say(
            log,
            batch(session, 1, delta(0), expected=1),
            batch(session, 2, delta(0), expected=1),
            batch(session, 2, delta(0), expected=2),
        ) == [Verdict.OK, Verdict.CONFLICT, Verdict.OK]

    async def test_an_owner_of_the_past_is_fenced(self, log: EventLog, session: SessionId) -> None:
        await log.append([creation(session), batch(session, 1, delta(0), producer="old", epoch=1)])
        assert await self.say(
            log,
            batch(session, 1, delta(0), producer="new", epoch=2),
            batch(session, 2, delta(0), producer="old", epoch=1),
            batch(session, 1, delta(0), producer="twin", epoch=2),
            batch(session, 2, delta(0), producer="new", epoch=2),
            batch(session, 1, delta(0), producer="command"),
        ) == [Verdict.OK, Verdict.FENCED, Verdict.FENCED, Verdict.OK, Verdict.OK]

    async def test_nothing_follows_the_end(self, log: EventLog, session: SessionId) -> None:
        end = batch(session, 1, ENDED, mode="seal")
        await log.append([creation(session)])
        assert await self.say(log, end, end, batch(session, 2, delta(0))) == [
            Verdict.OK,
            Verdict.DUP,
            Verdict.SEALED,
        ]
        [head] = await log.heads([session])
        assert head is not None
        assert (head.seq, head.state) == (2, "sealed")

    async def test_a_deleted_session_is_gone_but_remembered(self, log: EventLog, session: SessionId) -> None:
        await log.append([creation(session), batch(session, 1, new(delta(0), audio=b"sound"))])
        for _ in range(2):
            await log.delete(session)
        await log.delete(new_session_id())
        assert await log.read(session, Seq(0), audio=True) == []
        assert await self.say(log, batch(session, 1, delta(0)), creation(session)) == [Verdict.GONE] * 2
        [head] = await log.heads([session])
        assert head is not None
        assert (head.seq, head.state) == (2, "deleted")

    async def test_heads_say_where_sessions_stand(self, log: EventLog, session: SessionId) -> None:
        await log.append([creation(session), batch(session, 1, delta(0), epoch=3)])
        head, nothing = await log.heads([session, new_session_id()])
        assert nothing is None
        assert head is not None
        assert (head.seq, head.epoch, head.state) == (2, 3, "live")
        assert head.generation == generation(created_ms(session))
        assert await log.heads([]) == []

    async def test_sessions_with_work_that_nobody_does_are_found(
        self, log: EventLog, session: SessionId
    ) -> None:
        wish = TurnRequested(kind="prompt", text="Well?", settings=SessionSettings())
        await log.append([creation(session), batch(session, 1, delta(0))])
        assert session not in await log.abandoned()
        await log.append([batch(session, 2, wish, wish)])
        assert session in await log.abandoned()
        await log.acquire(session, "me", 60_000)
        assert session not in await log.abandoned()
        assert await log.has_work()
        await log.release(session, "me")
        await log.append([batch(session, 3, TurnStopped(reason="user"))])
        assert session in await log.abandoned()
        await log.append([batch(session, 4, TurnStopped(reason="user"))])
        assert session not in await log.abandoned()
        await log.append([batch(session, 5, SessionEndRequested())])
        assert session in await log.abandoned()
        await log.append([batch(session, 6, ENDED, mode="seal")])
        assert session not in await log.abandoned()

    async def test_time_never_runs_backwards(self, log: EventLog, session: SessionId) -> None:
        times = (1_000, 900, 1_100, 1_050)
        await log.append([creation(session), *(self._at(session, n, t) for n, t in enumerate(times, 1))])
        assert [f.ts_ms for f in await log.read(session, Seq(1))] == [1_000, 1_000, 1_100, 1_100]

    def _at(self, session: SessionId, number: int, ts_ms: int) -> Batch:
        return batch(session, number, new(delta(0), ts_ms=ts_ms))

    async def test_a_full_session_takes_last_words_only(self, log: EventLog, session: SessionId) -> None:
        sound = new(delta(0), audio=bytes(MAX_BYTES // 2))
        assert await self.say(
            log,
            creation(session),
            batch(session, 1, sound),
            batch(session, 2, sound),
            batch(session, 2, TurnStopped(reason="user")),
            batch(session, 3, ENDED, mode="seal"),
        ) == [Verdict.OK, Verdict.OK, Verdict.QUOTA, Verdict.OK, Verdict.OK]

    async def test_a_batch_too_large_is_refused_alone(self, log: EventLog, session: SessionId) -> None:
        huge = batch(session, 1, new(delta(0), audio=bytes(AUDIO_MAX + 1)))
        assert await self.say(log, creation(session), huge, batch(session, 1, delta(0))) == [
            Verdict.OK,
            Verdict.TOO_LARGE,
            Verdict.OK,
        ]

    async def test_no_events_change_nothing(self, log: EventLog, session: SessionId) -> None:
        [outcome] = await log.append([batch(session, 7, mode="create")])
        assert outcome.verdict is Verdict.OK
        assert await log.heads([session]) == [None]
        assert await log.append([]) == []

    async def test_a_subscriber_hears_appends_with_their_events(
        self, log: EventLog, session: SessionId
    ) -> None:
        other = new_session_id()
        await log.append([creation(session), creation(other)])
        subscription = log.push_subscription()
        await subscription.subscribe(session)
        heard: list[Push] = []
        with anyio.fail_after(10):
            async for word in subscription.pushes():
                if isinstance(word, Subscribed):
                    await log.append([batch(other, 1, delta(0))])
                    await log.append([batch(session, 1, new(delta(0), audio=b"sound"), delta(9))])
                    await log.append([batch(session, 2, delta(18))])
                else:
                    heard.append(word)
                if len(heard) == 2:
                    break
        await subscription.aclose()
        assert [(p.session, p.first, p.last) for p in heard] == [(session, 2, 3), (session, 4, 4)]
        said = await log.read(session, Seq(1), audio=True)
        assert [event for push in heard for event in push.events] == said

    async def test_a_subscriber_that_left_hears_nothing_more(self, log: EventLog, session: SessionId) -> None:
        other = new_session_id()
        await log.append([creation(session), creation(other)])
        subscription = log.push_subscription()
        await subscription.subscribe(session)
        with anyio.fail_after(10):
            async for word in subscription.pushes():
                if word == Subscribed(session):
                    await subscription.unsubscribe(session)
                    await subscription.subscribe(other)
                elif word == Subscribed(other):
                    await log.append([batch(session, 1, delta(0)), batch(other, 1, delta(0))])
                else:
                    break
        await subscription.aclose()
        assert word.session == other

    async def test_a_lease_has_one_holder(self, log: EventLog, session: SessionId) -> None:
        assert await log.acquire(session, "a", 60_000)
        assert not await log.acquire(session, "b", 60_000)
        assert await log.acquire(session, "a", 60_000)
        await log.release(session, "b")
        assert not await log.acquire(session, "b", 60_000)
        await log.release(session, "a")
        assert await log.acquire(session, "b", 60_000)

    async def test_a_tail_is_the_head_and_the_events_after_a_place(
        self, log: EventLog, session: SessionId
    ) -> None:
        await log.append([creation(session), batch(session, 1, *(delta(n) for n in range(9)), epoch=3)])
        tail = await log.tail(session, Seq(7))
        assert [tail.head] == await log.heads([session])
        assert list(tail.events) == await log.read(session, Seq(7))
        assert not (await log.tail(session, Seq(10))).events
        nothing = await log.tail(new_session_id(), Seq(0))
        assert (nothing.head, list(nothing.events)) == (None, [])

    async def test_an_owner_that_takes_a_lease_gets_the_tail_with_it(
        self, log: EventLog, session: SessionId
    ) -> None:
        await log.append([creation(session), batch(session, 1, delta(0), delta(9))])
        assert await log.acquire_tail(session, "a", 60_000, Seq(1)) == await log.tail(session, Seq(1))
        assert await log.acquire_tail(session, "b", 60_000, Seq(1)) is None
        assert not await log.acquire(session, "b", 60_000)
        await log.release(session, "a")
        assert await log.acquire_tail(session, "b", 60_000, Seq(3)) == await log.tail(session, Seq(3))

    async def test_many_leases_are_renewed_in_one_call_and_each_is_told_of(
        self, log: EventLog, session: SessionId
    ) -> None:
        free, lost = new_session_id(), new_session_id()
        assert await log.acquire(session, "a", 20)
        assert await log.acquire(lost, "b", 60_000)
        held = await log.renew([(session, "a"), (lost, "a"), (free, "a")], 60_000)
        assert held == [True, False, True]
        await anyio.sleep(0.03)
        assert not await log.acquire(session, "b", 60_000)
        assert await log.renew([], 60_000) == []

    async def test_a_lease_runs_out(self, log: EventLog, session: SessionId) -> None:
        assert await log.acquire(session, "a", 20)
        await anyio.sleep(0.03)
        assert await log.acquire(session, "b", 60_000)

    async def test_a_large_batch_is_announced_too(self, log: EventLog, session: SessionId) -> None:
        await log.append([creation(session)])
        subscription = log.push_subscription()
        await subscription.subscribe(session)
        with anyio.fail_after(10):
            async for word in subscription.pushes():
                if isinstance(word, Push):
                    break
                await log.append([batch(session, 1, delta(0, "x" * 2 * PUSH_MAX))])
        await subscription.aclose()
        assert isinstance(word, Push)
        assert (word.first, word.last) == (2, 2)
        assert list(word.events) in ([], await log.read(session, Seq(1)))
