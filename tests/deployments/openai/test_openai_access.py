"""A server that asks for keys: who is let in, what they may have, and whose answers are whose."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import httpx
import openai
import pytest

from tests.support.clients.access_people import People, client, settings_at
from tests.support.clients.openai_requests import CHAT, SPEECH, asked, events_of, words_of
from tests.support.running_app import RunningApp, running_app, scripted_settings

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("keys")


@pytest.fixture(scope="module")
def people(home: Path) -> People:
    return People.at(home)


@pytest.fixture(scope="module")
def app(home: Path, people: People) -> Iterator[RunningApp]:
    allowed = {"allowed_origins": ["https://mine.example"]}
    with running_app(settings_at(home, auth=allowed)) as running:
        yield running


@pytest.mark.parametrize("key", [None, "rk-nobody"])
async def test_no_client_is_answered_without_a_good_key(app: RunningApp, key: str | None) -> None:
    async with client(app, key) as http:
        for answer in (await http.get("/v1/models"), await http.post(CHAT, json=asked())):
            error = answer.json()["error"]
            assert answer.status_code == 401
            assert "WWW-Authenticate" in answer.headers
            assert error["type"] == "invalid_request_error"
            assert error["code"] == ("missing_api_key" if key is None else "invalid_api_key")


def test_the_python_package_knows_that_error(app: RunningApp, people: People) -> None:
    for key, known in ((people.anna, True), ("rk-nobody", False)):
        with openai.OpenAI(base_url=f"{app.url}/v1", api_key=key, max_retries=0) as mine:
            if known:
                assert mine.models.retrieve("scripted").id == "scripted"
            else:
                with pytest.raises(openai.AuthenticationError):
                    mine.models.list()


async def test_anthropics_header_holds_a_key_and_its_refusals_are_anthropics(
    app: RunningApp, people: People
) -> None:
    body = {"model": "claude-x", "max_tokens": 9, "messages": [{"role": "user", "content": "Hello"}]}
    for key, status in ((people.anna, 200), ("rk-nobody", 401)):
        async with client(app, **{"X-Api-Key": key, "Anthropic-Version": "2023-06-01"}) as http:
            answer = await http.post("/v1/messages", json=body)
        assert answer.status_code == status
    assert answer.json()["error"]["type"] == "authentication_error"
    wanted = "x-api-key,anthropic-version,anthropic-dangerous-direct-browser-access"
    asking = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": wanted}
    async with client(app, Origin="https://mine.example", **asking) as http:
        assert (await http.options("/v1/messages")).status_code == 200


async def test_a_message_is_resumed_by_its_principal_only(app: RunningApp, people: People) -> None:
    body = {"model": "claude-x", "max_tokens": 9, "messages": [{"role": "user", "content": "Hello"}]}
    async with client(app, people.anna) as http:
        told = events_of((await http.post("/v1/messages", json=body | {"stream": True})).text)
    async with client(app, people.bob) as http:
        answer = await http.post("/v1/messages", json=body, headers={"Last-Event-ID": told[0].id})
    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid_request_error")


async def test_a_page_of_another_site_is_told_so_in_openais_words(app: RunningApp, people: People) -> None:
    async with client(app, people.anna, Origin="https://elsewhere.example") as http:
        answer = await http.post(CHAT, json=asked())
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "origin_refused")


async def test_a_page_that_is_allowed_may_use_the_stock_client(app: RunningApp) -> None:
    wanted = "authorization,content-type,x-stainless-retry-count,x-stainless-lang,last-event-id"
    asking = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": wanted}
    async with client(app, Origin="https://mine.example", **asking) as http:
        assert (await http.options(CHAT)).status_code == 200


async def test_another_principals_answer_is_not_there(app: RunningApp, people: People) -> None:
    body = asked(stream=True)
    async with client(app, people.anna) as hers:
        events = events_of((await hers.post(CHAT, json=body)).text)
    headers = {"Last-Event-ID": events[1].id}
    async with client(app, people.bob) as his:
        refused = await his.post(CHAT, json=body, headers=headers)
        assert (refused.status_code, refused.json()["error"]["code"]) == (400, "invalid_event_id")
        session = events[0].id.rpartition("-")[0]
        assert (await his.get(f"/v1/sessions/{session}")).status_code == 404
        said = {"role": "assistant", "audio": {"id": f"audio_{session}_2"}}
        refused = await his.post(CHAT, json=asked() | {"messages": [*asked()["messages"], said]})
        assert refused.json()["error"]["param"] == "messages[1].audio.id"
    async with client(app, people.anna) as hers:
        assert events_of((await hers.post(CHAT, json=body, headers=headers)).text) == events[2:]


async def test_a_client_that_has_had_enough_is_told_when_to_come_back(tmp_path: Path) -> None:
    people = People.at(tmp_path)
    with running_app(settings_at(tmp_path, limits={"principal": {"turns_per_minute": 1}})) as app:
        async with client(app, people.root) as http:
            assert (await http.post(CHAT, json=asked(max_tokens=1))).status_code == 200
            answer = await http.post(CHAT, json=asked(max_tokens=1))
            assert answer.status_code == 429
            assert answer.json()["error"]["code"] == "rate_limit_exceeded"
            assert int(answer.headers["Retry-After"]) >= 1
            speech = {"model": "tts-1", "voice": "alloy", "input": "Yes."}
            assert (await http.post(SPEECH, json=speech)).status_code == 429


async def test_a_completion_costs_all_that_the_model_is_told(tmp_path: Path) -> None:
    settings = scripted_settings(tmp_path, limits={"everybody": {"chars_per_minute": 1_000}})
    told = [{"role": "user", "content": "x" * 800}, {"role": "user", "content": "And now?"}]
    with running_app(settings) as app:
        async with httpx.AsyncClient(base_url=app.url, timeout=30) as http:
            assert (await http.post(CHAT, json=asked(messages=told))).status_code == 200
            refused = await http.post(CHAT, json=asked(messages=told))
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "rate_limit_exceeded")
    assert int(refused.headers["Retry-After"]) >= 1


async def test_answers_of_many_at_once_never_mix(tmp_path: Path) -> None:
    names = [f"caller {number:02}" for number in range(12)]
    replies = {name: f"This is for {name} alone. " * 8 for name in names}
    told: dict[str, Any] = {}
    with running_app(_crowded(tmp_path, replies)) as app:
        async with (
            httpx.AsyncClient(base_url=app.url, timeout=60) as http,
            anyio.create_task_group() as crowd,
        ):

            async def call(name: str) -> None:
                answer = await http.post(CHAT, json=asked(f"I am {name}.", stream=True))
                told[name] = events_of(answer.text)

            for name in names:
                crowd.start_soon(call, name)
    assert {name: words_of(events) for name, events in told.items()} == replies
    assert len({event.id.rpartition("-")[0] for events in told.values() for event in events[:-1]}) == len(
        names
    )


def _crowded(home: Path, replies: dict[str, str]) -> Any:
    return scripted_settings(home, llm={"reply_to": replies, "delta_chars": 5, "per_delta_ms": 2})
