"""The sound of a call frame by frame, with a provider that plays when it is told to."""

from collections import deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from anyio import lowlevel

from deployments.faces.telephone import phone_output
from deployments.faces.telephone.phone_output import FRAME_BYTES, PhoneOutput
from schemas.events.recorded import Recorded
from schemas.ids import Seq, TurnId
from tests.support.eventually import eventually

pytestmark = pytest.mark.anyio
TURN = TurnId(3)


def chunk(number: int, *, turn: TurnId = TURN, ms: int = 400, last: bool = False) -> Recorded:
    """Piece `number` of one sentence; its Opus is its number."""
    data = {"sentence": 0, "chunk": number, "at_ms": number * ms, "ms": ms, "last": last}
    return Recorded(
        seq=Seq(10 * turn + number),
        ts_ms=0,
        turn=turn,
        type="audio.chunk",
        v=1,
        data=data,
        audio=bytes([number]),
    )


@dataclass
class Played:
    """A provider that plays frames and returns marks when it is told to."""

    output: PhoneOutput = field(init=False)
    waiting: deque[bytes | str] = field(default_factory=deque)
    frames: list[bytes] = field(default_factory=list)
    clears: int = 0
    heard: list[tuple[int, int]] = field(default_factory=list)
    without_audio: int = 0

    async def send(self, kind: str, data: str | bytes) -> None:
        if kind == "clear":
            self.clears += 1
            self.waiting.clear()
        else:
            self.waiting.append(data)

    async def render(self, recorded: Recorded) -> bytes:
        self.without_audio += recorded.audio is None
        return bytes(recorded.data["ms"] * 48)

    async def note(self, turn: TurnId, ms: int) -> None:
        self.heard.append((turn, ms))

    async def play(self, count: int = 10_000) -> None:
        """So many frames, and the marks behind them."""
        while self.waiting and (count or isinstance(self.waiting[0], str)):
            item = self.waiting.popleft()
            if isinstance(item, str):
                await self.output.marked(item)
            else:
                count -= 1
                self.frames.append(item)
            await lowlevel.checkpoint()

    async def play_all(self, frames: int) -> None:
        with anyio.fail_after(30):
            while len(self.frames) < frames:
                await self.play()
                await anyio.lowlevel.checkpoint()


@asynccontextmanager
async def playing(*chunks: Recorded) -> AsyncGenerator[Played, None]:
    played = Played()
    played.output = PhoneOutput(played.render, played.send, played.note, "mulaw")
    for one in chunks:
        played.output.play(one)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(played.output.run)
        yield played
        tasks.cancel_scope.cancel()


async def test_no_more_than_a_second_is_sent_before_it_is_heard() -> None:
    async with playing(*(chunk(number) for number in range(5))) as played:
        await eventually(lambda: len(played.waiting) == 55)
        await lowlevel.checkpoint()
        assert sum(isinstance(one, bytes) for one in played.waiting) == 50
        await played.play_all(95)  # the resampler holds the last moments until the sentence is over
        assert {len(frame) for frame in played.frames} == {FRAME_BYTES}


async def test_all_of_a_sentence_is_heard_to_its_end() -> None:
    async with playing(chunk(0), chunk(1, last=True)) as played:
        await played.play_all(40)
        await played.play()
        assert played.heard[-1] == (TURN, 800)
        assert not played.output.pending(TURN)


async def test_unheard_sound_alone_comes_again_after_a_pause() -> None:
    async with playing(chunk(0), chunk(1, last=True)) as played:
        await eventually(lambda: len(played.waiting) >= 20)
        await played.play(17)
        assert played.heard == [(TURN, 200)]
        await played.output.pause()
        assert (played.clears, list(played.waiting)) == (1, [])
        played.output.resume()
        await played.play_all(17 + 30)
        await played.play()
        assert len(played.frames) == 17 + 30, "ten of the frames were known to be heard"
        assert played.heard[-1] == (TURN, 800)


async def test_a_mark_from_before_a_clear_says_nothing() -> None:
    async with playing(chunk(0, last=True)) as played:
        await eventually(lambda: len(played.waiting) >= 20)
        marks = [one for one in played.waiting if isinstance(one, str)]
        await played.output.pause()
        for mark in [*marks, "nonsense"]:
            await played.output.marked(mark)
        assert played.heard == []


async def test_only_the_dropped_turn_is_silent() -> None:
    other = TurnId(7)
    async with playing(chunk(0, last=True), chunk(0, turn=other, last=True)) as played:
        await eventually(lambda: len(played.waiting) >= 40)
        await played.output.drop(TURN)
        await played.play_all(20)
        await played.play()
        played.output.play(chunk(1))
        assert len(played.frames) == 20
        assert {turn for turn, _ in played.heard} == {other}
        assert not played.output.pending(TURN)


async def test_sound_that_was_heard_before_is_left_out() -> None:
    played = Played()
    played.output = PhoneOutput(played.render, played.send, played.note, "alaw")
    played.output.skip(TURN, 500)
    for number in range(3):
        played.output.play(chunk(number, last=number == 2))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(played.output.run)
        await played.play_all(35)
        await played.play()
        tasks.cancel_scope.cancel()
    assert (len(played.frames), played.heard[-1]) == (35, (TURN, 1_200))


async def test_sound_beyond_the_memory_is_read_from_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(phone_output, "_HELD", 2)
    async with playing(*(chunk(number, last=number == 4) for number in range(5))) as played:
        await played.play_all(100)
        assert played.without_audio == 3


async def test_a_provider_without_marks_hears_everything_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(phone_output, "_UNMARKED_S", 0.05)
    sent: list[Any] = []
    async with playing(*(chunk(number, last=number == 4) for number in range(5))) as played:
        with anyio.fail_after(30):
            while len(sent) < 100:
                sent += [one for one in played.waiting if isinstance(one, bytes)]
                played.waiting.clear()
                await anyio.sleep(0.01)
        assert played.heard == []
