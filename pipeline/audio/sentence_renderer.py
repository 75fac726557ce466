"""The log's Opus in the format that a listener asked for, chunk by chunk."""

from pipeline.audio.audio_formats import AudioFormat, Mp3Encoder, wav_header
from pipeline.audio.opus import OpusDecoder


class SentenceRenderer:
    """Turns chunks into one format; the same chunks always give the same bytes.

    Each sentence stands alone: everything is reset at chunk 0. Synchronous and not cheap (3 ms of CPU for a
    second of PCM, 7 for MP3): callers with an event loop use a thread.
    """

    def __init__(self, fmt: AudioFormat) -> None:
        self._fmt = fmt
        self._decoder = OpusDecoder()
        self._mp3 = Mp3Encoder()

    def render(self, packets: bytes, *, chunk: int, last: bool) -> bytes:
        """The chunk's bytes: `opus` unchanged, `wav` with a header before chunk 0, `mp3` flushed at the last.

        MP3 may be empty for a very short chunk, whose sound comes with the next one. Of a chunk that is
        longer than `CHUNK_MS`, which is neither recorded nor imported, no more is rendered.
        """
        if self._fmt == "opus":
            return packets
        if chunk == 0:
            self._decoder = OpusDecoder()
            self._mp3 = Mp3Encoder()
        pcm = next(self._decoder.pieces(packets), b"")
        if self._fmt == "mp3":
            return self._mp3.encode(pcm) + (self._mp3.finish() if last else b"")
        if self._fmt == "wav" and chunk == 0:
            return wav_header(None) + pcm
        return pcm
