"""Going on with an input: what of it is in the log as sound and not yet as text."""

from collections import deque
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from math import ceil
from typing import Final

import anyio.to_thread

from pipeline.audio.capture import CapturedPiece, heard_again
from pipeline.eventlog.event_log import EventLog
from pipeline.session_state.input_state import InputState, KnownCommand
from pipeline.stt.vad import FRAME_MS, WARMING
from schemas.errors import InputError
from schemas.ids import Seq, SessionId
from schemas.settings.listening_settings import ListeningSettings

_PAGE: Final = 500
_BYTES_PER_MS: Final = 32
_PREROLL_MS: Final = 500
"""A decoder that begins in the middle needs some packets to get it right."""
SILENCE_MS: Final = 30_000
"""Of silence, a frame is recorded so often."""
_GAP_MS: Final = 60_000 + SILENCE_MS
"""So much sound that got lost on the way, and what was silent before, counts as silence."""
_ONSET_MS: Final = 200
"""An utterance may have begun so much earlier, beside its padding, and nobody has said so yet."""

_PIECES: Final = 2_500
"""About three times those of the longest stretch that is heard again: two gateways may have recorded the same
sound, and a bundle has any number of pieces at one place."""
_WARMING_MS: Final = WARMING * FRAME_MS


@dataclass(frozen=True, slots=True)
class Restored:
    """Position and state from which an audio input begins."""

    at_ms: int
    """Of the first sound it is given: `pcm`, then what the sender has from `from_ms` on."""
    from_ms: int
    utterance: int = 0
    recorded_ms: int = 0
    pcm: bytes = b""
    before: bytes = b""
    """Sound before that, if it is known."""
    commands: tuple[KnownCommand, ...] = ()
    """Description that the client gave of that sound."""
    cut: bool = False
    """The last utterance was cut by its length: it goes on."""


async def restore(
    log: EventLog, session: SessionId, state: InputState | None, oldest_ms: int, settings: ListeningSettings
) -> Restored:
    """`oldest_ms`: the sender can begin there, and not before. Raises InputError if that is far too late."""
    known_ms = 0 if state is None else max(state.recorded_ms, state.settled_ms)
    far = oldest_ms > known_ms + _GAP_MS
    if far and _must_follow(state, settings):
        raise InputError("so much sound is missing before this that it is a new input", field="at_ms")
    if state is None:
        return Restored(oldest_ms, oldest_ms)
    needed = max(state.settled_ms, state.rest_ms - lead_ms(settings), 0)
    if far or state.recorded_ms <= needed:
        begin = max(needed, oldest_ms)
        return Restored(begin, begin, state.next_utterance, commands=state.commands, cut=bool(state.parts))
    frames = ceil((state.recorded_ms - needed) / FRAME_MS)
    at_ms = state.recorded_ms - frames * FRAME_MS
    known = await _recorded(log, session, state, at_ms - _WARMING_MS)
    before, pcm = known[: _WARMING_MS * _BYTES_PER_MS], known[_WARMING_MS * _BYTES_PER_MS :]
    # Speech before it has been transcribed: the end of it must not be transcribed again.
    pcm = bytes((needed - at_ms) * _BYTES_PER_MS) + pcm[(needed - at_ms) * _BYTES_PER_MS :]
    gap_ms = max(0, oldest_ms - state.recorded_ms)
    pcm += bytes(gap_ms * _BYTES_PER_MS)
    from_ms = state.recorded_ms + gap_ms
    return Restored(
        at_ms=at_ms,
        from_ms=from_ms,
        utterance=state.next_utterance,
        recorded_ms=state.recorded_ms,
        pcm=pcm,
        before=before,
        commands=state.commands,
        cut=bool(state.parts),
    )


def _must_follow(state: InputState | None, settings: ListeningSettings) -> bool:
    """Of an input that is not recorded nobody knows how far it went. But what is in the log is heard."""
    if state is None or state.rest_ms < state.recorded_ms:
        return True
    return state.record and settings.record


def lead_ms(settings: ListeningSettings) -> int:
    """So much of what was before an utterance may belong to it."""
    return settings.endpointing.prefix_padding_ms + settings.endpointing.min_speech_ms + _ONSET_MS


async def _recorded(log: EventLog, session: SessionId, state: InputState, from_ms: int) -> bytes:
    """The recorded sound from `from_ms` on; silence where there is none."""
    first = [seq for at_ms, seq in state.sounds if at_ms <= from_ms - _PREROLL_MS]
    pieces = deque[CapturedPiece](maxlen=_PIECES)
    async for piece in recorded_pieces(log, session, state.name, after=max(first, default=None)):
        if piece.at_ms + piece.ms > from_ms - _PREROLL_MS:
            pieces.append(piece)
    # Half a minute takes a fifth of a second.
    pcm = await anyio.to_thread.run_sync(heard_again, pieces)
    begin_ms = pieces[0].at_ms if pieces else from_ms
    missing = bytes(max(0, begin_ms - from_ms) * _BYTES_PER_MS)
    wanted = (state.recorded_ms - from_ms) * _BYTES_PER_MS
    sound = missing + pcm[max(0, from_ms - begin_ms) * _BYTES_PER_MS :]
    return sound[:wanted].ljust(wanted, b"\0")


async def recorded_pieces(
    log: EventLog, session: SessionId, name: str, *, after: Seq | None = None
) -> AsyncGenerator[CapturedPiece, None]:
    """The sound of an input as it was recorded, in order; what has been dropped since is left out.

    `after`: not before this event.
    """
    at = Seq((after or Seq(1)) - 1)
    while page := await log.read(session, at, limit=_PAGE, audio=True):
        for r in page:
            if r.type == "input.audio" and r.data["input"] == name and r.audio:
                yield CapturedPiece(r.audio, r.data["ms"], r.data["at_ms"], r.data["sha256"])
        at = page[-1].seq
