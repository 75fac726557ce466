"""A session as a bundle, piece by piece: events as CloudEvents, sound as packets and as files, captions."""

import tempfile
import zipfile
from array import array
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from itertools import islice
from typing import IO, Final, Self, cast, get_args

import anyio.to_thread

from pipeline.audio.audio_files import StoredChunk, file_pieces
from pipeline.delivery import captions
from pipeline.eventlog.event_log import EventLog, Head
from pipeline.session_state.conversation import Conversation
from pipeline.session_state.session_views import for_others, own_copy
from pipeline.session_state.turn_state import TurnState
from pipeline.transfer.bundle_manifest import EVENTS, MANIFEST, Manifest
from pipeline.transfer.cloudevents import PACKETS, write_line
from schemas.errors import LogLost
from schemas.events.recorded import Recorded
from schemas.ids import Seq, SessionId, TurnId

_WHEN: Final = (1980, 1, 1, 0, 0, 0)
"""ZIP's zero: a bundle does not say when it was made."""


class _Sink:
    """Takes what zipfile writes. It cannot seek, so the sizes of each file follow its data."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._pieces.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Nothing is held back."""

    def take(self) -> bytes:
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)


class ZipStream:
    """Write files one after another, and take what is ready in between."""

    def __init__(self) -> None:
        self._sink = _Sink()
        self._zip = zipfile.ZipFile(cast("IO[bytes]", self._sink), "w", allowZip64=True)

    @contextmanager
    def file(self, name: str, *, packed: bool) -> Iterator[IO[bytes]]:
        """`packed`: worth compressing."""
        info = zipfile.ZipInfo(name, _WHEN)
        info.compress_type = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
        info.external_attr = 0o600 << 16
        with self._zip.open(info, "w", force_zip64=True) as out:
            yield out

    def put(self, name: str, data: bytes) -> None:
        """A small file."""
        with self.file(name, packed=True) as out:
            out.write(data)

    def take(self) -> bytes:
        """The bytes that nobody has taken yet."""
        return self._sink.take()

    def finish(self) -> bytes:
        """The directory at the end."""
        self._zip.close()
        return self._sink.take()


_PAGE: Final = 200
_PIECES: Final = 64
"""Pieces of a file made in a thread before what is ready is sent."""
_PIECE_BYTES: Final = 64 << 10


class _Sound:
    """All audio of a session, laid aside on disk, and which turn each chunk belongs to."""

    def __init__(self, spool: IO[bytes]) -> None:
        self._spool = spool
        self.size = 0
        self._hash = sha256()
        self.turns: dict[TurnId, array[int]] = {}
        """Offset, length, offset, length, ..."""

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()

    def add(self, event: Recorded) -> None:
        if not event.audio:
            return
        if event.type == "audio.chunk":
            self.turns.setdefault(event.turn, array("Q")).extend((self.size, len(event.audio)))
        self.size += self._spool.write(event.audio)
        self._hash.update(event.audio)

    def all(self) -> Iterator[bytes]:
        self._spool.seek(0)
        while piece := self._spool.read(_PIECE_BYTES):
            yield piece

    def chunks(self, turn: TurnId) -> Iterator[StoredChunk]:
        """The turn's chunks, as far as an Ogg file needs them."""
        places = self.turns[turn]
        for at in range(0, len(places), 2):
            self._spool.seek(places[at])
            yield StoredChunk(self._spool.read(places[at + 1]), chunk=0, ms=0)


@dataclass(frozen=True, slots=True)
class ExportedPast:
    """A session up to an event, as it is to be exported."""

    session: SessionId
    generation: str
    seq: Seq
    title: str
    turns: Sequence[TurnState]
    owned: bool
    """With what is its owner's alone, as `for_others` says."""

    @classmethod
    def of(cls, session: SessionId, conversation: Conversation, head: Head, *, owned: bool) -> Self:
        """As the view is now. Turns that are over stay so, and are the view's own."""
        turns = [turn if turn.over else own_copy(turn) for turn in conversation.turns.values()]
        return cls(session, head.generation, conversation.head, conversation.title, turns, owned)


class _Bundle:
    """A bundle in the making; synchronous, to be run in a thread."""

    def __init__(self, past: ExportedPast, spool: IO[bytes]) -> None:
        self._past = past
        self.zip = ZipStream()
        self.sound = _Sound(spool)
        self._hash = sha256()

    def add(self, page: list[Recorded], out: IO[bytes]) -> None:
        for event in page if self._past.owned else map(for_others, page):
            line = write_line(self._past.session, event, audio_at=self.sound.size)
            self._hash.update(line)
            out.write(line)
            self.sound.add(event)

    def add_captions(self, turn: TurnState) -> None:
        for kind in get_args(captions.CaptionFormat):
            cues = captions.cues([turn], words=False)
            text = "".join(captions.caption_file(cues, kind, title=self._past.title))
            self.zip.put(f"captions/turn-{turn.turn}.{kind}", text.encode())

    def finish(self) -> bytes:
        manifest = Manifest(
            session=self._past.session,
            generation=self._past.generation,
            n=self._past.seq,
            last=self._past.seq,
            sha256=self._hash.hexdigest(),
            packets_sha256=self.sound.sha256,
            packets_bytes=self.sound.size,
        )
        self.zip.put(MANIFEST, manifest.model_dump_json(indent=1).encode())
        return self.zip.finish()


async def export(
    log: EventLog, past: ExportedPast, spooled: Callable[[int], None] = lambda _: None
) -> AsyncGenerator[bytes, None]:
    """The bundle of a session as it is made; memory does not grow with its sound.

    `spooled` is told how many bytes are about to be laid aside on disk, and may refuse by raising.
    """
    with tempfile.TemporaryFile() as spool:
        bundle = _Bundle(past, spool)
        with bundle.zip.file(EVENTS, packed=True) as out:
            async with aclosing(_pages(log, past.session, past.seq)) as pages:
                async for page in pages:
                    spooled(sum(len(event.audio or b"") for event in page))
                    await anyio.to_thread.run_sync(bundle.add, page, out)
                    yield bundle.zip.take()
        async with aclosing(_stored(bundle.zip, PACKETS, bundle.sound.all())) as pieces:
            async for piece in pieces:
                yield piece
        for turn in past.turns:
            if turn.turn not in bundle.sound.turns:
                continue
            ogg = file_pieces(
                "opus", bundle.sound.chunks(turn.turn), total_ms=turn.audio_ms if turn.over else None
            )
            async with aclosing(_stored(bundle.zip, f"audio/turn-{turn.turn}.ogg", ogg)) as pieces:
                async for piece in pieces:
                    yield piece
            await anyio.to_thread.run_sync(bundle.add_captions, turn)
        yield await anyio.to_thread.run_sync(bundle.finish)


async def _pages(log: EventLog, session: SessionId, upto: Seq) -> AsyncGenerator[list[Recorded], None]:
    after = Seq(0)
    while after < upto:
        page = await log.read(session, after, limit=min(_PAGE, upto - after), audio=True)
        if not page:
            raise LogLost(f"the session ends at {after}, not at {upto}")
        yield page
        after = page[-1].seq


async def _stored(zipped: ZipStream, name: str, pieces: Iterator[bytes]) -> AsyncGenerator[bytes, None]:
    """A file that is not worth compressing, as it is made."""
    with zipped.file(name, packed=False) as out:
        while await anyio.to_thread.run_sync(partial(_write_some, pieces, out)):
            yield zipped.take()
    yield zipped.take()


def _write_some(pieces: Iterator[bytes], out: IO[bytes]) -> bool:
    """Whether there was anything left to write."""
    written = 0
    for piece in islice(pieces, _PIECES):
        out.write(piece)
        written += 1
    return written > 0
