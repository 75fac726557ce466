"""Piper: windows that sound like the whole, long and odd texts, and many sentences on one thread."""

from collections.abc import Callable
from contextlib import aclosing
from itertools import pairwise

import numpy as np
import pytest

from pipeline.engines.ports import EngineResult, WordTimes
from pipeline.engines.tts.piper import PiperTextToSpeech
from pipeline.engines.tts.piper_voice import Voice
from rhapsode.testing.text_to_speech_contract import SENTENCE, length_ms, spoken
from tests.contracts.busy_text_to_speech import is_busy_beyond_five, says_that_it_was_shut_down

pytestmark = [pytest.mark.anyio, pytest.mark.weights]


def test_windows_sound_like_the_whole(joe: Voice) -> None:
    (piece,) = joe.pronounce(SENTENCE)
    frames = joe.frames(piece.sentences[0], 1.0)
    whole = joe.samples(frames, 0, frames.count)
    cuts = [0, 20, 60, 75, frames.count]
    windows = [joe.samples(frames, start, end) for start, end in pairwise(cuts)]
    assert np.max(np.abs(np.concatenate(windows) - whole)) < 1e-3


async def test_the_first_sound_is_a_quarter_second_long_however_long_the_sentence_is(
    piper: PiperTextToSpeech,
) -> None:
    async with aclosing(piper.synthesize(SENTENCE * 5, voice="joe")) as stream:
        await anext(stream)
        first = await anext(stream)
        assert isinstance(first, bytes)
        assert 140 <= length_ms(piper, [first]) <= 240


async def test_a_text_of_2000_characters_is_spoken_to_its_end(piper: PiperTextToSpeech, joe: Voice) -> None:
    text = (
        "Dr. Fox said no, twice! Was he right? The keeper, who had 3 lamps, did not know; he lit one. " * 25
    )[:2_000]
    async with aclosing(piper.synthesize(text, voice="joe", speed=2.0)) as stream:
        times = await anext(stream)
    assert isinstance(times, WordTimes)
    assert [text[word.start : word.end] for word in times.words] == text.split()
    spans = [word.end_ms - word.start_ms for word in times.words]
    assert min(spans) >= 0
    assert np.mean(np.array(spans) > 20) > 0.95
    assert max(spans) < 1_500


async def test_the_sound_of_several_sentences_is_as_long_as_their_words(piper: PiperTextToSpeech) -> None:
    text = "Stop! The fox ran by. Was it Dr. Smith's?"
    words, chunks = await spoken(piper, text)
    assert [text[word.start : word.end] for word in words] == text.split()
    assert 50 < length_ms(piper, chunks) - words[-1].end_ms < 500


@pytest.mark.parametrize(
    "text",
    [
        "🦊",
        "你好 world",
        "[[hello]]",
        "http://a.example/" + "x" * 33,
        "1995",
        "— yes —",
        "a\n\nb",
        "\x00 hi",
        "light\xadhouse \ud800",
    ],
)
async def test_odd_texts_are_spoken(piper: PiperTextToSpeech, text: str) -> None:
    words, chunks = await spoken(piper, text, speed=2.0)
    assert words
    assert length_ms(piper, chunks) > 100


def test_the_end_of_a_very_long_word_is_pronounced(joe: Voice) -> None:
    def sounds(text: str) -> int:
        return sum(len(sentence.symbols) for piece in joe.pronounce(text) for sentence in piece.sentences)

    assert sounds("w" * 1_000) > 8 * sounds("w" * 100)


def test_no_run_of_the_frontend_is_boundless(joe: Voice) -> None:
    sentences = [sentence for piece in joe.pronounce("🦊" * 300) for sentence in piece.sentences]
    assert max(len(sentence.symbols) for sentence in sentences) <= 600


COMMAS = "When the night had come, and all was dark, he left; on Tuesday, March 3, he came back."


def test_no_pause_at_a_comma_is_long(joe: Voice) -> None:
    (piece,) = joe.pronounce(COMMAS)
    (sentence,) = piece.sentences
    frames = joe.frames(sentence, 1.0)
    reached = np.cumsum(np.concatenate([[0], frames.per_id]))
    assert reached[-1] == frames.count == frames.mask.shape[2]
    at = [n for n, symbol in enumerate(sentence.symbols) if symbol in ",;"]
    assert len(at) >= 4
    pauses = [reached[sentence.starts[n + 2]] - reached[sentence.starts[n]] for n in at]
    assert max(pauses) * 1_000 * joe.hop / joe.sample_rate <= 120


READ = (
    "An old keeper lived in a lighthouse at the edge of the sea. Every evening he climbed the stairs and lit "
    "the lamp. One night a small fox came to his door, wet and shivering from the storm."
)


async def test_a_speed_is_as_fast_as_it_says_and_words_are_where_they_are_heard(
    piper: PiperTextToSpeech,
) -> None:
    lasts = {}
    for speed in (1.0, 0.25, 0.5, 0.8, 1.25, 2.0, 2.5, 4.0):
        words, chunks = await spoken(piper, READ, speed=speed)
        assert [READ[word.start : word.end] for word in words] == READ.split()
        lasts[speed] = (length_ms(piper, chunks), words[-1].end_ms, _loud_ms(piper, chunks))
        for usual, wished in zip(lasts[1.0], lasts[speed], strict=True):
            assert usual / wished == pytest.approx(speed, rel=0.03)


@pytest.mark.parametrize("speed", [0.5, 2.5])
async def test_a_sentence_of_a_second_is_as_fast_as_it_says(piper: PiperTextToSpeech, speed: float) -> None:
    usual, wished = [
        length_ms(piper, (await spoken(piper, "Yes, of course.", speed=each))[1]) for each in (1.0, speed)
    ]
    assert usual / wished == pytest.approx(speed, rel=0.03)


def _loud_ms(piper: PiperTextToSpeech, chunks: list[bytes]) -> float:
    """Position of the last sound."""
    sound = np.abs(np.frombuffer(b"".join(chunks), "<i2").astype(float))
    return float(np.flatnonzero(sound > 500)[-1]) * 1_000 / piper.sample_rate


async def test_silence_at_the_start_is_cut(piper: PiperTextToSpeech) -> None:
    _, chunks = await spoken(piper, "Yes, of course.")
    sound = np.abs(np.frombuffer(b"".join(chunks), "<i2").astype(float))
    assert np.flatnonzero(sound > 500)[0] * 1_000 / piper.sample_rate < 25


async def test_more_sentences_than_it_can_queue_are_busy(joe_alone: Callable[..., PiperTextToSpeech]) -> None:
    voice = joe_alone(streams=1)
    await is_busy_beyond_five(voice, lambda: spoken(voice, SENTENCE))


async def test_a_voice_that_was_shut_down_says_so(joe_alone: Callable[..., PiperTextToSpeech]) -> None:
    voice = joe_alone()
    await says_that_it_was_shut_down(voice, SENTENCE)


async def test_a_pronunciation_in_ipa_is_spoken_where_it_is_given(
    piper: PiperTextToSpeech, joe: Voice
) -> None:
    text = "A ripe (tomato), New York and here."
    york = text.index("New York")
    given = ((8, 14, "təˈmɑːtəʊ"), (york, york + 8, "jɔːk"))
    [piece] = joe.pronounce(text, given)
    symbols = "".join(piece.sentences[0].symbols)
    assert "təˈmɑːtəʊ, jɔːk " in symbols
    delivery = EngineResult(phonemes=given)
    async with aclosing(piper.synthesize(text, voice="joe", delivery=delivery)) as stream:
        times = await anext(stream)
    assert isinstance(times, WordTimes)
    heard = [text[word.start : word.end] for word in times.words]
    assert heard == ["A", "ripe", "(tomato),", "New York", "and", "here."]
    assert piper.ignored(EngineResult(style="calm", phonemes=given)) == ("style",)
