"""Files of people who send recordings: what is read of them, and what is never opened for them."""

import io
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pipeline.audio.sound_files import RATE, SoundFile
from schemas.errors import NotSound
from tests.support.speech.sound_files import (
    alac_of,
    encoded,
    film_with_sound,
    mp4_that_claims,
    slow_flac,
    wav,
)

SECONDS = 2
TONE = (np.sin(np.arange(SECONDS * RATE) * 0.1) * 8_000).astype("<i2").tobytes()
CONTAINERS = [
    ("wav", "pcm_s16le"),
    ("wav", "pcm_mulaw"),
    ("w64", "pcm_s16le"),
    ("aiff", "pcm_s16be"),
    ("au", "pcm_s16be"),
    ("caf", "pcm_s16le"),
    ("flac", "flac"),
    ("wv", "wavpack"),
    ("tta", "tta"),
    ("mp3", "libmp3lame"),
    ("adts", "aac"),
    ("ac3", "ac3"),
    ("ogg", "libopus"),
    ("ipod", "aac"),
    ("mp4", "aac"),
    ("mov", "pcm_s16le"),
    ("3gp", "aac"),
    ("webm", "libopus"),
    ("matroska", "libopus"),
    ("asf", "libmp3lame"),
    ("avi", "libmp3lame"),
    ("flv", "aac"),
    ("mpegts", "aac"),
]


def pcm_of(body: bytes) -> bytes:
    with SoundFile(io.BytesIO(body)) as sound:
        return b"".join(sound.pieces())


def seconds_of(body: bytes) -> float:
    return len(pcm_of(body)) / 2 / RATE


@pytest.mark.parametrize(("container", "codec"), CONTAINERS)
def test_a_file_that_carries_its_sound_is_read(container: str, codec: str) -> None:
    rate = 48_000 if codec in ("libopus", "ac3") else 44_100
    assert seconds_of(encoded(TONE, container, codec, rate=rate)) == pytest.approx(SECONDS, abs=0.15)


def test_a_list_of_other_files_opens_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secret.wav").write_bytes(wav(TONE))
    monkeypatch.chdir(tmp_path)
    for path in ("secret.wav", str(tmp_path / "secret.wav"), f"file:{tmp_path}/secret.wav"):
        for body in (
            f"ffconcat version 1.0\nfile {path}\n",
            f"#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{path}\n#EXT-X-ENDLIST\n",
            f"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n{path}\n",
            f"[Reference]\nRef1={path}\n",
        ):
            with pytest.raises(NotSound):
                pcm_of(body.encode())


def test_a_list_of_addresses_asks_nobody() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        host, port = server.getsockname()
        address = f"http://{host}:{port}/sound"
        for body in (
            f"ffconcat version 1.0\nfile {address}.wav\n",
            f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{address}.ts\n#EXT-X-ENDLIST\n",
            '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><Period>'
            '<AdaptationSet mimeType="audio/mp4"><Representation id="1" bandwidth="1">'
            f"<BaseURL>{address}.mp4</BaseURL></Representation></AdaptationSet></Period></MPD>",
            f"<asx version='3.0'><entry><ref href='{address}'/></entry></asx>",
        ):
            with pytest.raises(NotSound):
                pcm_of(body.encode())
        server.setblocking(False)
        with pytest.raises(BlockingIOError):
            server.accept()


def test_the_description_of_a_call_waits_for_none() -> None:
    """FFmpeg would open the port, and wait for sound that nobody sends."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    call = f"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio {port} RTP/AVP 0\n"
    with pytest.raises(NotSound, match="of a kind that is read"):
        pcm_of(call.encode())


@pytest.mark.parametrize(("container", "codec"), [("mp3", "libmp3lame"), ("adts", "aac")])
def test_recordings_put_together_are_heard_to_the_end_whatever_their_rates(
    container: str, codec: str
) -> None:
    rates = (44_100, 22_050, 48_000)
    parts = [encoded(TONE, container, codec, rate=rate) for rate in rates]
    assert seconds_of(b"".join(parts)) == pytest.approx(len(rates) * SECONDS, abs=0.3)


def test_a_recording_that_goes_on_in_stereo_is_heard_to_the_end() -> None:
    one = encoded(TONE, "mp3", "libmp3lame", rate=44_100)
    two = encoded(TONE, "mp3", "libmp3lame", rate=44_100, layout="stereo")
    assert seconds_of(one + two) == pytest.approx(2 * SECONDS, abs=0.3)


def test_sound_of_more_channels_than_can_be_mixed_is_refused() -> None:
    """FFmpeg decodes it, and says only when the samples are to be resampled that it has no such mixer."""
    body = bytearray(wav(TONE))
    body[22:24] = (128).to_bytes(2, "little")
    with pytest.raises(NotSound, match="cannot be decoded"):
        pcm_of(bytes(body))


def test_a_small_file_is_not_read_as_days_of_sound() -> None:
    """All of a frame is decoded at once: 13 bytes of this file would be 2 GB."""
    assert seconds_of(slow_flac(3, rate=16_000)) == pytest.approx(3 * 65_535 / 16_000, abs=0.1)
    with pytest.raises(NotSound, match="no sound"):
        pcm_of(slow_flac(3, rate=1))


@pytest.mark.parametrize(("packets", "known"), [(1_000, 1_000), (8_000_000, 0)])
def test_a_small_file_that_claims_any_number_of_packets_gets_no_table_of_them(
    packets: int, known: int
) -> None:
    """It could be 3 GB for 273 bytes. FFmpeg goes on without one, and finds no sound."""
    with SoundFile(io.BytesIO(mp4_that_claims(packets))) as sound:
        assert len(sound._stream.index_entries) == known
        with pytest.raises(NotSound):
            b"".join(sound.pieces())


_READS = """
import io, sys
from pipeline.audio.sound_files import SoundFile
from schemas.errors import NotSound

def peak_kb():
    return int(open("/proc/self/status").read().split("VmHWM:")[1].split()[0])

body, heard, before = sys.stdin.buffer.read(), 0, peak_kb()
try:
    with SoundFile(io.BytesIO(body)) as sound:
        heard = sum(map(len, sound.pieces()))
except NotSound:
    pass
print(heard, (peak_kb() - before) // 1024)
"""


def read_alone(body: bytes) -> tuple[int, int]:
    """Bytes of PCM that a process gets of it, and the megabytes that this takes at most."""
    done = subprocess.run([sys.executable, "-c", _READS], input=body, capture_output=True, check=True)
    heard, peak_mb = map(int, done.stdout.split())
    return heard, peak_mb


def test_pictures_beside_the_sound_are_not_decoded() -> None:
    """A film of 170 KB with forty streams of 4,000 by 4,000 took 1.5 GB, and one may have a thousand."""
    heard, peak_mb = read_alone(film_with_sound(30, 1_024))
    assert heard == 2 * RATE
    assert peak_mb < 30


def test_a_small_file_that_claims_large_frames_gets_no_room_for_one() -> None:
    """ALAC has up to 8 channels of 64 MB each in a frame."""
    heard, peak_mb = read_alone(alac_of(4_096 * 4_096, channels=8))
    assert heard == 0
    assert peak_mb < 60
