"""The audio of whole turns as one file, from the log."""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from pipeline.audio.files import StoredChunk, whole_file
from pipeline.audio.formats import AudioFormat
from pipeline.log.base import EventLog
from pipeline.turn_state import TurnState
from schemas.ids import Seq, SessionId

_PAGE = 200
EXTENSIONS: Final[dict[AudioFormat, str]] = {"wav": "wav", "mp3": "mp3", "opus": "ogg", "pcm16": "pcm"}


@dataclass(frozen=True, slots=True)
class Recording:
    """A file, and the validator that changes whenever its bytes do."""

    data: bytes
    etag: str


class Recordings:
    """Makes files off the loop and keeps the last ones, so that range after range costs one making."""

    def __init__(self, log: EventLog, *, max_bytes: int = 64 * 1024 * 1024) -> None:
        self._log = log
        self._max = max_bytes
        self._made: OrderedDict[str, Recording] = OrderedDict()

    async def make(
        self, session: SessionId, turns: list[TurnState], fmt: AudioFormat, upto: Seq
    ) -> Recording:
        """The turns' audio laid end to end; sizes in its header are open while a turn is running."""
        complete = all(turn.over for turn in turns)
        extent = ",".join(f"{turn.turn}:{turn.audio_ms}" for turn in turns)
        etag = f'"{sha256(f"{session} {fmt} {extent} {complete}".encode()).hexdigest()[:32]}"'
        if etag not in self._made:
            chunks = await _chunks(self._log, session, turns, upto)
            data = await asyncio.to_thread(whole_file, fmt, chunks, complete=complete)
            self._made[etag] = Recording(data, etag)
        self._made.move_to_end(etag)
        recording = self._made[etag]
        while len(self._made) > 1 and sum(len(made.data) for made in self._made.values()) > self._max:
            self._made.popitem(last=False)
        return recording


async def _chunks(log: EventLog, session: SessionId, turns: list[TurnState], upto: Seq) -> list[StoredChunk]:
    """The audio chunks of these turns that are in the log up to `upto`, with their bytes."""
    wanted = {turn.turn for turn in turns}
    firsts = [s.first_chunk for turn in turns for s in turn.sentences if s.first_chunk is not None]
    found: list[StoredChunk] = []
    after = Seq(min(firsts, default=upto + 1) - 1)
    while after < upto:
        page = await log.read(session, after, limit=_PAGE, audio=True)
        if not page:
            break
        found += [
            StoredChunk(r.audio or b"", r.data["chunk"], r.data["ms"])
            for r in page
            if r.type == "audio.chunk" and r.turn in wanted and r.seq <= upto
        ]
        after = page[-1].seq
    return found
