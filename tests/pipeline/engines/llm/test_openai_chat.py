"""Language models behind HTTP, against a real server of ours: what they ask, what they understand."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

import anyio
import pytest
from pydantic import ValidationError

from pipeline.engines.llm.openai_chat import OpenAiChat
from pipeline.engines.ports import ChatRequest, Completion, Message
from pipeline.engines.registry import build_chat_provider
from rhapsode.testing.language_model_contract import answer
from schemas.errors import EngineBusy, EngineFailed
from schemas.settings import LanguageModelSettings
from schemas.settings.provider_settings import ChatProviderSettings
from tests.support.eventually import eventually
from tests.support.servers.chat_server import ANSWER, FakeChatServer
from tests.support.servers.fake_server import event

pytestmark = pytest.mark.anyio
WORDS = ["The", " fox", " is", " red."]
QUESTION = ChatRequest((Message("system", "Be brief."), Message("user", "Which colour?")), max_tokens=24)
BEGUN = ChatRequest((Message("user", "Which colour?"), Message("assistant", "The fox")), max_tokens=24)


@pytest.fixture
async def cloud(elsewhere: FakeChatServer) -> AsyncGenerator[OpenAiChat, None]:
    model = OpenAiChat("cloud", elsewhere.settings(timeout_s=60))
    yield model
    await model.aclose()


async def asked(remote: FakeChatServer, request: ChatRequest, **settings: object) -> dict[str, object]:
    """Request that the server gets with these settings."""
    model = build_chat_provider("cloud", remote.settings(**settings))
    await answer(model, request)
    await model.aclose()
    return remote.requests[-1]


# ---------------------------------------------------------------- what is asked


async def test_a_server_is_asked_for_a_stream_and_for_nothing_that_it_might_not_know(
    elsewhere: FakeChatServer,
) -> None:
    assert await asked(elsewhere, QUESTION) == {
        "model": "fox-1",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Which colour?"},
        ],
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_tokens": 24,
        "temperature": 0.6,
    }


async def test_the_wishes_of_a_question_go_along(elsewhere: FakeChatServer) -> None:
    request = ChatRequest(QUESTION.messages, seed=7, stop=("END",), temperature=0.0, model="fox-2")
    body = await asked(elsewhere, request)
    assert (body["seed"], body["stop"], body["temperature"], body["model"]) == (7, ["END"], 0.0, "fox-2")


async def test_the_deployments_parameters_win_and_can_take_ours_away(elsewhere: FakeChatServer) -> None:
    extra = {"temperature": None, "stream_options": None, "reasoning_effort": "low", "max_tokens": 7}
    body = await asked(elsewhere, QUESTION, extra=extra)
    assert (body["reasoning_effort"], body["max_tokens"]) == ("low", 7)
    assert not {"temperature", "stream_options"} & body.keys()


async def test_a_server_may_have_its_own_path(elsewhere: FakeChatServer) -> None:
    model = OpenAiChat("cloud", elsewhere.settings(path="/beta/chat/completions"))
    with pytest.raises(EngineFailed, match=r"cloud refused this \(HTTP 404\)"):
        await answer(model, QUESTION)
    await model.aclose()


async def test_newer_models_know_the_limit_by_another_name(elsewhere: FakeChatServer) -> None:
    body = await asked(elsewhere, QUESTION, limit_field="max_completion_tokens")
    assert (body["max_completion_tokens"], "max_tokens" in body) == (24, False)


@pytest.mark.parametrize(
    ("how", "last", "more"),
    [
        ("prefill", ("assistant", "The fox"), {}),
        ("vllm", ("assistant", "The fox"), {"add_generation_prompt": False, "continue_final_message": True}),
        ("ask", ("user", "Go on exactly where"), {}),
    ],
)
async def test_an_answer_begun_is_gone_on_with_in_the_servers_way(
    elsewhere: FakeChatServer, how: str, last: tuple[str, str], more: dict[str, bool]
) -> None:
    body = await asked(elsewhere, BEGUN, going_on=how)
    messages = body["messages"]
    assert isinstance(messages, list)
    assert messages[1] == {"role": "assistant", "content": "The fox"}
    assert (messages[-1]["role"], messages[-1]["content"][: len(last[1])]) == last
    assert {name: body[name] for name in body if name.startswith(("add_", "continue_"))} == more
    assert not (await asked(elsewhere, QUESTION, going_on=how)).keys() & more.keys()


# ---------------------------------------------------------------- what is understood


async def test_the_answer_comes_as_it_is_written_and_says_who_wrote_it(cloud: OpenAiChat) -> None:
    assert await answer(cloud, QUESTION) == (WORDS, Completion("stop", 7, 4, "cloud", "fox-1-2026"))


@pytest.mark.parametrize(("said", "finish"), [("length", "length"), ("stop", "stop"), ("eos", "stop")])
async def test_an_answer_that_is_too_long_says_so(
    elsewhere: FakeChatServer, cloud: OpenAiChat, said: str, finish: str
) -> None:
    elsewhere.finish = said
    assert (await answer(cloud, QUESTION))[1].finish == finish


async def test_a_server_that_does_not_stream_is_understood_all_the_same(
    elsewhere: FakeChatServer, cloud: OpenAiChat
) -> None:
    elsewhere.wire = "json"
    assert await answer(cloud, QUESTION) == ([ANSWER], Completion("stop", 7, 4, "cloud", "fox-1-2026"))


async def test_events_are_understood_whatever_they_are_called(
    elsewhere: FakeChatServer, cloud: OpenAiChat
) -> None:
    elsewhere.raw, elsewhere.raw_type = [event(choices=[{"delta": {"content": "Red."}}]), b"data: [DONE]"], ""
    assert (await answer(cloud, QUESTION))[0] == ["Red."]


async def test_characters_and_lines_cut_in_the_middle_are_put_together(
    elsewhere: FakeChatServer, cloud: OpenAiChat
) -> None:
    text = "Füchse sind 🦊\u2028rot."
    sent = b": hello\r\n\r\n" + event(choices=[{"delta": {"content": text}}]) + b"data: [DONE]\n\n"
    elsewhere.raw = [sent[at : at + 1] for at in range(len(sent))]
    assert (await answer(cloud, QUESTION))[0] == [text]


async def test_thoughts_are_waited_for_and_not_told(elsewhere: FakeChatServer) -> None:
    """The thinking goes on for longer than the server may be silent."""
    elsewhere.chatter = (event(choices=[{"delta": {"reasoning_content": "Hm."}}]), 840)
    model = OpenAiChat("cloud", elsewhere.settings(timeout_s=4))
    assert (await answer(model, QUESTION))[0] == WORDS
    await model.aclose()


async def test_a_server_that_forgets_to_say_goodbye_has_answered_all_the_same(
    elsewhere: FakeChatServer, cloud: OpenAiChat
) -> None:
    elsewhere.raw = [event(choices=[{"delta": {"content": "Red."}, "finish_reason": "stop"}])]
    assert (await answer(cloud, QUESTION))[0] == ["Red."]


async def test_an_answer_that_a_filter_cut_is_no_whole_answer(
    elsewhere: FakeChatServer, cloud: OpenAiChat
) -> None:
    elsewhere.finish = "content_filter"
    with pytest.raises(EngineFailed, match=r"cloud withheld the rest of its answer"):
        await answer(cloud, QUESTION)


async def test_connections_are_used_again(elsewhere: FakeChatServer, cloud: OpenAiChat) -> None:
    for _ in range(3):
        await answer(cloud, QUESTION)
    assert len(elsewhere.callers) == 1


async def test_leaving_hangs_up_at_once(elsewhere: FakeChatServer, cloud: OpenAiChat) -> None:
    elsewhere.deltas, elsewhere.stalls = 1, True
    async with aclosing(cloud.stream(QUESTION)) as items:
        assert await anext(items) == "The"
        assert (cloud.open_streams, elsewhere.writing) == (1, 1)
    assert cloud.open_streams == 0
    await eventually(lambda: (elsewhere.writing, elsewhere.hung_up) == (0, 1))


async def test_more_answers_at_once_than_there_are_connections_are_sent_away(
    elsewhere: FakeChatServer,
) -> None:
    elsewhere.silent = True
    model = OpenAiChat("cloud", elsewhere.settings(timeout_s=60))
    async with anyio.create_task_group() as askers:
        for _ in range(64):
            askers.start_soon(answer, model, QUESTION)
        await eventually(lambda: len(elsewhere.requests) == 64)
        with pytest.raises(EngineBusy, match="All 64 connections to cloud are taken"):
            await answer(model, QUESTION)
        askers.cancel_scope.cancel()
    await eventually(lambda: model.open_streams == 0)
    await model.aclose()


# ---------------------------------------------------------------- settings


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "ftp://a"},
        {"url": "http://user:word@a"},
        {"url": "http://a?key=1"},
        {"api_key": "a b"},
        {"api_key": ""},
        {"model": ""},
        {"models": [""]},
        {"timeout_s": 0},
        {"attempts": 0},
        {"going_on": "somehow"},
        {"path": "chat"},
        {"path": "/a b"},
        {"tempo": 1},
    ],
)
def test_settings_that_cannot_work_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        ChatProviderSettings.model_validate({"url": "http://a", "model": "fox-1"} | wrong)


def test_an_address_may_end_with_the_version() -> None:
    settings = ChatProviderSettings(url="http://a:11434/v1/", model="fox-1", models=("fox-2", "fox-1"))
    assert (settings.url, settings.choices) == ("http://a:11434", ("fox-1", "fox-2"))


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"providers": {"local": {"url": "http://a", "model": "b"}}}, "is taken"),
        ({"fallback": ["nobody"]}, "fallback names 'nobody'"),
    ],
)
def test_providers_and_fallbacks_have_names_that_are_known(given: dict[str, object], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        LanguageModelSettings.model_validate(given)
