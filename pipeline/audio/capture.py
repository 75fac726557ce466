"""Encodes input audio for the log and decodes it again: Opus in pieces of half a second."""

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

import av
import numpy as np
from numpy.typing import NDArray

from pipeline.audio.opus import frame, packet_us, unframe

log = logging.getLogger(__name__)

RATE: Final = 16_000
PIECE_MS: Final = 500
_PER_MS: Final = RATE // 1_000
_PACKET_MS: Final = 20
_PACKET_SAMPLES: Final = _PACKET_MS * _PER_MS
PIECE_PACKETS: Final = PIECE_MS // _PACKET_MS + 1
"""The most that a piece has: the last one may need another for what the codec still holds."""
_PIECE_BYTES: Final = 2 * PIECE_MS * _PER_MS
_DELAY: Final = 312 * RATE // 48_000
"""Samples by which the codec is late (6.5 ms)."""
_BIT_RATE: Final = 20_000
_APPLICATION: Final = "audio"
"""At level 0 half the work of "voip" for speech, and nearer to it at fewer bits (docs/measurements.md)."""
_COMPLEXITY: Final = "0"
_DECODED_RATE: Final = 48_000
_HEAD: Final = b"OpusHead\x01\x01" + bytes(2) + RATE.to_bytes(4, "little") + bytes(3)

_Sound = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class CapturedPiece:
    """A piece of an input. The pieces of one Capture, in order, are one Opus stream."""

    packets: bytes
    """20 ms each, behind their lengths (`pipeline.audio.opus.frame`)."""
    ms: int
    """Without the silence that fills the last packet."""
    at_ms: int
    sha256: str
    """Of `packets`, in hexadecimal digits."""


class Capture:
    """The recorder's side: PCM16 at 16 kHz, in parts of any size, into pieces."""

    def __init__(self, *, at_ms: int = 0) -> None:
        self._at_ms = at_ms
        self._waiting = bytearray()
        self._codec: Any = av.CodecContext.create("libopus", "w")
        self._codec.sample_rate = RATE
        self._codec.layout = "mono"
        self._codec.format = "s16"
        self._codec.bit_rate = _BIT_RATE
        self._codec.options = {
            "application": _APPLICATION,
            "frame_duration": str(_PACKET_MS),
            "compression_level": _COMPLEXITY,
        }
        self._samples = 0

    def push(self, pcm: bytes) -> list[CapturedPiece]:
        """The pieces that are complete now."""
        self._waiting += pcm
        pieces: list[CapturedPiece] = []
        while len(self._waiting) >= _PIECE_BYTES:
            pieces.append(self._piece(bytes(self._waiting[:_PIECE_BYTES]), PIECE_MS))
            del self._waiting[:_PIECE_BYTES]
        return pieces

    def flush(self) -> list[CapturedPiece]:
        """The rest, in whole milliseconds; nothing can be pushed afterwards."""
        ms = len(self._waiting) // (2 * _PER_MS)
        pcm = bytes(self._waiting[: 2 * _PER_MS * ms])
        self._waiting.clear()
        if not ms:
            return []
        # The codec is late: what it still holds has to be pushed out.
        owed = len(pcm) + 2 * _DELAY
        return [self._piece(pcm + bytes(2 * _DELAY + -owed % (2 * _PACKET_SAMPLES)), ms)]

    def _piece(self, pcm: bytes, ms: int) -> CapturedPiece:
        packets = frame(self._encoded(pcm))
        piece = CapturedPiece(packets, ms, self._at_ms, sha256(packets).hexdigest())
        self._at_ms += ms
        return piece

    def _encoded(self, pcm: bytes) -> Iterator[bytes]:
        """The packets of whole packets' sound; PyAV cuts one large frame for less than it takes 25 small."""
        sound = av.AudioFrame(format="s16", layout="mono", samples=len(pcm) // 2)
        sound.planes[0].update(pcm)
        sound.sample_rate = RATE
        sound.pts = self._samples
        self._samples += sound.samples
        return (bytes(packet) for packet in self._codec.encode(sound))


class Playback:
    """Pieces, in order, back to PCM16 at 16 kHz: what was at a millisecond of the input is there again.

    The sound begins with the first piece. Where pieces are missing there is silence; what is there twice is
    taken once. Where a Capture was not flushed, its last 6.5 ms are silence. So is a piece that is not what
    was recorded, or no Opus.
    """

    def __init__(self) -> None:
        self._decoder = _decoder()
        self._at = 0
        """Of the input, in samples, codec's delay included: what was before has been given out."""
        self._held: _Sound = np.zeros(0, np.float32)
        """Sound that is known from there on."""
        self._skip = _DELAY
        self._begun = False

    def push(self, piece: CapturedPiece) -> bytes:
        """The sound that is complete now."""
        start, end = piece.at_ms * _PER_MS, (piece.at_ms + piece.ms) * _PER_MS
        if not self._begun:
            self._at, self._begun = start, True
        sound = self._decoded(piece)
        if start < self._at:
            sound, start = sound[self._at - start :], self._at
        self._add(sound, start - self._at)
        return self._give(max(end, self._at))

    def flush(self) -> bytes:
        """The sound still held."""
        return self._give(self._at + _DELAY) if self._begun else b""

    def _decoded(self, piece: CapturedPiece) -> _Sound:
        pieces: list[_Sound] = []
        try:
            for packet in _packets_of(piece):
                pieces += [each.to_ndarray()[0] for each in self._decoder.decode(av.Packet(packet))]
        except (ValueError, av.error.FFmpegError) as error:
            log.warning("the sound at %d ms cannot be heard again: %s", piece.at_ms, error)
            self._decoder, pieces = _decoder(), []
        sound: _Sound = np.concatenate([np.zeros(0, np.float32), *pieces])[:: _DECODED_RATE // RATE]
        if len(sound) > piece.ms * _PER_MS:
            # Only the last piece of a stream is filled up.
            self._decoder = _decoder()
        return sound

    def _add(self, sound: _Sound, offset: int) -> None:
        """A stream's silent first milliseconds lie over the late end of the one before it."""
        longer = offset + len(sound) - len(self._held)
        if longer > 0:
            self._held = np.concatenate([self._held, np.zeros(longer, np.float32)])
        self._held[offset : offset + len(sound)] += sound

    def _give(self, until: int) -> bytes:
        count = until - self._at
        given, self._held = self._held[:count], self._held[count:]
        given = np.concatenate([given, np.zeros(count - len(given), np.float32)])[self._skip :]
        self._skip -= min(self._skip, count)
        self._at = until
        return bytes(np.rint(given * 32_767).clip(-32_768, 32_767).astype("<i2").tobytes())


def heard_again(pieces: Iterable[CapturedPiece]) -> bytes:
    """All of it, from the beginning of the first piece to the end of the last one."""
    playback = Playback()
    return b"".join([*map(playback.push, pieces), playback.flush()])


def _packets_of(piece: CapturedPiece) -> list[bytes]:
    if sha256(piece.packets).hexdigest() != piece.sha256:
        raise ValueError("These are not the bytes that were recorded.")
    packets = list(unframe(piece.packets))
    if len(packets) > PIECE_PACKETS or any(packet_us(each) != 1_000 * _PACKET_MS for each in packets):
        raise ValueError("This is longer than what is recorded.")
    return packets


def _decoder() -> Any:
    # The decoder gives 48 kHz. Of what was encoded at 16 kHz nothing is above 8 kHz, so every third sample
    # is the signal; a filter would only add a delay.
    decoder = av.CodecContext.create("opus", "r")
    decoder.extradata = _HEAD
    decoder.sample_rate = _DECODED_RATE
    decoder.layout = "mono"
    return decoder
