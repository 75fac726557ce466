"""The audio of whole turns as one file, from the log: small files at once, large ones while they are sent."""

from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from functools import cached_property, partial
from hashlib import sha256
from itertools import groupby
from typing import Final, TypeVar

import anyio.to_thread

from pipeline.audio.audio_files import HEAD, StoredChunk, file_stream, pcm_bytes, whole_file
from pipeline.audio.audio_formats import WAV_HEADER_BYTES, AudioFormat, mp3_bytes
from pipeline.audio.chapter_tags import Chapter, id3_tag
from pipeline.core.fair_slots import FairPlaces
from pipeline.eventlog.event_log import EventLog
from pipeline.session_state.turn_state import SentenceState, TurnState
from schemas.ids import Seq, SessionId

_PAGE: Final = 32
"""Events that are read at a time, with at most 256 kB of sound each."""
_SIZES: Final = 256
_MADE_BYTES: Final = 64 << 20
"""Of small files that are kept."""
_PLACES: Final = 2
"""Files, or pieces of them, that are made at a time, for one principal after the other: hundreds of them took
all threads of a gateway, and speech that others hear waited for minutes."""
T = TypeVar("T")
EXTENSIONS: Final[dict[AudioFormat, str]] = {"wav": "wav", "mp3": "mp3", "opus": "ogg", "pcm16": "pcm"}


@dataclass(frozen=True)
class RecordingPart:
    """The sound of these turns of a session, as far as the log has it up to an event."""

    session: SessionId
    turns: list[TurnState]
    upto: Seq

    @cached_property
    def sentences(self) -> list[SentenceState]:
        """Those that sound, in the order of the log; there may be a hundred thousand."""
        found = [one for turn in self.turns for one in turn.sentences if one.first_chunk is not None]
        return sorted(found, key=lambda one: one.first_chunk or 0)


_Sounding = tuple[RecordingPart, SentenceState]


@dataclass(frozen=True)
class RecordingParams:
    """These parts one after another in this format, with these chapters once they are complete."""

    parts: tuple[RecordingPart, ...]
    fmt: AudioFormat
    titled: tuple[Chapter, ...] = ()
    principal: str = ""
    """Of the client that waits for it."""

    @cached_property
    def sentences(self) -> list[_Sounding]:
        """Those that sound, in their order, each with the part that it is of."""
        return [(part, sentence) for part in self.parts for sentence in part.sentences]

    @cached_property
    def ms(self) -> int:
        return sum(one.ms for _, one in self.sentences)

    def ms_until_sentence(self, at_ms: int) -> int:
        """The beginning of the sentence that sounds at this place: what a part of the file is made from."""
        begins = 0
        for _, one in self.sentences:
            if begins + one.ms > at_ms:
                break
            begins += one.ms
        return begins

    @cached_property
    def complete(self) -> bool:
        return all(turn.over for part in self.parts for turn in part.turns)

    @property
    def chapters(self) -> tuple[Chapter, ...]:
        return self.titled if self.complete else ()

    @cached_property
    def _extent(self) -> str:
        return " ".join(
            f"{part.session} " + ",".join(f"{turn.turn}:{turn.audio_ms}" for turn in part.turns)
            for part in self.parts
        )

    @cached_property
    def etag(self) -> str:
        """The validator that changes whenever the file's bytes do."""
        titles = "".join(f"\n{one.title}" for one in self.chapters)
        identity = f"{self.fmt} {self._extent} {self.complete} streamed{titles}"
        return f'"{sha256(identity.encode()).hexdigest()[:32]}"'


class Recordings:
    """Makes files off the loop. Small ones are kept for a while: range after range costs one making."""

    def __init__(self, log: EventLog, *, small_bytes: int = 16 << 20) -> None:
        """Sound with more than `small_bytes` of PCM is made while it is sent,
        as WAV or PCM with more than a quarter of it: whoever reads slowly has the file held for them."""
        self._log = log
        self._small = small_bytes
        self._places = FairPlaces(_PLACES)
        self._made: OrderedDict[str, bytes] = OrderedDict()
        self._sizes: OrderedDict[str, int] = OrderedDict()

    def small(self, params: RecordingParams) -> bool:
        """Whether the file is made whole; of WAV and PCM a part is made as easily as all."""
        packed = params.fmt in ("mp3", "opus")
        return pcm_bytes(params.ms) <= (self._small if packed else self._small // 4)

    def kept(self, params: RecordingParams) -> bool:
        """Whether the small file is there already."""
        return params.etag in self._made

    async def make(self, params: RecordingParams) -> bytes:
        """The turns' audio laid end to end; sizes in its header are open while a turn is running."""
        etag = params.etag
        if (recording := self._made.get(etag)) is None:
            async with self._places.place(params.principal):
                recording = self._made.get(etag) or await self._make(params)
        self._made[etag] = recording
        self._made.move_to_end(etag)
        while sum(map(len, self._made.values())) > _MADE_BYTES:
            self._made.popitem(last=False)
        return recording

    async def _make(self, params: RecordingParams) -> bytes:
        chunks = [chunk async for chunk in _chunks(self._log, params.sentences)]
        make = partial(whole_file, params.fmt, chunks, complete=params.complete, chapters=params.chapters)
        return await anyio.to_thread.run_sync(make)

    async def _piece(self, params: RecordingParams, make: Callable[[], T]) -> T:
        async with self._places.place(params.principal):
            return await anyio.to_thread.run_sync(make)

    def known_size(self, params: RecordingParams) -> int | None:
        """Bytes of the file as far as they are known without the log; None: only its making tells."""
        match params.fmt:
            case "pcm16" | "wav":
                return pcm_bytes(params.ms) + (WAV_HEADER_BYTES if params.fmt == "wav" else 0)
            case "mp3":
                return mp3_bytes(params.ms) + len(id3_tag(params.chapters)) if params.complete else None
            case "opus":
                made = self._made.get(params.etag)
                return self._sizes.get(params.etag) if made is None else len(made)

    async def size(self, params: RecordingParams) -> int | None:
        """Bytes of the large file; None: only its making tells."""
        return await self._counted(params) if params.fmt == "opus" else self.known_size(params)

    async def _counted(self, params: RecordingParams) -> int:
        """Packets are of any size: all of them are looked at once."""
        etag = params.etag
        if etag not in self._sizes:
            async with aclosing(self._pieces(params, params.sentences)) as pieces:
                self._sizes[etag] = sum([len(piece) async for piece in pieces])
        self._sizes.move_to_end(etag)
        while len(self._sizes) > _SIZES:
            self._sizes.popitem(last=False)
        return self._sizes[etag]

    async def stream(
        self, params: RecordingParams, first: int, count: int | None
    ) -> AsyncGenerator[bytes, None]:
        """`count` bytes of the large file from byte `first` on; None: to its end.

        Holds a few chunks at a time. Sound that the log lacks is silence, where a size was promised.
        """
        skip, sentences = first, params.sentences
        plain = params.fmt == "pcm16" or (params.fmt == "wav" and first >= WAV_HEADER_BYTES)
        if plain:
            skip -= WAV_HEADER_BYTES if params.fmt == "wav" else 0
            begin = 0
            while begin < len(sentences) and pcm_bytes(sentences[begin][1].ms) <= skip:
                skip -= pcm_bytes(sentences[begin][1].ms)
                begin += 1
            sentences = sentences[begin:]
        async with aclosing(self._pieces(params, sentences, plain=plain)) as pieces:
            async for piece in pieces:
                skip, left_out = max(0, skip - len(piece)), skip
                given = piece[left_out:] if count is None else piece[left_out : left_out + count]
                if count is not None:
                    count -= len(given)
                if given:
                    yield given
                if count == 0:
                    return
        while count:
            yield bytes(min(count, 1 << 20))
            count -= min(count, 1 << 20)

    async def _pieces(
        self, params: RecordingParams, sentences: list[_Sounding], *, plain: bool = False
    ) -> AsyncGenerator[bytes, None]:
        total_ms = params.ms if params.complete else None
        file = file_stream("pcm16" if plain else params.fmt, total_ms=total_ms, chapters=params.chapters)
        for piece in file.pieces(HEAD):
            yield piece
        async with aclosing(_chunks(self._log, sentences)) as chunks:
            async for chunk in chunks:
                pieces = file.pieces(chunk)
                while (piece := await self._piece(params, partial(next, pieces, None))) is not None:
                    yield piece
        if params.complete:
            yield await self._piece(params, file.finish)


async def _chunks(log: EventLog, sentences: list[_Sounding]) -> AsyncGenerator[StoredChunk, None]:
    """The chunks of the wished turns from the first of `sentences` on, with their bytes."""
    for _, pairs in groupby(sentences, key=lambda pair: id(pair[0])):
        found = list(pairs)
        async with aclosing(_chunks_of(log, found[0][0], [one for _, one in found])) as chunks:
            async for chunk in chunks:
                yield chunk


async def _chunks_of(
    log: EventLog, part: RecordingPart, sentences: list[SentenceState]
) -> AsyncGenerator[StoredChunk, None]:
    wanted = {turn.turn for turn in part.turns}
    after, left = Seq((sentences[0].first_chunk or 1) - 1), sum(one.ms for one in sentences)
    while after < part.upto and left > 0:
        page = await log.read(part.session, after, limit=_PAGE, audio=True)
        if not page:
            return
        for one in page:
            if one.type == "audio.chunk" and one.turn in wanted and one.seq <= part.upto:
                left -= one.data["ms"]
                yield StoredChunk.of(one)
        after = page[-1].seq
