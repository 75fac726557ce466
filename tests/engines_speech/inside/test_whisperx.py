"""WhisperX itself: several callers in one batch, each with an answer or an error of its own."""

import asyncio
from contextlib import aclosing
from dataclasses import replace
from itertools import pairwise

import pytest

from loadtests.client.recorded_speech import librivox
from pipeline.engines.ports import Transcript, Utterance
from pipeline.engines.stt.whisper_windows import repeats_itself
from pipeline.engines.stt.whisperx.whisperx_engine import WhisperX
from rhapsode.testing.clips import needs_clips, plain, word_errors
from schemas.errors import EngineBusy, EngineDead, EngineFailed
from tests.engines_speech.expected_text import said, with_pauses
from tests.engines_speech.inside.conftest import SETTINGS

pytestmark = [pytest.mark.anyio, needs_clips]


def texts(answers: list[Transcript | EngineFailed]) -> list[str]:
    return [answer.text if isinstance(answer, Transcript) else str(answer) for answer in answers]


async def whole(engine: WhisperX, utterance: Utterance) -> tuple[list[str], Transcript]:
    """The deltas and the transcript, checked to come in this order."""
    async with aclosing(engine.transcribe(utterance)) as stream:
        *deltas, last = [item async for item in stream]
    assert isinstance(last, Transcript)
    assert "".join(map(str, deltas)) == last.text
    return [str(delta) for delta in deltas], last


def test_four_utterances_are_decoded_at_once_and_read_as_if_alone(whisperx: WhisperX) -> None:
    utterances = [said(clip) for clip in librivox()[:4]]
    together = texts(whisperx.transcribe_many(utterances))
    assert whisperx.batches[-1] == 4
    alone = [texts(whisperx.transcribe_many([one]))[0] for one in utterances]
    assert word_errors([(clip.text, text) for clip, text in zip(librivox(), together, strict=False)]) < 0.1
    assert word_errors(list(zip(alone, together, strict=True))) < 0.05


def test_languages_are_not_mixed_in_a_batch_and_answers_keep_their_order(whisperx: WhisperX) -> None:
    short, other = librivox()[1], librivox()[4]
    utterances = [said(short), said(short, language="de"), said(other), said(other, language="de")]
    answers = whisperx.transcribe_many(utterances)
    assert list(whisperx.batches)[-2:] == [2, 2]
    assert [one.language for one in answers if isinstance(one, Transcript)] == ["en", "de", "en", "de"]
    english, german, *_ = texts(answers)
    assert plain(english).startswith("he was not")
    assert "Mann" in german


def test_one_bad_utterance_fails_alone(whisperx: WhisperX) -> None:
    good = said(librivox()[1])
    too_long = Utterance(bytes(2 * 16_000 * 31), language="en")
    first, bad, last = whisperx.transcribe_many([good, too_long, good])
    assert isinstance(bad, EngineFailed)
    assert "31" not in str(bad)
    for answer in (first, last):
        assert isinstance(answer, Transcript)
        assert "young man" in answer.text
    whisperx.check()


def test_a_language_that_nobody_named_is_found_out(whisperx: WhisperX) -> None:
    (unnamed, unknown) = whisperx.transcribe_many(
        [said(librivox()[0], language=None), said(librivox()[0], language="xx")]
    )
    for answer in (unnamed, unknown):
        assert isinstance(answer, Transcript)
        assert answer.language == "en"
        assert "John Dashwood" in answer.text


def test_a_text_that_goes_round_in_circles_is_written_anew(whisperx: WhisperX) -> None:
    for answer in whisperx.transcribe_many([said(clip, language="fr") for clip in librivox()]):
        assert isinstance(answer, Transcript)
        assert not repeats_itself(answer.text)


def test_words_have_times_only_if_asked_for(whisperx: WhisperX) -> None:
    clip = librivox()[0]
    with_times, without = whisperx.transcribe_many([said(clip, words=True), said(clip)])
    assert isinstance(with_times, Transcript)
    assert isinstance(without, Transcript)
    assert without.words == ()
    assert [with_times.text[word.start : word.end] for word in with_times.words] == with_times.text.split()
    assert all(before.end_ms <= after.start_ms for before, after in pairwise(with_times.words))
    assert with_times.words[-1].end_ms <= clip.ms


async def test_a_long_recording_is_written_down_piece_by_piece(whisperx: WhisperX) -> None:
    deltas, transcript = await whole(whisperx, said(with_pauses(), words=True))
    assert len(deltas) > 1
    assert word_errors([(with_pauses().text, transcript.text)]) < 0.1
    second_half = with_pauses().ms / 2
    later = [word for word in transcript.words if word.start_ms > second_half - 500]
    assert transcript.text[later[0].start : later[0].end].lower() in ("and", "and,")
    assert all(word.end_ms - word.start_ms < 3_000 for word in transcript.words)


async def test_a_short_utterance_does_not_wait_for_the_end_of_a_long_one(whisperx: WhisperX) -> None:
    finished: list[str] = []
    began = asyncio.Event()

    async def recording() -> None:
        async with aclosing(whisperx.transcribe(said(with_pauses()))) as stream:
            async for _ in stream:
                began.set()
        finished.append("long")

    async with asyncio.TaskGroup() as callers:
        callers.create_task(recording())
        await began.wait()
        await whole(whisperx, said(librivox()[1]))
        finished.append("short")
    assert finished == ["short", "long"]


async def test_closing_leaves_out_the_pieces_that_have_not_begun(short_lived: WhisperX) -> None:
    async with aclosing(short_lived.transcribe(said(with_pauses()))) as stream:
        await anext(stream)
    assert short_lived.open_streams == 0
    await whole(short_lived, said(librivox()[1]))
    assert list(short_lived.batches) == [1, 1]


async def test_silence_has_no_words(whisperx: WhisperX) -> None:
    assert (await whole(whisperx, Utterance(bytes(64_001), language="en")))[1].text == ""
    assert (await whole(whisperx, Utterance(b"")))[1].text == ""


async def test_a_full_engine_says_so_before_anything_else(whisperx: WhisperX) -> None:
    tight = WhisperX(whisperx._model, SETTINGS.model_copy(update={"batch": 1, "queued": 1}))
    streams = [tight.transcribe(said(librivox()[1])) for _ in range(3)]
    answers = await asyncio.gather(*(anext(stream) for stream in streams), return_exceptions=True)
    assert [type(answer) for answer in answers] == [str, str, EngineBusy]
    for stream in streams:
        await stream.aclose()
    assert tight.open_streams == 0


async def test_a_caller_that_waits_when_it_is_closed_is_told_that_it_is_dead(short_lived: WhisperX) -> None:
    at_work = asyncio.create_task(short_lived.transcribe_together([said(librivox()[1])]))
    waiting = asyncio.create_task(short_lived.transcribe_together([said(librivox()[1])]))
    await asyncio.sleep(0)  # both have asked
    await short_lived.aclose()
    assert (await at_work)[0]
    with pytest.raises(EngineDead):
        await waiting


async def test_a_closed_engine_is_dead(short_lived: WhisperX) -> None:
    await short_lived.aclose()
    with pytest.raises(EngineDead):
        await whole(short_lived, said(librivox()[1]))


def test_an_engine_of_which_nothing_succeeds_is_ill_until_something_does(short_lived: WhisperX) -> None:
    too_long = Utterance(bytes(2 * 16_000 * 31), language="en")
    short_lived.transcribe_many([too_long] * 3)
    with pytest.raises(EngineDead):
        short_lived.check()
    short_lived.transcribe_many([said(librivox()[1])])
    short_lived.check()


def test_the_prompt_of_one_utterance_is_not_shared_with_others(whisperx: WhisperX) -> None:
    plainly = said(librivox()[1])
    whisperx.transcribe_many([replace(plainly, prompt="Mrs. Ferrars spoke of him."), plainly, plainly])
    assert list(whisperx.batches)[-2:] == [1, 2]
