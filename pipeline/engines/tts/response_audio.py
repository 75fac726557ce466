"""Decodes the response of a speech server to 16-bit mono PCM at one rate, while it arrives."""

import base64
import binascii
import json
from typing import Any, Final, Protocol

import av
import numpy as np

_LAYOUTS: Final = {1: "mono", 2: "stereo"}
_LOWEST_RATE: Final = 4_000
_HIGHEST_RATE: Final = 384_000
_OPEN_SIZE: Final = 0x7FFF_0000
"""A WAV stream that does not know its length says this or more, or nothing."""
_SAMPLES: Final = {(1, 8): "u8", (1, 16): "s16", (1, 32): "s32", (3, 32): "flt"}
"""(Kind, bits) of a WAV header: what PyAV calls such samples."""
_NUMPY: Final = {"u8": np.uint8, "s16": np.int16, "s32": np.int32, "flt": np.float32}
_EXTENSIBLE: Final = 0xFFFE
_LONGEST_HEAD: Final = 1_000_000
_LONGEST_EVENT: Final = 32_000_000
_PCM_TYPES: Final = frozenset({"", "audio/pcm", "audio/raw", "application/octet-stream"})
_WAV_TYPES: Final = frozenset({"audio/wav", "audio/x-wav", "audio/wave", "audio/vnd.wave"})
_MP3_TYPES: Final = frozenset({"audio/mpeg", "audio/mp3"})


class BadSound(ValueError):
    """The response is no sound that we understand; the message goes on from "The server ..."."""


class CutShort(ValueError):
    """More should have come."""


class ResponseDecoder(Protocol):
    """One sentence's bytes on their way into PCM; a few milliseconds of CPU per second of sound at most.

    Raises BadSound.
    """

    def feed(self, data: bytes) -> bytes: ...
    def finish(self) -> bytes:
        """Returns the sound that was held back. Raises CutShort where the end is known to be missing."""
        ...


def decoder_of(content_type: str, rate: int) -> ResponseDecoder:
    """The decoder for a response; its PCM has `rate`, which is also meant where the response names none."""
    kind, _, rest = content_type.partition(";")
    kind = kind.strip().lower()
    if kind == "text/event-stream":
        return EventDecoder(rate)
    if kind in _WAV_TYPES:
        return WavDecoder(rate)
    if kind in _MP3_TYPES:
        return Mp3Decoder(rate)
    if kind in _PCM_TYPES:
        given = dict(part.strip().lower().split("=", 1) for part in rest.split(";") if "=" in part)
        return PcmDecoder(_number(given, "rate", rate), _number(given, "channels", 1), rate)
    raise BadSound(f"sent {kind!r}; understood are PCM, WAV, MP3 and events with PCM")


class PcmDecoder:
    """Plain samples; those that are not already as wanted are converted."""

    def __init__(self, rate: int, channels: int, wanted_rate: int, samples: str = "s16") -> None:
        if channels not in _LAYOUTS or not _LOWEST_RATE <= rate <= _HIGHEST_RATE:
            raise BadSound(f"sent {channels} channels of {rate} Hz")
        self._layout, self._samples, self._rate = _LAYOUTS[channels], samples, rate
        self._dtype = np.dtype(_NUMPY[samples])
        self._step = channels * self._dtype.itemsize
        self._rest = b""
        as_wanted = (rate, channels, samples) == (wanted_rate, 1, "s16")
        self._resampler = None if as_wanted else _resampler(wanted_rate)

    def feed(self, data: bytes) -> bytes:
        data = self._rest + data
        whole = len(data) // self._step * self._step
        data, self._rest = data[:whole], data[whole:]
        if self._resampler is None or not data:
            return data
        array = np.frombuffer(data, self._dtype).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(array, format=self._samples, layout=self._layout)
        frame.sample_rate = self._rate
        return _bytes_of(self._resampler.resample(frame))

    def finish(self) -> bytes:
        return b"" if self._resampler is None else _bytes_of(self._resampler.resample(None))


class WavDecoder:
    """A WAV file whose header may come in pieces, and need not know how long the file will be."""

    def __init__(self, wanted_rate: int) -> None:
        self._wanted_rate = wanted_rate
        self._head = b""
        self._pcm: PcmDecoder | None = None
        self._left: int | None = None
        """Bytes of sound still to come, where the header says so; what follows them is not sound."""

    def feed(self, data: bytes) -> bytes:
        if self._pcm is None:
            self._head += data
            start = self._read_head()
            if self._pcm is None:
                return b""
            data, self._head = self._head[start:], b""
        if self._left is not None:
            data = data[: self._left]
            self._left -= len(data)
        return self._pcm.feed(data)

    def finish(self) -> bytes:
        if self._pcm is None:
            raise CutShort
        return self._pcm.finish()

    def _read_head(self) -> int:
        """Start of the sound, as soon as it is known; `_pcm` then is there."""
        head = self._head
        if len(head) >= 12 and (head[:4] != b"RIFF" or head[8:12] != b"WAVE"):
            raise BadSound("sent something called WAV that is none")
        at, layout = 12, b""
        while len(head) >= at + 8:
            name, size = head[at : at + 4], int.from_bytes(head[at + 4 : at + 8], "little")
            at += 8
            if name == b"data":
                self._begin(layout, size)
                return at
            if name == b"fmt ":
                layout = head[at : at + size]
            at += size + size % 2
        if at > _LONGEST_HEAD:
            raise BadSound("sent a WAV header that does not end")
        return 0

    def _begin(self, layout: bytes, size: int) -> None:
        kind, channels, rate, bits = (
            int.from_bytes(layout[start:end], "little") for start, end in ((0, 2), (2, 4), (4, 8), (14, 16))
        )
        if kind == _EXTENSIBLE:
            kind = int.from_bytes(layout[24:26], "little")
        if (kind, bits) not in _SAMPLES:
            raise BadSound(f"sent WAV of kind {kind} with {bits} bits")
        self._pcm = PcmDecoder(rate, channels, self._wanted_rate, _SAMPLES[kind, bits])
        self._left = size if 0 < size < _OPEN_SIZE else None


class Mp3Decoder:
    """MP3 frames of any rate, wherever the pieces are cut."""

    def __init__(self, wanted_rate: int) -> None:
        self._codec: Any = av.CodecContext.create("mp3", "r")
        self._resampler = _resampler(wanted_rate)

    def feed(self, data: bytes) -> bytes:
        return b"".join(self._decoded(packet) for packet in self._codec.parse(data)) if data else b""

    def finish(self) -> bytes:
        packets = [*self._codec.parse(None), None]
        pcm = b"".join(self._decoded(packet) for packet in packets)
        return pcm + _bytes_of(self._resampler.resample(None))

    def _decoded(self, packet: Any) -> bytes:
        try:
            frames = self._codec.decode(packet)
        except av.error.FFmpegError:
            return b""  # tags and torn frames are passed over, as every player does
        return b"".join(_bytes_of(self._resampler.resample(frame)) for frame in frames)


class EventDecoder:
    """Server-sent events as OpenAI names them: `speech.audio.delta` with base64, then `speech.audio.done`.

    Chatterbox's server first sends `speech.audio.info` with the rate. A delta may be a WAV file of its own.
    """

    def __init__(self, wanted_rate: int) -> None:
        self._wanted_rate = wanted_rate
        self._sound: ResponseDecoder = PcmDecoder(wanted_rate, 1, wanted_rate)
        self._line = bytearray()
        self._done = False

    def feed(self, data: bytes) -> bytes:
        self._line += data
        if len(self._line) > _LONGEST_EVENT:
            raise BadSound("sent an event that does not end")
        if b"\n" not in data:
            return b""
        *lines, rest = bytes(self._line).split(b"\n")
        self._line = bytearray(rest)
        return b"".join(self._event(line) for line in lines if line.startswith(b"data:"))

    def finish(self) -> bytes:
        if not self._done:
            raise CutShort
        return self._sound.finish()

    def _event(self, line: bytes) -> bytes:
        text = line.removeprefix(b"data:").strip()
        if text in (b"", b"[DONE]"):
            return b""
        try:
            event = json.loads(text)
            kind = event["type"]
            sound = base64.b64decode(event["audio"], validate=True) if kind == "speech.audio.delta" else b""
        except (ValueError, KeyError, TypeError, binascii.Error) as error:
            raise BadSound("sent an event that is not understood") from error
        if kind == "speech.audio.done":
            self._done = True
        elif kind == "speech.audio.info":
            rate = _number(event, "sample_rate", self._wanted_rate)
            self._sound = PcmDecoder(rate, _number(event, "channels", 1), self._wanted_rate)
        elif kind == "error":
            raise BadSound(f"failed: {_said(event)}")
        return self._heard(sound)

    def _heard(self, sound: bytes) -> bytes:
        if sound.startswith(b"RIFF"):
            before = self._sound.finish()
            self._sound = WavDecoder(self._wanted_rate)
            return before + self._sound.feed(sound)
        return self._sound.feed(sound) if sound else b""


def _said(event: dict[str, Any]) -> str:
    """Message of an error event, in any of its fields."""
    error = event.get("error")
    message = error.get("message") if isinstance(error, dict) else error
    return str(message or event.get("message") or "the server failed")


def _number(given: Any, name: str, otherwise: int) -> int:
    try:
        number = int(given.get(name, otherwise))
    except (TypeError, ValueError):
        return otherwise
    return number if number > 0 else otherwise


def _resampler(rate: int) -> Any:
    return av.AudioResampler(format="s16", layout="mono", rate=rate)


def _bytes_of(frames: list[Any]) -> bytes:
    return b"".join(frame.to_ndarray().astype("<i2").tobytes() for frame in frames)
