"""Contract of every speaker. A test class derives from this one and gives it the fixture `speaker`."""

from contextlib import aclosing

import numpy as np
import pytest

from pipeline.audio.opus import PACKET_MS, RATE, OpusDecoder, packet_count
from pipeline.engines.ports import OpusChunk, Speaker, SpokenBy, WordTimes
from rhapsode.testing.text_to_speech_contract import SENTENCE
from schemas.errors import UnknownVoice


async def heard(speaker: Speaker, text: str) -> tuple[WordTimes, list[OpusChunk]]:
    """Word times and chunks, checked to come in this order."""
    async with aclosing(speaker.speak(text, voice=speaker.voices[0])) as stream:
        by, times, *chunks = [item async for item in stream]
    assert isinstance(by, SpokenBy)
    assert by.voice == speaker.voices[0]
    assert isinstance(times, WordTimes)
    return times, [chunk for chunk in chunks if isinstance(chunk, OpusChunk)]


@pytest.mark.anyio
class SpeakerContract:
    async def test_the_last_chunk_and_no_other_says_so(self, speaker: Speaker) -> None:
        for text in (SENTENCE, "Oh.", "Yes, of course."):
            _, chunks = await heard(speaker, text)
            assert [chunk.last for chunk in chunks] == [False] * (len(chunks) - 1) + [True]

    async def test_lengths_add_up_to_the_millisecond(self, speaker: Speaker) -> None:
        _, chunks = await heard(speaker, SENTENCE)
        decoder = OpusDecoder()
        for chunk in chunks:
            assert chunk.ms == PACKET_MS * packet_count(chunk.packets) > 0
            assert len(decoder.decode(chunk.packets)) == 2 * RATE * chunk.ms // 1_000

    async def test_the_words_are_where_the_sound_is(self, speaker: Speaker) -> None:
        times, chunks = await heard(speaker, SENTENCE)
        decoder = OpusDecoder()
        pcm = b"".join(decoder.decode(chunk.packets) for chunk in chunks)
        sound = np.abs(np.frombuffer(pcm, "<i2").astype(float))

        def inside_over_outside(late_ms: int) -> float:
            """Loudness within the words over loudness beside them, the words moved by `late_ms`."""
            in_word = np.zeros(len(sound), bool)
            for word in times.words:
                start, end = (max(0, ms + late_ms) * RATE // 1_000 for ms in (word.start_ms, word.end_ms))
                in_word[start:end] = True
            return float(sound[in_word].mean() / max(1.0, sound[~in_word].mean()))

        assert len(times.words) == len(SENTENCE.split())
        # Piper varies: within its words it is 1.56 to 2.19 times as loud as beside them (40 calls).
        assert inside_over_outside(0) > 1.3
        assert inside_over_outside(0) > 2 * inside_over_outside(100)
        assert inside_over_outside(0) > inside_over_outside(-200)
        assert times.words[-1].end_ms <= sum(chunk.ms for chunk in chunks)

    async def test_nothing_to_say_is_nothing_to_hear(self, speaker: Speaker) -> None:
        async with aclosing(speaker.speak("…", voice=speaker.voices[0])) as stream:
            assert [item async for item in stream] == []

    async def test_an_unknown_voice_is_refused(self, speaker: Speaker) -> None:
        with pytest.raises(UnknownVoice):
            await anext(speaker.speak(SENTENCE, voice="nobody"))
