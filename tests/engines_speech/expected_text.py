"""Sentences that WhisperX writes down in the tests."""

from loadtests.client.recorded_speech import Clip, librivox
from pipeline.engines.ports import Utterance


def said(clip: Clip, *, language: str | None = "en", words: bool = False) -> Utterance:
    return Utterance(clip.pcm, language=language, words=words)


def with_pauses() -> Clip:
    """The five sentences twice, 3 s of silence after each: 79 s, more than two of Whisper's windows."""
    clips = librivox() * 2
    pcm = b"".join(clip.pcm + bytes(3 * 32_000) for clip in clips)
    return Clip("with pauses", pcm, " ".join(clip.text for clip in clips))
