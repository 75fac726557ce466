"""Contract of SpeechToText. Test classes derive from this one, with fixtures `engine`, `full_engine`."""

from contextlib import aclosing
from typing import Protocol

import anyio
import numpy as np
import pytest

from loadtests.client.recorded_speech import Clip, command, librivox
from pipeline.engines.ports import SpeechToText, Transcript, Utterance
from rhapsode.testing.clips import joined, needs_clips, word_errors
from rhapsode.testing.waiting import eventually
from schemas.errors import EngineBusy

SECOND = 16_000


class CountingSpeechToText(SpeechToText, Protocol):
    """Engines under test also say how many utterances are open."""

    @property
    def open_streams(self) -> int: ...


async def written(engine: SpeechToText, utterance: Utterance) -> tuple[list[str], Transcript]:
    """The deltas and the transcript, checked to come in this order, and to agree."""
    async with aclosing(engine.transcribe(utterance)) as stream:
        *deltas, transcript = [item async for item in stream]
    assert isinstance(transcript, Transcript)
    texts = [delta for delta in deltas if isinstance(delta, str)]
    assert len(texts) == len(deltas)
    assert all(texts)
    assert "".join(texts) in ("", transcript.text)
    assert transcript.text == transcript.text.strip()
    return texts, transcript


async def heard(engine: SpeechToText, clip: Clip) -> str:
    return (await written(engine, Utterance(clip.pcm, language="en")))[1].text


def faint_noise(seconds: float) -> bytes:
    """As of a quiet room."""
    noise = np.random.default_rng(7).normal(0.0, 40.0, int(seconds * SECOND))
    return noise.astype("<i2").tobytes()


@needs_clips
@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
class SpeechToTextContract:
    most_errors = 0.1
    """Of the words of six short clips."""

    async def test_what_people_say_is_written_down(self, engine: CountingSpeechToText) -> None:
        clips = [*librivox(), command()]
        texts = [(clip.text, await heard(engine, clip)) for clip in clips]
        assert word_errors(texts) <= self.most_errors, texts

    async def test_more_than_a_window_holds_is_written_down_to_its_end(
        self, engine: CountingSpeechToText
    ) -> None:
        clip = joined([*librivox(), command(), *librivox()[:1]])
        assert clip.ms > 30_000
        assert word_errors([(clip.text, await heard(engine, clip))]) <= self.most_errors

    @pytest.mark.parametrize("sound", [b"", b"\x01", bytes(20), bytes(2 * SECOND), bytes(80 * SECOND)])
    async def test_nothing_said_is_no_text(self, engine: CountingSpeechToText, sound: bytes) -> None:
        deltas, transcript = await written(engine, Utterance(sound, language="en", words=True))
        assert (deltas, transcript.text, transcript.words) == ([], "", ())

    async def test_a_quiet_room_says_nothing(self, engine: CountingSpeechToText) -> None:
        assert (await written(engine, Utterance(faint_noise(2), language="en")))[1].text == ""

    async def test_half_a_sample_at_the_end_does_no_harm(self, engine: CountingSpeechToText) -> None:
        clip = command()
        odd = Clip(clip.name, clip.pcm + b"\x07", clip.text)
        assert word_errors([(clip.text, await heard(engine, odd))]) == 0

    async def test_a_language_that_nobody_named_is_no_obstacle(self, engine: CountingSpeechToText) -> None:
        clip = librivox()[1]
        for language in (None, "auto"):
            _, transcript = await written(engine, Utterance(clip.pcm, language=language))
            assert word_errors([(clip.text, transcript.text)]) <= self.most_errors
            assert transcript.language in ("en", "")

    async def test_two_at_once_do_not_mix(self, engine: CountingSpeechToText) -> None:
        clips = [librivox()[4], command()]
        texts: dict[str, str] = {}

        async def listen(clip: Clip) -> None:
            texts[clip.name] = await heard(engine, clip)

        async with anyio.create_task_group() as listeners:
            for clip in clips:
                listeners.start_soon(listen, clip)
        assert word_errors([(clip.text, texts[clip.name]) for clip in clips]) <= self.most_errors

    async def test_a_full_ear_says_so_before_anything_else(self, full_engine: CountingSpeechToText) -> None:
        with pytest.raises(EngineBusy):
            await anext(full_engine.transcribe(Utterance(command().pcm)))

    async def test_cancelling_frees_the_place(self, engine: CountingSpeechToText) -> None:
        with anyio.CancelScope() as listening:
            async with anyio.create_task_group() as listeners:
                listeners.start_soon(written, engine, Utterance(joined(librivox()[:2]).pcm))
                await eventually(lambda: engine.open_streams == 1, every_s=0)
                listening.cancel()
        await eventually(lambda: engine.open_streams == 0)
        assert word_errors([(command().text, await heard(engine, command()))]) == 0

    async def test_it_says_who_wrote_and_how_long_that_took(self, engine: CountingSpeechToText) -> None:
        _, transcript = await written(engine, Utterance(command().pcm, language="en"))
        assert transcript.engine
        assert transcript.decode_ms >= 0
        assert transcript.cpu_ms >= 0


class TimedSpeechToTextContract(SpeechToTextContract):
    """And what those must do that know when each word was spoken."""

    @pytest.mark.parametrize("how_many", [1, 7])
    async def test_words_cover_the_text_and_follow_each_other(
        self, engine: CountingSpeechToText, how_many: int
    ) -> None:
        clip = joined([*librivox(), command(), *librivox()][:how_many])
        _, transcript = await written(engine, Utterance(clip.pcm, language="en", words=True))
        words, text = transcript.words, transcript.text
        assert [text[word.start : word.end] for word in words] == text.split()
        times = [time for word in words for time in (word.start_ms, word.end_ms)]
        assert times == sorted(times)
        assert times[0] >= 0
        assert times[-1] <= clip.ms + 1
        assert sum(word.end_ms > word.start_ms for word in words) > 0.9 * len(words)

    async def test_words_that_nobody_asked_for_are_not_looked_for(self, engine: CountingSpeechToText) -> None:
        assert (await written(engine, Utterance(command().pcm)))[1].words == ()
