"""WhisperX as a deployment: callers in this environment, a replica in its own, batches between them."""

import asyncio
from contextlib import aclosing
from typing import Any

import pytest

from deployments.replicas.speech_to_text import RemoteSpeechToText
from loadtests.client.recorded_speech import librivox
from pipeline.engines.ports import Transcript, Utterance
from rhapsode.testing.clips import needs_clips, plain
from schemas.errors import EngineDead, EngineFailed, UnknownProvider
from tests.engines_speech.expected_text import said, with_pauses
from tests.engines_speech.outside.conftest import replica_process

pytestmark = [needs_clips, pytest.mark.anyio, pytest.mark.serve, pytest.mark.timeout(300)]


@pytest.fixture
def engine(handle: Any) -> RemoteSpeechToText:
    return RemoteSpeechToText(handle)


async def whole(engine: RemoteSpeechToText, utterance: Utterance) -> Transcript:
    async with aclosing(engine.transcribe(utterance)) as stream:
        *_, last = [item async for item in stream]
    assert isinstance(last, Transcript)
    return last


async def batches(handle: Any) -> list[int]:
    """Batches that the replica has decoded so far."""
    sizes: list[int] = await handle.options(method_name="batches", _by_reference=False).remote()
    return sizes


async def test_four_callers_in_two_languages_are_decoded_in_batches_of_one_language(
    engine: RemoteSpeechToText, handle: Any
) -> None:
    before = await batches(handle)
    short, other = librivox()[1], librivox()[4]
    utterances = [
        said(short, words=True),
        said(short, language="de"),
        said(other),
        said(other, language="de"),
    ]
    english, german, second, _ = await asyncio.gather(*(whole(engine, utterance) for utterance in utterances))
    assert plain(english.text).startswith("he was not")
    assert [english.text[word.start : word.end] for word in english.words] == english.text.split()
    assert plain(second.text) == plain(other.text)
    assert german.language == "de"
    assert "Mann" in german.text
    assert english.engine == "whisperx base int8"
    after = (await batches(handle))[len(before) :]
    assert sum(after) == 4
    assert max(after) == 2


async def test_a_caller_that_comes_while_the_engine_works_is_gathered(
    engine: RemoteSpeechToText, handle: Any
) -> None:
    before = await batches(handle)
    async with asyncio.TaskGroup() as callers:
        for _ in range(6):
            callers.create_task(whole(engine, said(librivox()[1])))
            await asyncio.sleep(0.09)  # one by one, with more between them than a batch waits
    after = (await batches(handle))[len(before) :]
    assert sum(after) == 6
    assert max(after) == 4


async def test_each_caller_has_an_error_of_its_own(engine: RemoteSpeechToText) -> None:
    good = said(librivox()[1])
    wrong = Utterance("no sound", language="en")  # type: ignore[arg-type]
    elsewhere = Utterance(good.pcm, provider="nobody")
    answers = await asyncio.gather(
        *(whole(engine, one) for one in (good, wrong, elsewhere, good)), return_exceptions=True
    )
    assert [type(answer) for answer in answers] == [Transcript, EngineFailed, UnknownProvider, Transcript]


async def test_a_killed_replica_is_dead_for_its_callers_and_another_one_takes_over(
    engine: RemoteSpeechToText,
) -> None:
    async with aclosing(engine.transcribe(said(with_pauses()))) as stream:
        await anext(stream)
        replica_process().kill()
        with pytest.raises(EngineDead):
            [_ async for _ in stream]
    assert "young man" in (await whole(engine, said(librivox()[1]))).text
