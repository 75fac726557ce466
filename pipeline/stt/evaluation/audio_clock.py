"""Listening again at the pace of the sound, without waiting for it: time goes on only when work is done."""

import heapq
from collections.abc import AsyncGenerator, Callable
from itertools import count
from time import monotonic
from typing import Final

import anyio
from anyio.lowlevel import checkpoint

from pipeline.engines.ports import SpeechToText, Transcript, Utterance
from pipeline.stt.utterance_transcriber import write_down
from schemas.errors import EngineBusy

_PASSES: Final = 5
"""Turns of the event loop in which everything that can go on has gone on to its next wait: an event wakes an
engine's stream, that its transcriber, that the task that waits for the text, and that the next request."""
_BUSY_S: Final = 0.25
_BUSY_TRIES: Final = 40


class AudioClock:
    """A Clock whose seconds are those of the sound. Only `advance` and `until` move it."""

    def __init__(self, at_s: float) -> None:
        self._now = at_s
        self._due: list[tuple[float, int, anyio.Event]] = []
        self._order = count()
        self._working = 0
        self._rested = anyio.Event()

    def now_ms(self) -> int:
        return round(self._now * 1_000)

    def monotonic(self) -> float:
        return self._now

    async def sleep(self, seconds: float) -> None:
        woken = anyio.Event()
        heapq.heappush(self._due, (self._now + seconds, next(self._order), woken))
        await woken.wait()

    def begin_work(self) -> None:
        """Time stands still until `end_work`: how long it takes is not known yet."""
        self._working += 1

    def end_work(self) -> None:
        self._working -= 1
        self._rested.set()

    async def advance(self, to_s: float) -> None:
        """Everything that happens until then happens, in order."""
        await self._settle()
        while self._due and self._due[0][0] <= to_s:
            await self._wake()
        self._now = max(self._now, to_s)

    async def until(self, done: Callable[[], bool]) -> None:
        """Go on from one event to the next until it is so, or nothing is left that could happen."""
        await self._settle()
        while not done() and self._due:
            await self._wake()

    async def _wake(self) -> None:
        due_s, _, woken = heapq.heappop(self._due)
        self._now = max(self._now, due_s)
        woken.set()
        await self._settle()

    async def _settle(self) -> None:
        while True:
            for _ in range(_PASSES):
                await checkpoint()
            if not self._working:
                return
            self._rested = anyio.Event()
            await self._rested.wait()


class TimedSpeechToText:
    """An engine whose work takes as long on an AudioClock as it says it took; what it cost is added up."""

    def __init__(self, engine: SpeechToText, clock: AudioClock) -> None:
        self._engine = engine
        self._clock = clock
        self.requests = 0
        self.cpu_ms = 0.0
        self.decode_ms = 0.0

    @property
    def providers(self) -> tuple[str, ...]:
        return self._engine.providers

    async def transcribe(self, utterance: Utterance) -> AsyncGenerator[str | Transcript, None]:
        """As `SpeechToText.transcribe`, but for deltas. A busy engine is asked again: others come first."""
        began = monotonic()
        self._clock.begin_work()
        try:
            made = await self._patiently(utterance)
        finally:
            self._clock.end_work()
        took_ms = made.decode_ms or (monotonic() - began) * 1_000
        self.requests += 1
        self.cpu_ms += made.cpu_ms
        self.decode_ms += took_ms
        await self._clock.sleep(took_ms / 1_000)
        yield made

    async def _patiently(self, utterance: Utterance) -> Transcript:
        for _ in range(_BUSY_TRIES):
            try:
                return await write_down(self._engine, utterance)
            except EngineBusy:
                await anyio.sleep(_BUSY_S)
        return await write_down(self._engine, utterance)

    async def aclose(self) -> None:
        """The engine stays its owner's."""
