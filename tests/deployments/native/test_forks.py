"""A fork shares the past and nothing else."""

from collections.abc import AsyncGenerator
from typing import Any

import httpx
import pytest

from pipeline.eventlog.archive.archiver import Archiver
from pipeline.eventlog.open_log import open_log
from pipeline.eventlog.redis.redis_log import NotCertain
from pipeline.eventlog.tiered_log import TieredLog
from schemas.ids import SessionId
from tests.support.clients.native_client import Heard, ask, create, listen_until_over
from tests.support.eventlog.log_events import ENDED, batch
from tests.support.running_app import RunningApp

pytestmark = pytest.mark.anyio


@pytest.fixture
async def told(app: RunningApp, http: httpx.AsyncClient) -> tuple[str, Heard]:
    session = await create(http, title="A story")
    heard = Heard()
    for _ in range(2):
        turn = await ask(http, session, prompt="Tell me a story")
        heard = await listen_until_over(app.ws_url, session, turn, heard, audio="opus")
    return session, heard


@pytest.fixture
async def log(app: RunningApp) -> AsyncGenerator[TieredLog, None]:
    opened = open_log(app.settings.log, app.settings.home, app.settings.archive)
    yield opened
    await opened.aclose()


async def fork(http: httpx.AsyncClient, session: str, **body: Any) -> dict[str, Any]:
    answer = await http.post(f"/v1/sessions/{session}/fork", json=body)
    assert answer.status_code == 201, answer.text
    assert answer.headers["location"] == answer.json()["links"]["self"]
    return dict(answer.json())


async def events_of(log: TieredLog, session: str) -> list[dict[str, Any]]:
    return [event.to_dict() for event in await log.read(SessionId(session), 0, limit=5_000)]  # type: ignore[arg-type]


async def test_a_fork_has_the_same_events_under_the_same_numbers(
    app: RunningApp, http: httpx.AsyncClient, told: tuple[str, Heard]
) -> None:
    session, heard = told
    made = await fork(http, session)
    assert (made["parent"], made["parent_seq"], made["head_seq"]) == (session, heard.last, heard.last)
    last = heard.of("turn.completed")[-1]["turn"]
    again = await listen_until_over(app.ws_url, made["session_id"], last, audio="opus")
    assert again.events[1:] == heard.events[1:]
    assert again.audio == heard.audio
    origin = {"parent": session, "parent_seq": heard.last, "title": "A story (2)"}
    assert again.events[0]["data"] == heard.events[0]["data"] | origin


@pytest.mark.parametrize(
    ("title", "theirs"),
    [
        ("Tides (2)", "Tides (3)"),
        ("Summer (2024)", "Summer (2024) (2)"),
        ("x" * 200, f"{'x' * 190} (2)"),
    ],
)
async def test_a_fork_has_the_next_number_in_its_title(
    http: httpx.AsyncClient, title: str, theirs: str
) -> None:
    session = await create(http, title="Before")
    await http.patch(f"/v1/sessions/{session}", json={"title": title})
    for about in ({}, {"at": 1}):  # also of a place before its session had that title
        made = await fork(http, session, **about)
        assert (await http.get(f"/v1/sessions/{made['session_id']}")).json()["title"] == theirs


async def test_a_fork_at_an_earlier_event_ends_there_and_goes_on_differently(
    app: RunningApp, http: httpx.AsyncClient, told: tuple[str, Heard], log: TieredLog
) -> None:
    session, heard = told
    at = heard.of("turn.completed")[0]["seq"]
    before = await events_of(log, session)
    settings = {"speech_speed": 1.5, "sentences": {"min_length": 5}}
    made = await fork(http, session, at=at, prompt="And then?", settings=settings, title="Faster")
    assert made["turn"] > at
    assert made["settings"]["speech_speed"] == 1.5
    again = await listen_until_over(app.ws_url, made["session_id"], made["turn"])
    assert again.events[1:at] == heard.events[1:at]
    assert again.types()[at : at + 2] == ["settings.changed", "turn.requested"]
    assert again.of("turn.requested", None)[-1]["data"]["settings"] == made["settings"]
    shown = (await http.get(f"/v1/sessions/{made['session_id']}")).json()
    assert (shown["title"], shown["settings"]) == ("Faster", made["settings"])
    assert await events_of(log, session) == before


async def test_a_turn_cut_by_the_fork_is_closed_in_it(
    app: RunningApp, http: httpx.AsyncClient, told: tuple[str, Heard], log: TieredLog
) -> None:
    session, heard = told
    at = heard.of("text.delta")[-1]["seq"]
    made = await fork(http, session, at=at)
    events = await events_of(log, made["session_id"])
    assert (events[-1]["type"], events[-1]["data"]) == ("turn.stopped", {"reason": "forked"})
    assert events[-1]["turn"] == heard.events[at - 1]["turn"]
    assert len(events) == at + 1
    assert SessionId(made["session_id"]) not in await log.abandoned()


async def test_an_ended_session_can_be_forked_and_its_end_stays_behind(
    app: RunningApp, http: httpx.AsyncClient, told: tuple[str, Heard], log: TieredLog
) -> None:
    session, heard = told
    await log.append([batch(SessionId(session), 1, ENDED, producer="end", mode="seal")])
    archiver = Archiver(log.archival, log.archive.store, app.settings.archive)
    assert await archiver.archive(SessionId(session)) is not None
    keys = await log.hot.keys()
    await log.hot.call(("DEL", keys.events(SessionId(session)), keys.audio(SessionId(session))))
    made = await fork(http, session, text="Once more.")
    assert made["parent_seq"] == heard.last
    again = await listen_until_over(app.ws_url, made["session_id"], made["turn"])
    assert again.types(made["turn"])[-1] == "turn.completed"


@pytest.mark.parametrize(
    ("body", "status", "code", "field"),
    [
        ({"at": 99_999}, 409, "cursor.ahead", "at"),
        ({"at": 0}, 422, "input.invalid", "at"),
        ({"prompt": "a", "text": "b"}, 422, "input.invalid", None),
        ({"settings": {"voice": "nobody"}}, 422, "voice.unknown", "settings.voice"),
        ({"prompt": "x" * 2_001}, 422, "input.too_long", "prompt"),
        ({"when": 1}, 422, "input.unknown_field", "when"),
    ],
)
async def test_a_fork_that_is_refused_does_not_exist(
    http: httpx.AsyncClient,
    told: tuple[str, Heard],
    log: TieredLog,
    body: dict[str, Any],
    status: int,
    code: str,
    field: str | None,
) -> None:
    async def living() -> set[SessionId]:
        pages = [page async for page in log.archival.statuses()]
        return {name for page in pages for name, standing in page if standing.state != "deleted"}

    before = await living()
    answer = await http.post(f"/v1/sessions/{told[0]}/fork", json=body)
    problem = answer.json()
    assert (answer.status_code, problem["code"], problem.get("field")) == (status, code, field)
    assert await living() == before


async def test_the_reason_of_a_refused_fork_is_told_even_if_the_fork_stays(
    app: RunningApp, http: httpx.AsyncClient, told: tuple[str, Heard], monkeypatch: pytest.MonkeyPatch
) -> None:
    deleted: list[SessionId] = []

    async def uncertain(session: SessionId) -> None:
        deleted.append(session)
        raise NotCertain("Too few replicas of the log answer.")

    assert app.services is not None
    monkeypatch.setattr(app.services.log, "delete", uncertain)
    answer = await http.post(f"/v1/sessions/{told[0]}/fork", json={"prompt": "x" * 2_001})
    assert (answer.status_code, answer.json()["code"]) == (422, "input.too_long")
    assert len(deleted) == 1
