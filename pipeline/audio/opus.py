"""PCM to framed Opus packets and back, one sentence at a time.

A sentence's audio is defined as what a plain decoder makes of its packets: exactly 20 ms each, the
codec's 6.5 ms of delay included. So every listener agrees on lengths without trimming anything, and word
times are moved by the delay once, where the audio is made (`pipeline/engines/routed_speaker.py`).
"""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final

import av
import av.error
import numpy as np
import soxr
from numpy.typing import NDArray

RATE: Final = 24_000
"""Samples per second on both sides of the codec: enough for any voice, half the work of 48,000."""
PACKET_MS: Final = 20
SENTENCE_MS: Final = 600_000
"""The longest that one sentence may sound: 2,000 characters at a quarter of the usual speed fit."""
PACKET_SAMPLES: Final = RATE * PACKET_MS // 1_000
_PACKET_BYTES: Final = 2 * PACKET_SAMPLES
DELAY_MS: Final = 6
"""How late the decoded sound is, in whole milliseconds: libopus says 312 samples at 48 kHz."""
_DELAY_SAMPLES: Final = 312 * RATE // 48_000
_APPLICATION: Final = "audio"
"""A quarter of the work of "voip" at level 0, and by PESQ as near to the original (docs/adr/0165)."""
_COMPLEXITY: Final = "0"
"""Level 10 sounds better, and takes eight times as long."""
_FRAME_US: Final = (
    *(3 * (10_000, 20_000, 40_000, 60_000)),  # SILK
    *(2 * (10_000, 20_000)),  # hybrid
    *(4 * (2_500, 5_000, 10_000, 20_000)),  # CELT
)
"""Microseconds of one frame, by the configuration in a packet's first five bits (RFC 6716, section 3.1)."""
AT_ONCE: Final = 1_000
"""Packets that are decoded to one piece of PCM: 20 s of sound, not quite a megabyte."""
CHUNK_MS: Final = AT_ONCE * PACKET_MS
"""The longest that one `audio.chunk` may sound: each listener holds one as PCM, however slowly it reads."""
_SILENT_BITRATE: Final = 6_000
"""Bits a second, libopus' least."""
_HEAD: Final = b"OpusHead\x01\x01" + bytes(2) + RATE.to_bytes(4, "little") + bytes(3)


class OpusEncoder:
    """One sentence on its way into packets; takes PCM16 in pieces of any size."""

    def __init__(self, sample_rate: int, bitrate: int) -> None:
        self._resampler = None
        if sample_rate != RATE:
            # HQ keeps what is below 10 kHz (LQ loses it from 9 kHz on) and holds 9 ms back until the end.
            self._resampler = soxr.ResampleStream(sample_rate, RATE, 1, dtype="int16", quality="HQ")
        self._codec = av.CodecContext.create("libopus", "w")
        self._codec.sample_rate = RATE
        self._codec.layout = "mono"
        self._codec.format = "s16"
        self._codec.bit_rate = bitrate
        self._codec.options = {
            "application": _APPLICATION,
            "frame_duration": str(PACKET_MS),
            "compression_level": _COMPLEXITY,
        }
        self._waiting = b""
        self._fed = False
        self._samples = 0

    def encode(self, pcm: bytes) -> list[bytes]:
        """The packets that are complete now."""
        self._fed = self._fed or bool(pcm)
        return self._take(self._resampled(pcm, last=False))

    def finish(self) -> list[bytes]:
        """The rest, padded with silence to whole packets: at least one packet after any sound at all."""
        if not self._fed:
            return []
        packets = self._take(self._resampled(b"", last=True))
        owed = len(self._waiting) + 2 * _DELAY_SAMPLES
        return packets + self._take(bytes(-owed % _PACKET_BYTES + 2 * _DELAY_SAMPLES))

    def _resampled(self, pcm: bytes, *, last: bool) -> bytes:
        if self._resampler is None:
            return pcm
        return bytes(self._resampler.resample_chunk(np.frombuffer(pcm, np.int16), last=last).tobytes())

    def _take(self, pcm: bytes) -> list[bytes]:
        self._waiting += pcm
        whole = len(self._waiting) // _PACKET_BYTES * _PACKET_BYTES
        pcm, self._waiting = self._waiting[:whole], self._waiting[whole:]
        if not pcm:
            return []
        frame = av.AudioFrame(format="s16", layout="mono", samples=len(pcm) // 2)
        frame.planes[0].update(pcm)
        frame.sample_rate = RATE
        frame.pts = self._samples
        self._samples += frame.samples
        return [bytes(packet) for packet in self._codec.encode(frame)]


def silence(ms: int) -> bytes:
    """Framed packets in which nothing is heard."""
    encoder = OpusEncoder(RATE, _SILENT_BITRATE)
    return frame([*encoder.encode(bytes(ms * RATE // 1_000 * 2)), *encoder.finish()])


class OpusDecoder:
    """One sentence on its way out of packets."""

    def __init__(self) -> None:
        self._codec = av.CodecContext.create("opus", "r")
        self._codec.extradata = _HEAD
        self._codec.sample_rate = 2 * RATE
        self._codec.layout = "mono"

    def decode(self, framed: bytes) -> bytes:
        """PCM16 at 24 kHz: exactly 20 ms for every packet, at once, whatever the packet holds."""
        return b"".join(self.pieces(framed))

    def pieces(self, framed: bytes) -> Iterator[bytes]:
        """As `decode`, in pieces of less than a megabyte."""
        packets = unframe(framed)
        while pcm := b"".join(self._pcm(packet) for packet in islice(packets, AT_ONCE)):
            yield pcm

    def _pcm(self, packet: bytes) -> bytes:
        """A packet that says it is longer, or cannot be decoded, is silence."""
        if packet_us(packet) != 1_000 * PACKET_MS:
            return bytes(_PACKET_BYTES)
        try:
            pieces = [frame.to_ndarray()[0] for frame in self._codec.decode(av.Packet(packet))]
        except av.error.FFmpegError:
            return bytes(_PACKET_BYTES)
        if not pieces:
            return bytes(_PACKET_BYTES)
        # The decoder gives 48 kHz. Sound encoded at 24 kHz has nothing above 12 kHz (measured: -99 dB),
        # so every other sample is the signal; a filter would only add a delay.
        half: NDArray[np.float32] = np.concatenate(pieces)[::2]
        pcm = (half * 32_767).round().clip(-32_768, 32_767).astype("<i2").tobytes()
        return bytes(pcm[:_PACKET_BYTES].ljust(_PACKET_BYTES, b"\0"))


def packet_us(packet: bytes) -> int:
    """Microseconds of sound that a packet decodes to, as its first bytes say; 0: it is no Opus."""
    if not packet:
        return 0
    frames = (1, 2, 2, packet[1] & 0x3F if len(packet) > 1 else 0)[packet[0] & 3]
    return frames * _FRAME_US[packet[0] >> 3]


def frame(packets: Iterable[bytes]) -> bytes:
    """Put packets one after another, each behind its length as two big-endian bytes."""
    return b"".join(len(packet).to_bytes(2, "big") + packet for packet in packets)


def unframe(framed: bytes) -> Iterator[bytes]:
    """The packets in `framed`. Raises ValueError where it is cut short."""
    at = 0
    while at < len(framed):
        start = at + 2
        at = start + int.from_bytes(framed[at:start], "big")
        if at > len(framed) or at == start:
            raise ValueError("Framed Opus ends inside a packet.")
        yield framed[start:at]


def packet_count(framed: bytes) -> int:
    return sum(1 for _ in unframe(framed))


_LONGEST_US: Final = 120_000
_VARIABLE, _PADDED, _COUNT = 0x80, 0x40, 0x3F


def single_frames(packet: bytes) -> list[bytes]:
    """The packets of one frame each that say the same. Raises ValueError where it is no Opus packet."""
    if not 0 < packet_us(packet) <= _LONGEST_US:
        raise ValueError("No Opus packet has this length.")
    code = packet[0] & 3
    if code == 0:
        return [packet]
    head, frames = bytes([packet[0] & ~3]), packet[1:]
    if code == 1:
        sizes = _equal(len(frames), 2)
    elif code == 2:
        size, frames = _length(frames)
        sizes = [size, len(frames) - size]
    else:
        sizes, frames = _counted(packet)
    if min(sizes) < 0 or sum(sizes) != len(frames):
        raise ValueError("An Opus packet ends inside a frame.")
    ends = [sum(sizes[: number + 1]) for number in range(len(sizes))]
    return [head + frames[end - size : end] for size, end in zip(sizes, ends, strict=True)]


def _counted(packet: bytes) -> tuple[list[int], bytes]:
    """Lengths of the frames of a packet of code 3, and the frames themselves."""
    kind, frames = packet[1], packet[2:]
    count = kind & _COUNT
    padding = 0
    while kind & _PADDED and frames:
        more, frames = frames[0], frames[1:]
        padding += min(more, 254)
        if more < 255:
            break
    sizes: list[int] = []
    if kind & _VARIABLE:
        for _ in range(count - 1):
            size, frames = _length(frames)
            sizes.append(size)
    frames = frames[: max(0, len(frames) - padding)]
    return [*sizes, len(frames) - sum(sizes)] if sizes else _equal(len(frames), count), frames


def _equal(size: int, count: int) -> list[int]:
    return [size // count] * count


def _length(data: bytes) -> tuple[int, bytes]:
    """The length with which `data` begins, and what follows; cut short, a length that is too large."""
    if not data or (data[0] >= 252 and len(data) < 2):
        return 1_276, b""
    return (data[0], data[1:]) if data[0] < 252 else (data[0] + 4 * data[1], data[2:])
