"""Audio in the format a listener wants: made off the loop, once per sentence and format, for everybody."""

import asyncio
import os
from collections import OrderedDict
from typing import Final

from pipeline.audio.audio_formats import AudioFormat, Mp3Encoder, wav_header
from pipeline.audio.opus import OpusDecoder
from pipeline.core.fair_slots import FairPlaces
from pipeline.eventlog.event_log import EventLog
from pipeline.session_state.session_views import SessionViews
from schemas.errors import RhapsodeError
from schemas.events.recorded import Recorded
from schemas.ids import Seq, SessionId, TurnId


class SentenceRenderer:
    """Turns chunks into one format; the same chunks always give the same bytes.

    Each sentence stands alone: everything is reset at chunk 0. Synchronous and not cheap (3 ms of CPU for a
    second of PCM, 7 for MP3): callers with an event loop use a thread.
    """

    def __init__(self, fmt: AudioFormat) -> None:
        self._fmt = fmt
        self._decoder = OpusDecoder()
        self._mp3 = Mp3Encoder()

    def render(self, packets: bytes, *, chunk: int, last: bool) -> bytes:
        """The chunk's bytes: `opus` unchanged, `wav` with a header before chunk 0, `mp3` flushed at the last.

        MP3 may be empty for a very short chunk, whose sound comes with the next one. Of a chunk that is
        longer than `CHUNK_MS`, which is neither recorded nor imported, no more is rendered.
        """
        if self._fmt == "opus":
            return packets
        if chunk == 0:
            self._decoder = OpusDecoder()
            self._mp3 = Mp3Encoder()
        pcm = next(self._decoder.pieces(packets), b"")
        if self._fmt == "mp3":
            return self._mp3.encode(pcm) + (self._mp3.finish() if last else b"")
        if self._fmt == "wav" and chunk == 0:
            return wav_header(None) + pcm
        return pcm


Key = tuple[SessionId, AudioFormat, TurnId, int]
_PAGE = 200
_KEPT: Final = 16_384
_KEPT_BYTES: Final = 64 << 20
"""Of all sentences, about."""
_OPEN: Final = 1_024
"""Sentences that are not whole: each has codecs of a third of a megabyte."""


class _Rendering:
    """One sentence in one format, as far as anybody asked for it."""

    def __init__(self, key: Key, fmt: AudioFormat) -> None:
        self.key = key
        self.lock = asyncio.Lock()
        self.fmt = fmt
        self.renderer: SentenceRenderer | None = None
        """While the sentence is not whole."""
        self.chunks: list[bytes] = []


class Renderings:
    """Keeps rendered sentences; a forgotten one is made again from the log."""

    def __init__(self, log: EventLog, views: SessionViews) -> None:
        self._log = log
        self._views = views
        self._bytes = 0
        self._tasks: set[asyncio.Task[bytes]] = set()
        self._renderings: OrderedDict[Key, _Rendering] = OrderedDict()
        self._open: OrderedDict[Key, None] = OrderedDict()
        """Those that have codecs, the least recently used first."""
        self._places = FairPlaces(os.cpu_count() or 1)

    async def render(
        self, session: SessionId, fmt: AudioFormat, chunk: Recorded, principal: str = ""
    ) -> bytes:
        """The audio of an `audio.chunk` event (read with its audio) as `fmt`.

        Each of the listening principals has its turn: hundreds of replays of one keep no other waiting.
        """
        if fmt == "opus":
            return chunk.audio or b""
        # A listener that goes away must not stop the codec between two chunks: others need its state.
        task = asyncio.create_task(self._render(session, fmt, chunk, principal))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return await asyncio.shield(task)

    async def _render(self, session: SessionId, fmt: AudioFormat, chunk: Recorded, principal: str) -> bytes:
        key = (session, fmt, chunk.turn, chunk.data["sentence"])
        rendering = self._rendering(key, fmt)
        number: int = chunk.data["chunk"]
        async with rendering.lock:
            if number > len(rendering.chunks):
                await self._catch_up(session, rendering, chunk, principal)
            if number == len(rendering.chunks):
                await self._advance(rendering, chunk, principal)
            return rendering.chunks[number]

    def forget(self, session: SessionId) -> None:
        """Let go of a session's audio."""
        for key in [key for key in self._renderings if key[0] == session]:
            self._drop(key)

    def _drop(self, key: Key) -> None:
        self._open.pop(key, None)
        self._bytes -= sum(map(len, self._renderings.pop(key).chunks))

    async def _advance(self, rendering: _Rendering, chunk: Recorded, principal: str) -> None:
        last, renderer = chunk.data["last"], rendering.renderer or SentenceRenderer(rendering.fmt)
        async with self._places.place(principal):
            made = await asyncio.to_thread(
                renderer.render, chunk.audio or b"", chunk=chunk.data["chunk"], last=last
            )
        rendering.chunks.append(made)
        rendering.renderer = None if last else renderer
        if self._renderings.get(rendering.key) is rendering:
            self._bytes += len(made)
            self._keep_open(rendering)

    def _keep_open(self, rendering: _Rendering) -> None:
        self._open.pop(rendering.key, None)
        if rendering.renderer is not None:
            self._open[rendering.key] = None
        if len(self._open) > _OPEN:
            self._drop(next(iter(self._open)))

    def _rendering(self, key: Key, fmt: AudioFormat) -> _Rendering:
        rendering = self._renderings.setdefault(key, _Rendering(key, fmt))
        self._renderings.move_to_end(key)
        while len(self._renderings) > 1 and (self._bytes > _KEPT_BYTES or len(self._renderings) > _KEPT):
            self._drop(next(iter(self._renderings)))
        return rendering

    async def _catch_up(
        self, session: SessionId, rendering: _Rendering, chunk: Recorded, principal: str
    ) -> None:
        """Render the sentence's earlier chunks, which this process has not seen."""
        after = Seq(await self._first_chunk(session, chunk) - 1)
        while after < chunk.seq - 1:
            page = await self._log.read(session, after, limit=_PAGE, audio=True)
            if not page:
                break
            for earlier in page:
                if earlier.seq >= chunk.seq:
                    break
                if (earlier.type, earlier.turn) == ("audio.chunk", chunk.turn) and (
                    earlier.data["sentence"],
                    earlier.data["chunk"],
                ) == (chunk.data["sentence"], len(rendering.chunks)):
                    await self._advance(rendering, earlier, principal)
            after = page[-1].seq
        if len(rendering.chunks) < chunk.data["chunk"]:
            raise RhapsodeError(f"the audio before event {chunk.seq} is missing from the log")

    async def _first_chunk(self, session: SessionId, chunk: Recorded) -> Seq:
        """Sequence number at which the chunk's sentence begins to sound in the log."""
        conversation, _ = await self._views.get(session)
        first = conversation.turns[chunk.turn].sentences[chunk.data["sentence"]].first_chunk
        return chunk.seq if first is None else first
