"""Contract of every voice. A test class derives from this one and gives it the fixture `voice`."""

from contextlib import aclosing
from itertools import pairwise
from typing import Protocol

import anyio
import numpy as np
import pytest

from pipeline.engines.ports import TextToSpeech, TimedWord, WordTimes
from rhapsode.testing.waiting import eventually, take_turns
from schemas.errors import UnknownVoice

SENTENCE = "One of the foxes ran by, and the old keeper saw it."


class CountingTextToSpeech(TextToSpeech, Protocol):
    """Engines under test also say how many sentences are open."""

    @property
    def open_streams(self) -> int: ...


async def spoken(
    voice: TextToSpeech, text: str, *, speed: float = 1.0, name: str | None = None
) -> tuple[tuple[TimedWord, ...], list[bytes]]:
    """Word times, if any, and chunks, checked to come in this order. `name`: a voice; None: the first."""
    async with aclosing(voice.synthesize(text, voice=name or voice.voices[0], speed=speed)) as stream:
        first, *chunks = [item async for item in stream]
    times = first if isinstance(first, WordTimes) else WordTimes()
    if first is not times:
        chunks = [first, *chunks]
    assert all(isinstance(chunk, bytes) and chunk and len(chunk) % 2 == 0 for chunk in chunks)
    return times.words, [bytes(chunk) for chunk in chunks if isinstance(chunk, bytes)]


def length_ms(voice: TextToSpeech, chunks: list[bytes]) -> float:
    return sum(map(len, chunks)) / 2 * 1_000 / voice.sample_rate


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
class TextToSpeechContract:
    async def test_a_sentence_is_heard_for_as_long_as_it_is(self, voice: CountingTextToSpeech) -> None:
        _, chunks = await spoken(voice, SENTENCE)
        sound = np.frombuffer(b"".join(chunks), "<i2").astype(float)
        assert 400 < length_ms(voice, chunks) < 6_000
        assert np.sqrt((sound**2).mean()) > 200

    async def test_sound_comes_in_pieces(self, voice: CountingTextToSpeech) -> None:
        _, chunks = await spoken(voice, SENTENCE)
        assert len(chunks) > 2
        assert length_ms(voice, chunks[:1]) < length_ms(voice, chunks) / 2

    async def test_a_faster_voice_needs_less_time(self, voice: CountingTextToSpeech) -> None:
        normal = length_ms(voice, (await spoken(voice, SENTENCE))[1])
        words, chunks = await spoken(voice, SENTENCE, speed=2.0)
        assert length_ms(voice, chunks) < 0.75 * normal
        assert all(word.end_ms <= length_ms(voice, chunks) + 1 for word in words)

    @pytest.mark.parametrize("text", ["", "  \n", "…", "?!"])
    async def test_nothing_to_say_is_silence_not_an_error(
        self, voice: CountingTextToSpeech, text: str
    ) -> None:
        async with aclosing(voice.synthesize(text, voice=voice.voices[0])) as stream:
            assert [item async for item in stream] == []

    async def test_an_unknown_voice_is_refused(self, voice: CountingTextToSpeech) -> None:
        with pytest.raises(UnknownVoice, match="nobody"):
            await anext(voice.synthesize(SENTENCE, voice="nobody"))

    async def test_two_sentences_take_turns(self, voice: CountingTextToSpeech) -> None:
        # Long enough that a busy machine does not hand over all of one at once.
        streams = [voice.synthesize(SENTENCE * 4, voice=voice.voices[0]) for _ in range(2)]
        assert await take_turns(*streams)

    async def test_closing_stops_the_work(self, voice: CountingTextToSpeech) -> None:
        async with aclosing(voice.synthesize(SENTENCE * 5, voice=voice.voices[0])) as stream:
            await anext(stream)
            assert voice.open_streams == 1
        await eventually(lambda: voice.open_streams == 0)

    async def test_cancelling_stops_the_work(self, voice: CountingTextToSpeech) -> None:
        with anyio.CancelScope() as listening:
            async with aclosing(voice.synthesize(SENTENCE * 5, voice=voice.voices[0])) as stream:
                async for _ in stream:
                    listening.cancel()
        assert listening.cancelled_caught
        await eventually(lambda: voice.open_streams == 0)


class TimedTextToSpeechContract(TextToSpeechContract):
    """And what those must do that know when each word is heard."""

    async def test_every_word_has_its_time(self, voice: CountingTextToSpeech) -> None:
        words, chunks = await spoken(voice, SENTENCE)
        assert [SENTENCE[word.start : word.end] for word in words] == SENTENCE.split()
        assert all(word.start_ms < word.end_ms for word in words)
        assert all(one.end_ms <= next_.start_ms + 1 for one, next_ in pairwise(words))
        assert words[0].start_ms >= 0
        assert words[-1].end_ms <= length_ms(voice, chunks) + 1

    async def test_words_are_louder_than_what_is_between_them(self, voice: CountingTextToSpeech) -> None:
        words, chunks = await spoken(voice, "Foxes. Foxes.")
        sound = np.abs(np.frombuffer(b"".join(chunks), "<i2").astype(float))
        assert len(words) == 2
        per_ms = voice.sample_rate / 1_000
        heard = [sound[int(w.start_ms * per_ms) : int(w.end_ms * per_ms)].mean() for w in words]
        assert min(heard) > sound.mean()
