"""An administrator sees how far the workers are, and which work they could not do."""

from collections.abc import AsyncGenerator, Callable
from typing import Any

import anyio
import httpx
import pytest

from pipeline.background.redis.redis_groups import RedisGroups
from pipeline.background.worker_ports import Member
from pipeline.eventlog.open_log import open_hot_log
from pipeline.eventlog.redis.redis_log import RedisEventLog
from tests.support.clients.native_client import ask, create, listen_until_over
from tests.support.running_app import RunningApp, app_fixture
from tests.support.worker_effects import fetched

pytestmark = pytest.mark.anyio
ME = Member("clumsy", "me")
app = app_fixture(with_workers=True, llm={"reply": "Yes. It is so."})


@pytest.fixture
async def http(app: RunningApp) -> AsyncGenerator[httpx.AsyncClient, None]:
    async with httpx.AsyncClient(base_url=app.url, timeout=30) as client:
        yield client


@pytest.fixture
async def log(app: RunningApp) -> AsyncGenerator[RedisEventLog, None]:
    opened = open_hot_log(app.settings.log, app.settings.home)
    yield opened
    await opened.aclose()


@pytest.fixture
async def clumsy(log: RedisEventLog) -> AsyncGenerator[RedisGroups, None]:
    """An effect that has had everything so far, and may drop what comes."""
    group = RedisGroups(log)
    while found := await fetched(group, ME):
        for one in found:
            await group.finish(ME, one.pointer)
    yield group
    await group.aclose()


async def answered(http: httpx.AsyncClient, path: str, fits: Callable[[str], bool]) -> dict[str, Any]:
    """The answer, once it fits."""
    with anyio.fail_after(20):
        while True:
            answer = await http.get(path)
            if fits(answer.text):
                assert answer.status_code == 200
                body: dict[str, Any] = answer.json()
                return body
            await anyio.sleep(0.02)


async def found(http: httpx.AsyncClient, path: str, wanted: str) -> dict[str, Any]:
    """The answer, once `wanted` is in it."""
    return await answered(http, path, lambda text: wanted in text)


async def bury_one(http: httpx.AsyncClient, clumsy: RedisGroups) -> str:
    """A new session, whose beginning becomes a dead letter."""
    session = await create(http)
    [delivery] = await fetched(clumsy, ME)
    assert await clumsy.dead_letter(ME, delivery.pointer, "dropped it")
    return session


async def test_a_new_session_is_listed_with_its_turns(app: RunningApp, http: httpx.AsyncClient) -> None:
    session = await create(http)
    turn = await ask(http, session, prompt="Is it so?")
    await listen_until_over(app.ws_url, session, turn)
    listed = (await found(http, "/v1/sessions", '"turns":1'))["sessions"][0]
    assert listed["session_id"] == session
    assert (listed["kind"], listed["state"], listed["principal"]) == ("session", "live", "")
    await http.delete(f"/v1/sessions/{session}")
    await answered(http, "/v1/sessions", lambda text: session not in text)


async def test_the_list_comes_in_pages_and_by_kind(http: httpx.AsyncClient) -> None:
    sessions = [await create(http) for _ in range(5)]
    await found(http, "/v1/sessions", sessions[-1])
    first = (await http.get("/v1/sessions", params={"limit": 2})).json()
    assert [one["session_id"] for one in first["sessions"]] == sessions[:2:-1]
    second = (await http.get("/v1/sessions", params={"limit": 2, "before": first["next"]})).json()
    assert [one["session_id"] for one in second["sessions"]] == sessions[2:0:-1]
    assert (await http.get("/v1/sessions", params={"kind": "story"})).json() == {"sessions": [], "next": None}


async def test_words_of_an_answer_are_found_where_that_is_asked_for(
    app: RunningApp, http: httpx.AsyncClient
) -> None:
    session = await create(http)
    await listen_until_over(app.ws_url, session, await ask(http, session, prompt="Is it so?"))
    await found(http, "/v1/sessions", session)
    wanted = {"query": "YES.", "kind": "session", "limit": 1}
    assert (await http.get("/v1/sessions", params=wanted)).json()["sessions"] == []
    listed = (await http.get("/v1/sessions", params={**wanted, "answers": True})).json()["sessions"]
    assert [one["session_id"] for one in listed] == [session]
    refused = await http.get("/v1/sessions", params={**wanted, "answers": "perhaps"})
    assert (refused.status_code, refused.json()["field"]) == (422, "answers")


async def test_the_report_names_every_reader(http: httpx.AsyncClient) -> None:
    await create(http)
    report = await found(http, "/v1/workers", '"session.started"')
    effects = {one["name"]: one for one in report["effects"]}
    assert {"auto_play", "narration_news", "archive", "stats"} <= set(effects)
    assert effects["stats"]["running"]
    assert [one["name"] for one in report["projections"]] == ["directory"]
    assert report["workers"] == 1
    assert report["pointers"]


async def test_the_same_numbers_are_there_for_prometheus(http: httpx.AsyncClient) -> None:
    await create(http)
    await found(http, "/v1/workers", '"session.started"')
    page = await http.get("/metrics")
    assert page.headers["content-type"].startswith("text/plain")
    assert 'rhapsode_workers_lag{reader="stats"}' in page.text
    assert 'rhapsode_workers_oldest_pending_seconds{reader="auto_play"}' in page.text
    assert 'rhapsode_workers_facts_today{type="session.started"}' in page.text


async def test_a_dead_letter_is_seen_and_tried_again(http: httpx.AsyncClient, clumsy: RedisGroups) -> None:
    session = await bury_one(http, clumsy)
    letters = (await http.get("/v1/dead-letters")).json()["dead_letters"]
    [letter] = [one for one in letters if one["session_id"] == session]
    assert (letter["reader"], letter["seq"], letter["type"]) == ("clumsy", 1, "session.started")
    assert (letter["error"], letter["tries"], letter["kind"]) == ("dropped it", 1, "effect")
    assert (await http.post(f"/v1/dead-letters/{letter['id']}/retry")).status_code == 202
    [again] = await fetched(clumsy, ME)
    assert again.pointer.session == session
    assert await clumsy.finish(ME, again.pointer)
    assert session not in (await http.get("/v1/dead-letters")).text


async def test_dead_letters_come_in_pages_and_can_be_dropped(
    http: httpx.AsyncClient, clumsy: RedisGroups
) -> None:
    sessions = {await bury_one(http, clumsy) for _ in range(5)}
    seen: set[str] = set()
    after: dict[str, str] = {}
    while True:
        page = (await http.get("/v1/dead-letters", params={"limit": 2, **after})).json()
        seen |= {one["session_id"] for one in page["dead_letters"]}
        for one in page["dead_letters"]:
            assert (await http.delete(f"/v1/dead-letters/{one['id']}")).status_code == 204
        if page["next"] is None:
            break
        after = {"after": page["next"]}
    assert seen == sessions
    assert (await http.get("/v1/dead-letters")).json() == {"dead_letters": [], "next": None}


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("POST", "/v1/dead-letters/3.1-1/retry", 404, "dead_letter.not_found"),
        ("DELETE", "/v1/dead-letters/3.1-1", 404, "dead_letter.not_found"),
        ("DELETE", "/v1/dead-letters/999.1-1", 404, "dead_letter.not_found"),
        ("DELETE", "/v1/dead-letters/nonsense", 404, "dead_letter.not_found"),
        ("GET", "/v1/dead-letters?after=nonsense", 404, "dead_letter.not_found"),
        ("GET", "/v1/dead-letters?limit=0", 422, "input.invalid"),
        ("POST", "/v1/projections/nonsense/rebuild", 404, "projection.not_found"),
        ("GET", "/v1/sessions?before=nonsense", 400, "cursor.malformed"),
        ("GET", "/v1/sessions?kind=nonsense", 422, "input.invalid"),
    ],
)
async def test_an_impossible_order_is_answered_by_its_code(
    http: httpx.AsyncClient, method: str, path: str, status: int, code: str
) -> None:
    answer = await http.request(method, path)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"


async def test_the_list_is_made_anew_on_request(http: httpx.AsyncClient, log: RedisEventLog) -> None:
    session = await create(http)
    await found(http, "/v1/sessions", session)
    keys = await log.keys()
    await log.call(("DEL", keys.beside(keys.partition(session), "d")))  # type: ignore[arg-type]
    assert session not in (await http.get("/v1/sessions")).text
    assert (await http.post("/v1/projections/directory/rebuild")).status_code == 202
    await found(http, "/v1/sessions", session)
