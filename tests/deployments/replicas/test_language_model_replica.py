"""Items of a language model in a replica arrive unchanged over a handle of Serve."""

from pathlib import Path

import pytest
from ray import serve

from deployments.replicas.language_model import LanguageModelReplica, RemoteLanguageModel
from pipeline.engines.ports import ChatRequest, Completion, Message
from rhapsode.testing.language_model_contract import answer
from schemas.errors import EngineBusy, UnknownModel, UnknownProvider
from schemas.settings import LanguageModelSettings
from tests.support.servers.chat_server import ANSWER, FakeChatServer

pytestmark = pytest.mark.anyio
MESSAGES = (Message("system", "Be brief."), Message("user", "Which colour?"))


@pytest.fixture
def remote(
    tmp_path: Path, running_elsewhere: FakeChatServer, request: pytest.FixtureRequest
) -> RemoteLanguageModel:
    cloud = running_elsewhere.given(models=["fox-2"], breaker_failures=100)
    settings = LanguageModelSettings.model_validate({"engine": "scripted", "providers": {"cloud": cloud}})
    deployment = serve.deployment(name="Writer")(LanguageModelReplica)
    handle = serve.run(deployment.bind(settings, tmp_path), name=request.node.name, _local_testing_mode=True)
    return RemoteLanguageModel(handle)


async def test_the_whole_question_and_the_whole_answer_travel(
    remote: RemoteLanguageModel, elsewhere: FakeChatServer
) -> None:
    await remote.check()
    request = ChatRequest(MESSAGES, 24, 0.5, 7, ("END",), provider="cloud", model="fox-2")
    deltas, completion = await answer(remote, request)
    assert ("".join(deltas), completion) == (ANSWER, Completion("stop", 7, 4, "cloud", "fox-1-2026"))
    [asked] = elsewhere.requests
    assert (asked["model"], asked["max_tokens"], asked["temperature"]) == ("fox-2", 24, 0.5)
    assert (asked["seed"], asked["stop"], len(asked["messages"])) == (7, ["END"], 2)


async def test_no_choice_means_the_model_in_this_server(
    remote: RemoteLanguageModel, elsewhere: FakeChatServer
) -> None:
    _, completion = await answer(remote, ChatRequest(MESSAGES))
    assert (completion.provider, elsewhere.requests) == ("local", [])


async def test_errors_arrive_as_what_they_are(remote: RemoteLanguageModel, elsewhere: FakeChatServer) -> None:
    with pytest.raises(UnknownProvider) as unknown:
        await answer(remote, ChatRequest(MESSAGES, provider="nobody"))
    assert unknown.value.field == "llm_provider"
    with pytest.raises(UnknownModel):
        await answer(remote, ChatRequest(MESSAGES, provider="cloud", model="gpt"))
    elsewhere.refusals = [(429, {})]
    with pytest.raises(EngineBusy, match="cloud is busy"):
        await answer(remote, ChatRequest(MESSAGES, provider="cloud"))
