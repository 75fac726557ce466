"""Speech to text around a model that blocks: window by window on a few threads, first come, first served."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import inf
from time import perf_counter, process_time
from typing import Protocol

from pipeline.engines.ports import Transcript, Utterance, WrittenWord
from pipeline.engines.slots import Slots
from pipeline.engines.stt.pcm_samples import RATE, named_language
from pipeline.engines.stt.whisper_windows import FULL_S
from pipeline.engines.watchdog import WatchedEngine
from schemas.errors import EngineDead, EngineFailed, RhapsodeError


@dataclass(eq=False, slots=True)
class Share:
    """One piece of work's part of the process's time, so far as it has been counted."""

    cpu_ms: float = 0.0


class CpuShares:
    """Divides the process's time equally among what is being worked on at each moment.

    Right where the process does little else and every piece of work keeps one thread busy.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._active: list[Share] = []
        self._counted_s = 0.0

    @contextmanager
    def measured(self) -> Generator[Share, None, None]:
        """The share of what happens within the block; complete when it has ended."""
        share = Share()
        with self._lock:
            self._count()
            self._active.append(share)
        try:
            yield share
        finally:
            with self._lock:
                self._count()
                self._active.remove(share)

    def _count(self) -> None:
        now_s = process_time()
        for share in self._active:
            share.cpu_ms += (now_s - self._counted_s) * 1_000 / len(self._active)
        self._counted_s = now_s


@dataclass(frozen=True, slots=True)
class DecodedPiece:
    """Transcript of one window of an utterance."""

    text: str
    """As the model wrote it, mostly with a space before it: pieces are joined as they are."""
    language: str
    words: tuple[WrittenWord, ...] = ()
    """Places in this text; times in the whole utterance."""


class UtteranceDecoder(Protocol):
    """A model that writes down, and blocks meanwhile. Several threads may use it at once."""

    def engine(self, utterance: Utterance) -> str:
        """Which model it would take, as "whisper base int8"."""
        ...

    def pieces(self, utterance: Utterance) -> Iterator[DecodedPiece]:
        """Each step works on one window; whoever stops asking stops the work."""
        ...


class ThreadedSpeechToText(WatchedEngine):
    """Works on `places` utterances together, whose windows take turns on `threads` threads.

    Closing a stream gives its place back at once; a window under way is finished, and nobody waits for it.
    """

    def __init__(
        self, decoder: UtteranceDecoder, *, threads: int, places: int, queued: int, stall_s: float = inf
    ) -> None:
        """`stall_s`: seconds that one window may take."""
        super().__init__(Slots(places, waiting=queued), stall_s)
        self._decoder = decoder
        # An utterance asks for its next window when it has the one before: so the queue is fair by itself.
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="speech-to-text")
        self._shares = CpuShares()
        self._closed = False

    @property
    def providers(self) -> tuple[str, ...]:
        return ()

    async def transcribe(self, utterance: Utterance) -> AsyncGenerator[str | Transcript, None]:
        """See `SpeechToText.transcribe`. Deltas come only where one window does not hold all."""
        is_long = len(utterance.pcm) > 2 * RATE * FULL_S
        async with self._slots.take():
            written = _Written(named_language(utterance))
            pieces = self._decoder.pieces(utterance)
            while (piece := await self._next(pieces, written)) is not None:
                if (delta := written.add(piece)) and is_long:
                    yield delta
        yield written.transcript(self._decoder.engine(utterance))

    async def aclose(self) -> None:
        """Refuse further work; utterances under way fail with EngineDead at their next window."""
        self._closed = True
        await asyncio.to_thread(self._pool.shutdown)

    async def _next(self, pieces: Iterator[DecodedPiece], written: "_Written") -> DecodedPiece | None:
        if self._closed:
            raise EngineDead("The speech-to-text engine was shut down.")
        try:
            return await asyncio.wrap_future(self._pool.submit(self._step, pieces, written))
        except RhapsodeError:
            raise
        except Exception as error:  # the libraries raise what they like
            raise EngineFailed(f"The sound could not be written down: {error}") from error

    def _step(self, pieces: Iterator[DecodedPiece], written: "_Written") -> DecodedPiece | None:
        began = perf_counter()
        with self._watchdog.working(), self._shares.measured() as share:
            piece = next(pieces, None)
        written.decode_ms += (perf_counter() - began) * 1_000
        written.cpu_ms += share.cpu_ms
        return piece


@dataclass(slots=True)
class _Written:
    """The transcript as it grows."""

    language: str
    text: str = ""
    words: list[WrittenWord] = field(default_factory=list)
    decode_ms: float = 0.0
    cpu_ms: float = 0.0

    def add(self, piece: DecodedPiece) -> str:
        """Text that is new; empty if the piece holds nothing."""
        delta = piece.text.rstrip() if self.text else piece.text.strip()
        left_out = 0 if self.text else len(piece.text) - len(piece.text.lstrip())
        moved = len(self.text) - left_out
        for word in piece.words:
            free_ms = self.words[-1].end_ms if self.words else 0
            begin_ms, end_ms = max(word.start_ms, free_ms), max(word.end_ms, free_ms)
            self.words.append(WrittenWord(word.start + moved, word.end + moved, begin_ms, end_ms))
        self.text += delta
        self.language = piece.language
        return delta

    def transcript(self, engine: str) -> Transcript:
        return Transcript(self.text, self.language, engine, tuple(self.words), self.decode_ms, self.cpu_ms)
