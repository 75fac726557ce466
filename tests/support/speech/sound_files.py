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


def slow_flac(frames: int, *, rate: int) -> bytes:
    """Frames of 65,535 equal samples, of 13 bytes each (RFC 9639, sections 8.2, 9 and 10)."""
    size = 65_535
    about = size << 128 | size << 112 | rate << 44 | 15 << 36
    file = bytearray(b"fLaC\x80\x00\x00\x22" + about.to_bytes(18, "big") + bytes(16))
    for number in range(frames):
        frame = bytes([0xFF, 0xF8, 0x70, 0x08, number]) + (size - 1).to_bytes(2, "big")
        frame += bytes([_crc(frame, 8, 0x07)]) + b"\x00\x10\x00"  # one subframe: always the same sample
        file += frame + _crc(frame, 16, 0x8005).to_bytes(2, "big")
    return bytes(file)


def _crc(data: bytes, bits: int, polynomial: int) -> int:
    crc = 0
    for byte in data:
        crc ^= byte << bits - 8
        for _ in range(8):
            crc = (crc << 1 ^ (polynomial if crc >> bits - 1 else 0)) & (1 << bits) - 1
    return crc


def flac_with_tags(count: int) -> bytes:
    """A second of silence with so many tags (RFC 9639, section 8.6), for each of which FFmpeg reads all."""
    sound = encoded(bytes(2 * RATE), "flac", "flac")
    tags = b"".join((8).to_bytes(4, "little") + b"%06x=1" % number for number in range(count))
    tags = bytes(4) + count.to_bytes(4, "little") + tags
    frames = sound.index(b"\xff\xf8")
    return sound[:4] + b"\0" + sound[5:42] + b"\x84" + len(tags).to_bytes(3, "big") + tags + sound[frames:]


def mp4_that_claims(packets: int, tracks: int = 1) -> bytes:
    """An MP4 file (ISO/IEC 14496-12) without sound: by its tables each track has so many packets."""

    def box(name: bytes, *parts: bytes) -> bytes:
        return (8 + sum(map(len, parts))).to_bytes(4, "big") + name + b"".join(parts)

    def numbers(*values: int) -> bytes:
        return b"".join(value.to_bytes(4, "big") for value in values)

    form = bytes(6) + b"\x00\x01" + bytes(8) + b"\x00\x01\x00\x10" + bytes(4) + numbers(RATE << 16)
    tables = (
        box(b"stsd", numbers(0, 1), box(b"mp4a", form)),
        box(b"stts", numbers(0, 2, packets - 1, 1, 1, 2)),
        box(b"stsc", numbers(0, 1, 1, packets, 1)),
        box(b"stsz", numbers(0, 1, packets)),
        box(b"stco", numbers(0, 1, 0)),
    )
    media = (
        box(b"mdhd", numbers(0, 0, 0, RATE, packets, 0x55C40000)),
        box(b"hdlr", bytes(8) + b"soun" + bytes(13)),
        box(b"minf", box(b"stbl", *tables)),
    )
    track = box(b"trak", box(b"mdia", *media))
    return box(b"ftyp", b"isom" + bytes(4)) + box(b"moov", track * tracks)


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


def alac_of(samples: int, channels: int) -> bytes:
    """An MP4 file with 4,096 samples of ALAC, which says that each frame has so many, of 32 bits."""
    file = bytearray(encoded(bytes(2 * 4_096), "mp4", "alac"))
    cookie = file.rfind(b"alac") + 8  # ALACSpecificConfig
    assert file[cookie : cookie + 4] == (4_096).to_bytes(4, "big")
    file[cookie : cookie + 4] = samples.to_bytes(4, "big")
    file[cookie + 5], file[cookie + 9] = 32, channels
    return bytes(file)


def film_with_sound(pictures: int, side: int) -> bytes:
    """A second of silence, beside so many streams that hold one square picture (H.264)."""
    picture: Any = av.CodecContext.create("libx264", "w")
    picture.width = picture.height = side
    picture.pix_fmt, picture.time_base = "yuv420p", Fraction(1, 25)
    grey = np.full((side * 3 // 2, side), 128, np.uint8)
    packets = [*picture.encode(av.VideoFrame.from_ndarray(grey, format="yuv420p")), *picture.encode(None)]
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as out:
        streams: list[Any] = [out.add_stream("libx264", rate=25) for _ in range(pictures)]
        for stream in streams:
            stream.width = stream.height = side
            stream.pix_fmt = "yuv420p"
        sound: Any = out.add_stream("pcm_s16le", rate=RATE, layout="mono")
        for stream in streams:
            packet = av.Packet(bytes(packets[0]))
            packet.pts = packet.dts = 0
            packet.time_base, packet.stream, packet.is_keyframe = Fraction(1, 25), stream, True
            out.mux(packet)
        silence = av.AudioFrame.from_ndarray(np.zeros((1, RATE), np.int16), format="s16", layout="mono")
        silence.sample_rate, silence.pts = RATE, 0
        out.mux(sound.encode(silence))
        out.mux(sound.encode(None))
    return file.getvalue()
