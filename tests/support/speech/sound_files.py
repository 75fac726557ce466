"""Files as people send them: sound in every container, and what is no sound."""

import io
import wave
from fractions import Fraction
from typing import Any

import av
import numpy as np

RATE = 16_000


def wav(pcm: bytes, *, rate: int = RATE, claims_s: float | None = None) -> bytes:
    """`claims_s`: the header says that it is so long, whatever follows."""
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes(pcm)
    data = bytearray(file.getvalue())
    if claims_s is not None:
        claimed = int(claims_s * rate) * 2
        data[4:8] = (claimed + 36).to_bytes(4, "little")
        data[40:44] = claimed.to_bytes(4, "little")
    return bytes(data)


def encoded(pcm: bytes, container: str, codec: str, *, rate: int = RATE, layout: str = "mono") -> bytes:
    """The sound in a container, as "mp3" by "libmp3lame"."""
    file = io.BytesIO()
    with av.open(file, "w", format=container) as out:
        stream: Any = out.add_stream(codec, rate=rate, layout=layout)
        resampler = av.AudioResampler(format=stream.codec_context.format, layout=layout, rate=rate)
        sound = av.AudioFrame.from_ndarray(np.frombuffer(pcm, "<i2")[np.newaxis], format="s16", layout="mono")
        sound.sample_rate = RATE
        for frame in (*resampler.resample(sound), *resampler.resample(None)):
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return file.getvalue()


def flac(pcm: bytes, *, claims_s: float) -> bytes:
    """`claims_s`: so long its header says it is; 0: it does not say."""
    data = bytearray(encoded(pcm, "flac", "flac"))
    about = int.from_bytes(data[18:26], "big")  # rate, channels and bits, then 36 bits of samples
    data[18:26] = (about >> 36 << 36 | int(claims_s * RATE)).to_bytes(8, "big")
    return bytes(data)


def video(frames: int = 5) -> bytes:
    """A film without sound."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as out:
        stream: Any = out.add_stream("mpeg4", rate=Fraction(25))
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        for number in range(frames):
            picture = np.full((64, 64, 3), 40 * number, np.uint8)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        out.mux(stream.encode(None))
    return file.getvalue()


def jpeg() -> bytes:
    """A picture."""
    codec: Any = av.CodecContext.create("mjpeg", "w")
    codec.width = codec.height = 64
    codec.pix_fmt = "yuvj420p"
    codec.time_base = Fraction(1, 25)
    picture = av.VideoFrame.from_ndarray(np.full((64, 64, 3), 90, np.uint8), format="rgb24")
    return b"".join(bytes(packet) for packet in codec.encode(picture.reformat(format="yuvj420p")))
