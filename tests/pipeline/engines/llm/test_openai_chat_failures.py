"""How a language model behind HTTP fails: never for ever, never without saying why, never with its key."""

import gzip
import logging
import socket
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import pytest

from pipeline.engines.llm.openai_chat import OpenAiChat
from pipeline.engines.ports import ChatRequest, Message
from rhapsode.testing.language_model_contract import answer
from schemas.errors import EngineBusy, EngineDead, EngineError, EngineFailed
from tests.support.eventually import eventually
from tests.support.servers.chat_server import FakeChatServer
from tests.support.servers.fake_server import event
from tests.support.servers.web_server_thread import serving_somewhere

pytestmark = pytest.mark.anyio
KEY = "sk-very-secret-0123456789"
QUESTION = ChatRequest((Message("user", "Which colour?"),), max_tokens=24)
DELTA = event(choices=[{"delta": {"content": "One"}}])


@pytest.fixture
async def cloud(elsewhere: FakeChatServer) -> AsyncGenerator[OpenAiChat, None]:
    model = OpenAiChat("cloud", elsewhere.settings(timeout_s=60))
    yield model
    await model.aclose()


@pytest.fixture
async def impatient(elsewhere: FakeChatServer) -> AsyncGenerator[OpenAiChat, None]:
    """Asks the same server, and waits a second for a sign of life."""
    model = OpenAiChat("cloud", elsewhere.settings(timeout_s=1))
    yield model
    await model.aclose()


async def failure(model: OpenAiChat) -> tuple[EngineError, list[str]]:
    """How an answer fails, and the deltas that came before."""
    deltas: list[str] = []
    try:
        async with aclosing(model.stream(QUESTION)) as items:
            async for item in items:
                deltas.append(str(item))
    except EngineError as error:
        assert model.open_streams == 0
        return error, deltas
    pytest.fail("It did not fail.")


@pytest.mark.parametrize(
    ("status", "kind", "says"),
    [
        (429, EngineBusy, "cloud is busy (HTTP 429)."),
        (503, EngineBusy, "cloud is busy (HTTP 503)."),
        (500, EngineDead, "cloud is out of order (HTTP 500)."),
        (529, EngineDead, "cloud is out of order (HTTP 529)."),
        (401, EngineFailed, "cloud does not let us in (HTTP 401): look at its api_key."),
        (404, EngineFailed, "cloud refused this (HTTP 404): no such model"),
        (400, EngineFailed, "cloud refused this (HTTP 400): no such model"),
        (307, EngineFailed, "cloud refused this (HTTP 307): no such model"),
    ],
)
async def test_refusals_say_whether_they_may_pass(
    elsewhere: FakeChatServer, cloud: OpenAiChat, status: int, kind: type[EngineError], says: str
) -> None:
    elsewhere.refusals = [(status, {"error": {"message": "no such model"}})]
    error, deltas = await failure(cloud)
    assert (type(error), str(error), deltas, len(elsewhere.requests)) == (kind, says, [], 1)


async def test_an_absent_server_is_a_dead_engine() -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    model = OpenAiChat("cloud", FakeChatServer(f"http://127.0.0.1:{port}").settings())
    error, _ = await failure(model)
    assert (type(error), str(error)) == (EngineDead, "cloud cannot be reached.")
    await model.aclose()


@pytest.mark.parametrize("status", [200, 400])
async def test_a_compressed_answer_is_not_read(status: int) -> None:
    """A few bytes of it may be any number of them."""

    async def compressed(scope: Any, receive: Any, send: Any) -> None:
        assert dict(scope["headers"])[b"accept-encoding"] == b"identity"
        headers = [(b"content-type", b"application/json"), (b"content-encoding", b"gzip")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": gzip.compress(b" " * 10_000_000 + b"{}")})

    with serving_somewhere(compressed, "the compressor") as url:
        model = OpenAiChat("cloud", FakeChatServer(url).settings())
        error, deltas = await failure(model)
        await model.aclose()
    said = "cloud sent a compressed answer, which nobody asked for."
    assert (type(error), str(error), deltas) == (EngineFailed, said, [])


@pytest.mark.parametrize(
    "chatter", [b": ping\n\n", event(choices=[]), event(choices=[{"delta": {"content": ""}}])]
)
async def test_keeping_the_line_open_is_not_answering(
    elsewhere: FakeChatServer, impatient: OpenAiChat, chatter: bytes
) -> None:
    elsewhere.chatter = (chatter, 1_000_000)
    error, deltas = await failure(impatient)
    assert (type(error), str(error), deltas) == (EngineDead, "cloud was silent for 1 s.", [])
    await eventually(lambda: (elsewhere.writing, elsewhere.hung_up) == (0, 1))


async def test_silence_is_not_waited_for_longer_than_agreed(
    elsewhere: FakeChatServer, impatient: OpenAiChat
) -> None:
    elsewhere.silent = True
    error, _ = await failure(impatient)
    assert (type(error), str(error)) == (EngineDead, "cloud was silent for 1 s.")


async def test_silence_in_the_middle_fails_the_answer(
    elsewhere: FakeChatServer, impatient: OpenAiChat
) -> None:
    elsewhere.deltas, elsewhere.stalls = 2, True
    error, deltas = await failure(impatient)
    assert (type(error), deltas) == (EngineFailed, ["The", " fox"])
    assert str(error) == "cloud was silent for 1 s in the middle of its answer."
    elsewhere.stalls = False
    await eventually(lambda: elsewhere.hung_up == 1)


async def test_a_connection_that_breaks_in_the_middle_fails_the_answer(
    elsewhere: FakeChatServer, cloud: OpenAiChat
) -> None:
    elsewhere.deltas = 2
    error, deltas = await failure(cloud)
    assert (type(error), deltas) == (EngineFailed, ["The", " fox"])
    assert str(error) == "cloud broke off in the middle of its answer."


@pytest.mark.parametrize("raw", [[], [b": ping\n\n"], [b"data: {"], [b"<html>Sign in</html>"]])
async def test_a_stream_that_ends_before_it_began_may_be_asked_for_again(
    elsewhere: FakeChatServer, cloud: OpenAiChat, raw: list[bytes]
) -> None:
    elsewhere.raw = raw
    error, _ = await failure(cloud)
    assert (type(error), str(error)) == (EngineDead, "cloud hung up before anything came of it.")


async def test_a_stream_that_ends_without_saying_so_is_not_the_whole_answer(
    elsewhere: FakeChatServer, cloud: OpenAiChat
) -> None:
    elsewhere.raw = [DELTA, b'data: {"choices": [{"del']
    error, deltas = await failure(cloud)
    assert (type(error), deltas) == (EngineFailed, ["One"])


@pytest.mark.parametrize(
    ("before", "error", "kind"),
    [
        (False, {"message": "out of memory", "code": 500}, EngineDead),
        (False, {"message": "out of memory", "code": 400}, EngineFailed),
        (True, {"message": "out of memory", "code": 500}, EngineFailed),
    ],
)
async def test_an_error_inside_the_stream_is_one(
    elsewhere: FakeChatServer, cloud: OpenAiChat, before: bool, error: dict[str, Any], kind: type[EngineError]
) -> None:
    elsewhere.raw = [DELTA] * before + [event(error=error), b"data: [DONE]\n\n"]
    failed, deltas = await failure(cloud)
    assert (type(failed), str(failed)) == (kind, "cloud failed: out of memory.")
    assert deltas == ["One"] * before


@pytest.mark.parametrize(
    ("raw", "kind", "says"),
    [
        ([b"data: {nonsense\n\n"], "text/event-stream", "no JSON"),
        ([b"data: [1, 2]\n\n"], "text/event-stream", "no JSON object"),
        ([b"data: " + b"x" * 65_536] * 80, "text/event-stream", "a line that does not come to an end"),
        ([b": " + b"x" * 65_536 + b"\n"] * 300, "text/event-stream", "does not come to an end"),
        ([b" " * 65_536] * 300, "application/json", "does not come to an end"),
        ([b"no"], "application/json", "no JSON"),
        ([b"[]"], "application/json", "no JSON object"),
        ([b'{"error": {"message": "too sad"}}'], "application/json", "failed: too sad"),
    ],
)
async def test_nonsense_is_a_failure_that_says_so(
    elsewhere: FakeChatServer, cloud: OpenAiChat, raw: list[bytes], kind: str, says: str
) -> None:
    elsewhere.raw, elsewhere.raw_type = raw, kind
    error, _ = await failure(cloud)
    assert type(error) is EngineFailed
    assert says in str(error)


async def test_a_server_that_says_nothing_in_json_has_not_answered(
    elsewhere: FakeChatServer, cloud: OpenAiChat
) -> None:
    elsewhere.raw, elsewhere.raw_type = [b"{}"], "application/json"
    assert type((await failure(cloud))[0]) is EngineDead


async def test_the_key_is_sent_and_never_shown(
    elsewhere: FakeChatServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    settings = elsewhere.settings(api_key=KEY)
    model = OpenAiChat("cloud", settings)
    elsewhere.key = KEY
    assert (await answer(model, QUESTION))[0]
    elsewhere.refusals = [(400, {"detail": f"Bearer {KEY} is known"})]
    refused, _ = await failure(model)
    elsewhere.raw = [event(error={"message": f"Bearer {KEY} is known"})]
    failed, _ = await failure(model)
    assert "***" in str(refused)
    assert "***" in str(failed)
    assert KEY not in f"{refused!r} {failed!r} {model!r} {settings!r} {caplog.text}"
    await model.aclose()
