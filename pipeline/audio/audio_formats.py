"""The audio formats that listeners may ask for, and their plainest parts."""

from typing import Any, Final, Literal

import lameenc

from pipeline.audio.opus import RATE

AudioFormat = Literal["opus", "pcm16", "mp3", "wav"]
StreamFormat = Literal["mp3", "opus", "aac", "flac", "wav", "pcm"]
"""As OpenAI's clients name them."""

MIME: Final[dict[AudioFormat, str]] = {
    "opus": "audio/ogg; codecs=opus",
    "pcm16": f"audio/pcm; rate={RATE}; channels=1",
    "mp3": "audio/mpeg",
    "wav": "audio/wav",
}
"""Of whole files; on the WebSocket `opus` is framed packets instead."""
STREAM_MIME: Final[dict[StreamFormat, str]] = {
    "mp3": MIME["mp3"],
    "opus": MIME["opus"],
    "aac": "audio/aac",
    "flac": "audio/flac",
    "wav": MIME["wav"],
    "pcm": MIME["pcm16"],
}

WAV_HEADER_BYTES: Final = 44
_OPEN: Final = 0xFFFF_FFFF
"""A RIFF size that means: until the stream ends."""
_MP3_KBIT: Final = 64
_MP3_FRAME: Final = 576
"""Samples of a frame at 24 kHz ..."""
_MP3_FRAME_BYTES: Final = _MP3_KBIT * 1_000 // 8 * _MP3_FRAME // RATE
"""... and its bytes."""
_MP3_DELAY: Final = 1_105
"""Samples by which LAME's end is later than its beginning: a frame, and the 529 of its filters."""
_MP3_QUALITY: Final = 5
"""4 ms of CPU per second of speech; level 2 takes 9, level 7 takes 2."""


def wav_header(pcm_bytes: int | None) -> bytes:
    """A RIFF header for 24 kHz mono PCM16; None: the length is not known (yet)."""
    data = _OPEN if pcm_bytes is None else min(pcm_bytes, _OPEN)
    riff = min(data + WAV_HEADER_BYTES - 8, _OPEN)
    numbers = [(16, 4), (1, 2), (1, 2), (RATE, 4), (2 * RATE, 4), (2, 2), (16, 2)]
    layout = b"".join(number.to_bytes(size, "little") for number, size in numbers)
    return b"".join(
        [b"RIFF", riff.to_bytes(4, "little"), b"WAVEfmt ", layout, b"data", data.to_bytes(4, "little")]
    )


def mp3_bytes(ms: int) -> int:
    """Bytes of a finished MP3 of so much sound: every frame has the same size at a constant rate."""
    samples = ms * RATE // 1_000
    return -(-(samples + _MP3_DELAY) // _MP3_FRAME) * _MP3_FRAME_BYTES if samples else 0


class Mp3Encoder:
    """PCM16 at 24 kHz to plain MP3 frames: no tags and no Xing frame, so that streams may be concatenated."""

    def __init__(self) -> None:
        self._lame: Any = lameenc.Encoder()
        self._lame.silence()
        self._lame.set_channels(1)
        self._lame.set_in_sample_rate(RATE)
        self._lame.set_bit_rate(_MP3_KBIT)
        self._lame.set_quality(_MP3_QUALITY)
        self._begun = False

    def encode(self, pcm: bytes) -> bytes:
        self._begun = self._begun or bool(pcm)
        return bytes(self._lame.encode(pcm)) if pcm else b""

    def finish(self) -> bytes:
        """The frames still held; the encoder cannot be used afterwards."""
        return bytes(self._lame.flush()) if self._begun else b""
