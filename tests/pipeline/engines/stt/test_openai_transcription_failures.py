"""How speech to text behind HTTP fails: what may pass is tried once more, and everything else is told."""

import logging
from contextlib import aclosing
from typing import Any

import pytest

from pipeline.engines.ports import Utterance
from pipeline.engines.stt.openai_transcription import OpenAiTranscription
from schemas.errors import EngineBusy, EngineDead, EngineError, EngineFailed
from tests.pipeline.engines.stt.known_transcripts import SOUND, heard
from tests.support.eventually import eventually
from tests.support.servers.transcription_server import FakeTranscriptionServer

pytestmark = pytest.mark.anyio
KEY = "sk-very-secret-0123456789"


async def failure(engine: OpenAiTranscription) -> tuple[EngineError, list[str]]:
    """How an utterance fails, and the deltas that came before."""
    deltas: list[str] = []
    try:
        async with aclosing(engine.transcribe(Utterance(SOUND))) as items:
            async for item in items:
                deltas.append(str(item))
    except EngineError as error:
        return error, deltas
    pytest.fail("It did not fail.")


# ---------------------------------------------------------------- how it fails


@pytest.mark.parametrize(
    ("status", "kind", "asked"),
    [
        (429, EngineBusy, 2),
        (503, EngineBusy, 2),
        (500, EngineDead, 2),
        (401, EngineFailed, 1),
        (400, EngineFailed, 1),
        (307, EngineFailed, 1),
    ],
)
async def test_refusals_that_may_pass_are_tried_once_more(
    there: FakeTranscriptionServer,
    cloud: OpenAiTranscription,
    status: int,
    kind: type[EngineError],
    asked: int,
) -> None:
    there.refusals = [(status, {"error": {"message": "no"}})] * 2
    error, deltas = await failure(cloud)
    assert (type(error), deltas, len(there.requests)) == (kind, [], asked)


async def test_a_second_attempt_may_help(there: FakeTranscriptionServer, cloud: OpenAiTranscription) -> None:
    there.refusals = [(503, {})]
    assert (await heard(cloud))[1].text == "The fox is red."


async def test_a_broken_stream_is_not_tried_again(
    there: FakeTranscriptionServer, cloud: OpenAiTranscription
) -> None:
    there.deltas = 2
    error, deltas = await failure(cloud)
    assert (type(error), deltas, len(there.requests)) == (EngineFailed, ["The", " fox"], 1)
    assert str(error) == "cloud broke off in the middle of an utterance."


async def test_silence_of_the_server_is_waited_for_so_long(there: FakeTranscriptionServer) -> None:
    engine = OpenAiTranscription("cloud", there.settings(timeout_s=0.5))
    there.silent = True
    error, _ = await failure(engine)
    assert isinstance(error, EngineDead)
    assert str(error) == "cloud was silent for 0.5 s."
    there.silent, there.deltas, there.stalls = False, 1, True
    error, deltas = await failure(engine)
    assert (type(error), deltas) == (EngineFailed, ["The"])
    await engine.aclose()


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        ("data: {nonsense\n\n", "no JSON"),
        ("data: [1, 2]\n\n", "no JSON object"),
        ('data: {"type": "transcript.text.delta"}\n\n', "without 'delta'"),
        ('data: {"type": "error", "error": {"message": "out of memory"}}\n\n', "failed: out of memory"),
        ("data: " + "[" * 100_000 + "\n\n", "no JSON"),
        ("", "broke off"),
        ('data: {"type":"transcript.text.delta","delta":"One"}\n\n', "broke off"),
        ('data: {"choices":[{"delta":{"content":"One"}}]}\n\n', "broke off"),
    ],
)
async def test_nonsense_is_a_failure_that_says_so(
    there: FakeTranscriptionServer, cloud: OpenAiTranscription, raw: str, says: str
) -> None:
    there.raw = raw
    error, _ = await failure(cloud)
    assert isinstance(error, EngineFailed)
    assert says in str(error)


@pytest.mark.parametrize(
    "raw",
    [
        "[]",
        "{}",
        "no",
        '{"text": "a", "words": [{"word": "a"}]}',
        '{"text": "a", "words": ["a"]}',
        '{"text": "a", "words": [{"word": "a", "start": 0, "end": NaN}]}',
        '{"text": 1}',
        '{"text": ' * 100_000,
    ],
)
async def test_nonsense_without_streaming_is_one_too(there: FakeTranscriptionServer, raw: str) -> None:
    engine = OpenAiTranscription("cloud", there.settings(stream=False))
    there.raw = raw
    error, _ = await failure(engine)
    assert type(error) is EngineFailed
    await engine.aclose()


async def test_a_refusal_nested_beyond_reason_is_still_a_refusal(
    there: FakeTranscriptionServer, cloud: OpenAiTranscription
) -> None:
    nested: Any = "no"
    for _ in range(300):
        nested = {"error": nested}
    there.refusals = [(400, nested)]
    assert isinstance((await failure(cloud))[0], EngineFailed)


async def test_the_key_is_sent_and_never_shown(
    there: FakeTranscriptionServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    settings = there.settings(api_key=KEY)
    engine = OpenAiTranscription("cloud", settings)
    there.key = KEY
    assert (await heard(engine))[1].text == "The fox is red."
    there.refusals = [(400, {"detail": f"Bearer {KEY} is known"})]
    error, _ = await failure(engine)
    assert "***" in str(error)
    assert KEY not in f"{error!r} {engine!r} {settings!r} {caplog.text}"
    await engine.aclose()


async def test_leaving_hangs_up(there: FakeTranscriptionServer, cloud: OpenAiTranscription) -> None:
    there.deltas, there.stalls = 1, True
    async with aclosing(cloud.transcribe(Utterance(SOUND))) as items:
        assert await anext(items) == "The"
    assert cloud.open_streams == 0
    there.stalls = False
    await eventually(lambda: there.hung_up == 1)
