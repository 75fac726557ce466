"""The sound of answers in the formats of the Realtime API, chunk by chunk: the same bytes for everybody."""

import base64
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from pipeline.audio.g711 import g711_encoded
from pipeline.delivery.renderings import Renderings
from pipeline.eventlog.event_log import EventLog
from schemas.events.recorded import Recorded
from schemas.ids import Seq, SessionId, TurnId

_TAPS: Final = 48
_CUTOFF: Final = 3_600 / 24_000
_FORMATS: Final[dict[str, Literal["mulaw", "alaw"]]] = {"audio/pcmu": "mulaw", "audio/pcma": "alaw"}
_EVERY: Final = 3
"""From 24 kHz to 8 kHz."""
_Place = tuple[TurnId, int, int]
"""A turn, a sentence of it, a chunk of that."""
_Samples = NDArray[np.float64]


class AnswerSound:
    """Of one listener."""

    def __init__(self, session: SessionId, renderings: Renderings, log: EventLog, principal: str) -> None:
        self._session = session
        self._renderings = renderings
        self._principal = principal
        self._log = log
        self._latest: tuple[_Place, bytes] | None = None
        """The chunk that was told last, as PCM."""

    async def of(self, chunk: Recorded, format: str) -> str:
        """The sound of an `audio.chunk` event, read with its audio, in base64."""
        pcm = await self._renderings.render(self._session, "pcm16", chunk, self._principal)
        if format == "audio/pcm":
            return base64.b64encode(pcm).decode()
        before = await self._before(chunk)
        self._latest = _place(chunk), pcm
        return base64.b64encode(g711_encoded(_narrowed(before, pcm), _FORMATS[format])).decode()

    async def _before(self, chunk: Recorded) -> bytes:
        """The chunk before it in its sentence: filters need what was before."""
        turn, sentence, number = _place(chunk)
        if number == 0:
            return b""
        wanted = turn, sentence, number - 1
        if self._latest is not None and self._latest[0] == wanted:
            return self._latest[1]
        after = Seq(max(0, chunk.seq - _LOOK_BACK))
        for recorded in reversed(await self._log.read(self._session, after, limit=_LOOK_BACK, audio=True)):
            if recorded.type == "audio.chunk" and _place(recorded) == wanted:
                return await self._renderings.render(self._session, "pcm16", recorded, self._principal)
        return b""


_LOOK_BACK: Final = 200
"""Events among which the chunk before is looked for."""


def _place(chunk: Recorded) -> _Place:
    return chunk.turn, chunk.data["sentence"], chunk.data["chunk"]


def _lowpass() -> _Samples:
    at = np.arange(_TAPS) - (_TAPS - 1) / 2
    taps = np.sinc(2 * _CUTOFF * at) * np.hamming(_TAPS)
    found: _Samples = taps / taps.sum()
    return found


_FILTER: Final = _lowpass()


def _narrowed(before: bytes, pcm: bytes) -> _Samples:
    """At 8 kHz, without what does not fit there."""
    history = np.zeros(_TAPS - 1)
    known = np.frombuffer(before, "<i2")[-(_TAPS - 1) :]
    if len(known):
        history[-len(known) :] = known
    samples = np.concatenate([history, np.frombuffer(pcm, "<i2")])
    filtered: _Samples = np.convolve(samples, _FILTER, "valid")[::_EVERY]
    return filtered
