"""The sound of a call: every packet once, in order, at its time, whatever happens in between."""

import asyncio
from collections.abc import Coroutine
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from deployments.faces.realtime.webrtc.call_sound import CallSound
from deployments.faces.realtime.webrtc.sound_output import POSITION_MS, SoundOutput
from pipeline.audio.opus import PACKET_MS, frame
from schemas.events.recorded import Recorded
from schemas.ids import Seq, SessionId, TurnId
from tests.support.jumping_loop import JumpingLoop

ABOUT = {"response_id": "resp_1", "item_id": "item_1"}
SILENT = bytes((0xF8, 0xFF, 0xFE))


def run(work: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        runner.run(work)


def chunks(lengths: list[int]) -> list[tuple[Recorded, list[bytes]]]:
    """`audio.chunk` events of so many packets each; every packet says which one it is."""
    made, at = [], 0
    for number, length in enumerate(lengths):
        packets = [b"\x80" + (at + each).to_bytes(2, "big") for each in range(length)]
        data = {
            "sentence": 0,
            "chunk": number,
            "at_ms": at * PACKET_MS,
            "ms": length * PACKET_MS,
            "codec": "opus",
            "bytes": 0,
            "last": False,
        }
        recorded = Recorded(Seq(10 + number), 0, TurnId(2), "audio.chunk", 1, data, audio=frame(packets))
        made.append((recorded, packets))
        at += length
    return made


class Listener:
    """Takes the packets of a track, and what is told beside it."""

    def __init__(self, output: SoundOutput) -> None:
        self.output = output
        self.packets: list[bytes] = []
        self.times: list[float] = []
        self.pts: list[int] = []
        self.told: list[tuple[str, dict[str, Any]]] = []

    async def take(self, count: int) -> None:
        for _ in range(count):
            packet = await self.output.recv()
            self.times.append(asyncio.get_running_loop().time())
            assert packet.pts is not None
            self.pts.append(packet.pts)
            if bytes(packet) != SILENT:
                self.packets.append(bytes(packet))

    async def listen(self) -> None:
        async def tell(kind: str, **data: Any) -> None:
            self.told.append((kind, data))

        await self.output.run(tell)

    @property
    def cursor(self) -> tuple[int, int]:
        """Of the last position that was told."""
        _, data = [one for one in self.told if one[0].endswith(".position")][-1]
        seq, _, ms = data["audio_cursor"].partition(".")
        return int(seq), int(ms)


def replay(made: list[tuple[Recorded, list[bytes]]], cursor: tuple[int, int]) -> SoundOutput:
    """Another call, which goes on at the cursor."""
    output = SoundOutput()
    for recorded, _ in made:
        if recorded.seq > cursor[0]:
            output.play(recorded, ABOUT)
        elif recorded.seq == cursor[0] and cursor[1] < recorded.data["ms"]:
            output.play(recorded, ABOUT, skip_ms=cursor[1])
    output.release()
    return output


@given(lengths=st.lists(st.integers(1, 30), min_size=1, max_size=8), data=st.data())
def test_a_call_that_breaks_anywhere_loses_less_than_a_stretch_and_doubles_nothing(
    lengths: list[int], data: st.DataObject
) -> None:
    made = chunks(lengths)
    everything = [packet for _, packets in made for packet in packets]
    cut = data.draw(st.integers(1, len(everything)))

    async def both() -> None:
        first = Listener(replay(made, (0, 0)))
        telling = asyncio.create_task(first.listen())
        await first.take(cut)
        await asyncio.sleep(0.001)
        telling.cancel()
        second = Listener(replay(made, first.cursor))
        await second.take(len(everything) + 5)
        heard = first.packets + second.packets
        assert heard == sorted(set(heard))
        assert len(everything) - len(heard) < POSITION_MS // PACKET_MS
        assert second.packets == everything[len(everything) - len(second.packets) :]

    run(both())


@given(lengths=st.lists(st.integers(1, 30), min_size=1, max_size=8), data=st.data())
def test_a_call_that_is_seen_out_loses_nothing(lengths: list[int], data: st.DataObject) -> None:
    made = chunks(lengths)
    everything = [packet for _, packets in made for packet in packets]
    cut = data.draw(st.integers(1, len(everything)))

    async def both() -> None:
        first = Listener(replay(made, (0, 0)))
        telling = asyncio.create_task(first.listen())
        await first.take(cut)
        leaving = asyncio.create_task(first.output.leave())
        await asyncio.sleep(0)
        while not leaving.done():
            await first.take(1)
            await asyncio.sleep(0)
        await asyncio.sleep(0.001)
        telling.cancel()
        second = Listener(replay(made, first.cursor))
        await second.take(len(everything) + 5)
        assert first.packets + second.packets == everything

    run(both())


def test_sound_is_sent_when_it_is_due_and_its_times_go_on_through_a_pause() -> None:
    async def timed() -> None:
        output = SoundOutput()
        listener = Listener(output)
        output.release()
        [(first, _), (second, _)] = chunks([20, 20])
        output.play(first, ABOUT)
        await listener.take(40)
        output.play(second, ABOUT)
        await listener.take(20)
        steps = [late - soon for soon, late in zip(listener.times, listener.times[1:], strict=False)]
        assert all(0.019 < step < 0.021 for step in steps[1:29] + steps[-18:])
        assert max(steps) < 0.21, "a client that hears nothing for a second takes its gateway for dead"
        for at_s, pts in zip(listener.times, listener.pts, strict=True):
            assert abs(at_s - listener.times[0] - pts / 48_000) < 0.05

    run(timed())


class Kept:
    """A log that has these events."""

    def __init__(self, events: list[Recorded]) -> None:
        self.events = events

    async def read(self, session: SessionId, after: Seq, *, limit: int, audio: bool) -> list[Recorded]:
        assert audio
        await asyncio.sleep(0)
        return [one for one in self.events if one.seq > after][:limit]


@given(
    lengths=st.lists(st.integers(1, 30), min_size=2, max_size=12),
    held=st.integers(0, 3),
    cleared=st.booleans(),
)
@example(lengths=[1, 1], held=2, cleared=True)
def test_of_sound_that_does_not_fit_into_memory_one_place_in_the_log_is_kept(
    lengths: list[int], held: int, cleared: bool
) -> None:
    made = [(replace(one, seq=Seq(2 * one.seq)), packets) for one, packets in chunks(lengths)]
    everything = [packet for _, packets in made for packet in packets]
    between = [Recorded(Seq(one.seq + 1), 0, TurnId(9), "text.delta", 1, {}) for one, _ in made]

    async def heard() -> None:
        output = SoundOutput()
        output._held = 1024 * 1024 - sum(len(one.audio or b"") for one, _ in made[:held])
        log: Any = Kept(sorted([one for one, _ in made] + between, key=lambda one: one.seq))
        output.read_from(log, SessionId("s"))
        for recorded, _ in made:
            output.play(recorded, ABOUT)
        assert len(output._queue) <= len(made[:held]) + 1
        output.release()
        listener = Listener(output)
        if cleared:
            reading = asyncio.create_task(listener.take(len(everything) + 5))
            await asyncio.sleep(0)
            output.clear()
            await reading
            assert len(listener.packets) <= len(made[0][1])
        else:
            await listener.take(len(everything) + 5)
            assert listener.packets == everything

    run(heard())


def test_cleared_sound_is_not_heard_and_its_heard_part_is_known() -> None:
    async def cleared() -> None:
        output = SoundOutput()
        listener = Listener(output)
        telling = asyncio.create_task(listener.listen())
        output.release()
        for recorded, _ in chunks([20, 20]):
            output.play(recorded, ABOUT)
        await listener.take(25)
        [cut] = output.clear()
        output.end(TurnId(2), ABOUT)
        await listener.take(30)
        await asyncio.sleep(0.001)
        telling.cancel()
        assert (cut.turn, cut.about, cut.heard_ms) == (2, ABOUT, 500)
        assert len(listener.packets) == 25
        buffer = [(kind.rpartition(".")[2], data["response_id"]) for kind, data in listener.told]
        assert [one for one in buffer if one[0] != "position"] == [
            ("started", "resp_1"),
            ("cleared", "resp_1"),
        ]

    run(cleared())


def test_a_held_call_is_silent_from_the_end_of_a_stretch_until_it_goes_on() -> None:
    made = chunks([30])
    everything = made[0][1]
    stretch = POSITION_MS // PACKET_MS

    async def listen() -> None:
        listener = Listener(replay(made, (0, 0)))
        await listener.take(3)
        listener.output.hold(True)
        await listener.take(stretch + 20)
        assert listener.packets == everything[:stretch]
        listener.output.hold(False)
        await listener.take(len(everything))
        assert listener.packets == everything

    run(listen())


def test_a_question_ends_the_pause_of_a_call() -> None:
    """As it ends that of the session, whose log has no `playback.resumed` then."""
    made = chunks([30])

    async def listen() -> None:
        listener = Listener(replay(made, (0, 0)))
        opened: Any = SimpleNamespace(session=SessionId("s"), head=SimpleNamespace(seq=0), after=Seq(0))
        services: Any = SimpleNamespace(clock=None, log=None)
        sound = CallSound(services, opened, listener.output, "rtc_1")
        for seq, kind in enumerate(("playback.paused", "turn.requested"), 50):
            await sound.follow(Recorded(Seq(seq), 0, TurnId(0), kind, 1, {}), [])
        await listener.take(30)
        assert listener.packets == made[0][1]

    run(listen())
