"""A turn that a language model elsewhere answers, through the whole gateway."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.support.clients.native_client import ask, create, listen_until_over
from tests.support.eventually import eventually
from tests.support.running_app import RunningApp, running_app, scripted_settings
from tests.support.servers.chat_server import ANSWER, FakeChatServer

pytestmark = pytest.mark.anyio
PROMPT = "Which colour is the fox?"
CLOUD = {"llm_provider": "cloud"}


@pytest.fixture(scope="module")
def app(running_elsewhere: FakeChatServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    providers = {
        "cloud": running_elsewhere.given(models=["fox-2"], context_tokens=100_000, breaker_failures=100),
        "alone": running_elsewhere.given(breaker_failures=100),
    }
    settings = scripted_settings(
        tmp_path_factory.mktemp("answerers"),
        llm={"reply": "It is as red as this server."},
        language_model={"providers": providers, "fallback": ["local"]},
        limits={"prompt_chars": 60_000},
    )
    with running_app(settings) as running:
        yield running


async def answered(
    app: RunningApp, http: httpx.AsyncClient, session: str, **settings: Any
) -> tuple[str, Any]:
    """The text of a turn, and what `text.completed` says of it."""
    turn = await ask(http, session, prompt=PROMPT, settings=settings)
    heard = await listen_until_over(app.ws_url, session, turn)
    assert heard.types(turn)[-1] == "turn.completed"
    text = "".join(event["data"]["text"] for event in heard.of("text.delta", turn))
    return text, heard.of("text.completed", turn)[0]["data"]


async def test_each_turn_may_choose_who_answers_and_the_log_says_who_did(
    app: RunningApp, http: httpx.AsyncClient, elsewhere: FakeChatServer
) -> None:
    session = await create(http)
    text, said = await answered(app, http, session, **CLOUD, llm_model="fox-2")
    assert (text, said["provider"], said["model"]) == (ANSWER, "cloud", "fox-1-2026")
    assert (said["tokens_in"], said["tokens_out"], said["finish"]) == (7, 4, "stop")
    text, said = await answered(app, http, session)
    assert (text, said["provider"]) == ("It is as red as this server.", "local")
    [asked] = elsewhere.requests
    assert (asked["model"], asked["messages"][-1]) == ("fox-2", {"role": "user", "content": PROMPT})


async def test_a_session_may_choose_for_all_its_turns(
    app: RunningApp, http: httpx.AsyncClient, elsewhere: FakeChatServer
) -> None:
    session = await create(http, settings=CLOUD)
    assert (await answered(app, http, session))[1]["provider"] == "cloud"
    assert (await answered(app, http, session, llm_provider=None))[1]["provider"] == "local"
    changed = await http.patch(f"/v1/sessions/{session}", json={"settings": {"llm_model": "fox-2"}})
    assert changed.json()["settings"]["llm_model"] == "fox-2"
    await answered(app, http, session)
    assert [asked["model"] for asked in elsewhere.requests] == ["fox-1", "fox-2"]


async def test_a_provider_that_is_out_of_order_costs_no_answer(
    app: RunningApp, http: httpx.AsyncClient, elsewhere: FakeChatServer
) -> None:
    elsewhere.refusals = [(500, {})]
    text, said = await answered(app, http, await create(http), **CLOUD)
    assert (text, said["provider"]) == ("It is as red as this server.", "local")


async def test_an_answer_that_breaks_off_fails_and_keeps_its_text(
    app: RunningApp, http: httpx.AsyncClient, elsewhere: FakeChatServer
) -> None:
    elsewhere.deltas = 2
    session = await create(http)
    turn = await ask(http, session, prompt=PROMPT, settings=CLOUD)
    heard = await listen_until_over(app.ws_url, session, turn)
    [failed] = heard.of("turn.failed", turn)
    assert (failed["data"]["stage"], failed["data"]["code"]) == ("text", "engine.failed")
    assert failed["data"]["message"] == "cloud broke off in the middle of its answer."
    assert "".join(event["data"]["text"] for event in heard.of("text.delta", turn)) == "The fox"
    assert heard.of("sentence.completed", turn), "what was written is spoken"
    [told] = (await http.get(f"/v1/sessions/{session}")).json()["turns"]
    assert (told["answer"], told["status"], told["error"]["code"]) == ("The fox", "failed", "engine.failed")


async def test_stopping_hangs_up(app: RunningApp, http: httpx.AsyncClient, elsewhere: FakeChatServer) -> None:
    elsewhere.deltas, elsewhere.stalls = 1, True
    session = await create(http)
    turn = await ask(http, session, prompt=PROMPT, settings=CLOUD)
    await eventually(lambda: elsewhere.writing == 1)
    assert (await http.post(f"/v1/sessions/{session}/control", json={"action": "stop"})).is_success
    heard = await listen_until_over(app.ws_url, session, turn)
    assert heard.types(turn)[-1] == "turn.stopped"
    await eventually(lambda: (elsewhere.writing, elsewhere.hung_up) == (0, 1))


async def test_an_answer_that_comes_in_one_huge_piece_is_recorded_in_pieces(
    app: RunningApp, http: httpx.AsyncClient, elsewhere: FakeChatServer
) -> None:
    elsewhere.wire, elsewhere.answer = "json", "The fox is red. " * 6_000
    session = await create(http, settings={"speak": False})
    text, said = await answered(app, http, session, **CLOUD)
    assert (text, said["chars"]) == (elsewhere.answer, len(elsewhere.answer))


async def test_a_provider_is_told_as_much_of_the_session_as_it_can_take(
    app: RunningApp, http: httpx.AsyncClient, elsewhere: FakeChatServer
) -> None:
    elsewhere.wire, elsewhere.answer = "json", "The fox is red. " * 1_500
    session = await create(http, settings={"speak": False})
    for _ in range(2):
        await answered(app, http, session, **CLOUD)
    await answered(app, http, session, llm_provider="alone")
    first, second, third = (asked["messages"] for asked in elsewhere.requests)
    assert [message["role"] for message in second] == ["system", "user", "assistant", "user"]
    assert second[2]["content"] == elsewhere.answer
    assert len(first) == 2
    assert sum(len(message["content"]) for message in third) <= 3 * 4_096


@pytest.mark.parametrize(
    ("settings", "code", "field"),
    [
        ({"llm_provider": "nobody"}, "provider.unknown", "settings.llm_provider"),
        (CLOUD | {"llm_model": "gpt"}, "model.unknown", "settings.llm_model"),
        ({"llm_model": "fox-1"}, "model.unknown", "settings.llm_model"),
        ({"llm_provider": ""}, "input.invalid", "settings.llm_provider"),
        ({"llm_model": "\u0000"}, "input.invalid", "settings.llm_model"),
    ],
)
async def test_a_character_that_is_not_there_cannot_be_chosen(
    http: httpx.AsyncClient, settings: dict[str, Any], code: str, field: str
) -> None:
    session = await create(http)
    for answer in (
        await http.post("/v1/sessions", json={"settings": settings}),
        await http.patch(f"/v1/sessions/{session}", json={"settings": settings}),
        await http.post(f"/v1/sessions/{session}/turns", json={"prompt": PROMPT, "settings": settings}),
    ):
        problem = answer.json()
        assert (answer.status_code, problem["code"], problem["field"]) == (422, code, field)
