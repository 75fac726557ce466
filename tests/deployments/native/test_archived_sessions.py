"""A listener cannot tell where events are stored: answers from the archive are the same, byte for byte."""

from collections.abc import AsyncGenerator, Iterator

import httpx
import pytest
from pydantic import SecretStr
from websockets.exceptions import ConnectionClosed

from pipeline.eventlog.archive.archiver import Archiver
from pipeline.eventlog.open_log import open_log
from pipeline.eventlog.redis.embedded import embedded_server
from pipeline.eventlog.tiered_log import TieredLog
from schemas.ids import Seq, SessionId
from schemas.settings import LogSettings
from tests.support.clients.native_client import ask, create, listen_until_over, open_stream
from tests.support.eventlog.log_events import ENDED, batch
from tests.support.running_app import RunningApp, app_fixture, running_app

pytestmark = pytest.mark.anyio
teller = app_fixture(
    llm={"reply": "The sea is wide. It is deep, too!"}, archive={"segment_facts": 30, "hot_facts": 10}
)


@pytest.fixture
def fresh(teller: RunningApp) -> Iterator[RunningApp]:
    """Another gateway on the same log, which has seen nothing yet."""
    address = SecretStr(f"unix://{embedded_server.socket_path(teller.settings.home)}")
    other = teller.settings.model_copy(update={"log": LogSettings(url=address)})
    with running_app(other) as running:
        yield running


@pytest.fixture
async def log(teller: RunningApp) -> AsyncGenerator[TieredLog, None]:
    settings = teller.settings
    opened = open_log(settings.log, settings.home, settings.archive)
    yield opened
    await opened.aclose()


@pytest.fixture
def archiver(teller: RunningApp, log: TieredLog) -> Archiver:
    return Archiver(log.archival, log.archive.store, teller.settings.archive)


async def told(app: RunningApp) -> SessionId:
    """A session with two finished turns."""
    async with httpx.AsyncClient(base_url=app.url, timeout=30) as http:
        session = await create(http, title="Of the sea")
        for _ in range(2):
            turn = await ask(http, session, prompt="Tell me of the sea")
            await listen_until_over(app.ws_url, session, turn)
    return SessionId(session)


async def everything(app: RunningApp, session: str) -> dict[str, object]:
    """Bytes of everything that a client can read of the session; and the validators."""
    found: dict[str, object] = {}
    paths = [
        "",
        "/events?follow=false",
        "/events?follow=false&audio=opus&from=7",
        "/events?speed=0",
        *(f"/audio?format={fmt}" for fmt in ("wav", "mp3", "opus", "pcm16")),
        "/captions.vtt",
        "/captions.srt?words=true",
    ]
    async with httpx.AsyncClient(base_url=app.url, timeout=30) as http:
        for path in paths:
            answer = await http.get(f"/v1/sessions/{session}{path}")
            assert answer.status_code == 200, answer.text
            found[path] = (answer.content, answer.headers.get("etag"))
    for query in ({"audio": "pcm16"}, {"audio": "opus", "from_": 11}, {"speed": 0}):
        async with open_stream(app.ws_url, session, follow="false", **query) as socket:
            frames = []
            try:
                while True:
                    frames.append(await socket.recv())
            except ConnectionClosed:
                found[str(query)] = frames
    return found


async def vanish(log: TieredLog, session: SessionId, *, meta: bool) -> None:
    keys = await log.hot.keys()
    names = [keys.events(session), keys.audio(session), *([keys.meta(session)] if meta else [])]
    await log.hot.call(("DEL", *names))


async def test_a_closed_session_reads_the_same_when_the_log_has_forgotten_it(
    teller: RunningApp, fresh: RunningApp, log: TieredLog, archiver: Archiver
) -> None:
    session = await told(teller)
    await log.append([batch(session, 1, ENDED, producer="end", mode="seal")])
    hot = await everything(teller, session)
    record = await archiver.archive(session)
    assert record is not None
    assert record.whole
    assert record.segments > 1
    await vanish(log, session, meta=True)
    assert await everything(fresh, session) == hot
    assert await everything(teller, session) == hot


@pytest.mark.parametrize("gone", ["events", "audio"])
async def test_events_may_expire_before_what_is_known_of_the_session_and_audio_before_its_events(
    teller: RunningApp, fresh: RunningApp, log: TieredLog, archiver: Archiver, gone: str
) -> None:
    session = await told(teller)
    await log.append([batch(session, 1, ENDED, producer="end", mode="seal")])
    hot = await everything(teller, session)
    await archiver.archive(session)
    if gone == "events":
        await vanish(log, session, meta=False)
    else:
        await log.hot.call(("DEL", (await log.hot.keys()).audio(session)))
    assert await everything(fresh, session) == hot


async def test_a_live_session_reads_the_same_after_its_beginning_was_trimmed(
    teller: RunningApp, fresh: RunningApp, log: TieredLog, archiver: Archiver
) -> None:
    session = await told(teller)
    hot = await everything(teller, session)
    assert await archiver.archive(session) is not None
    assert (await log.archival.entries(session, Seq(0), 1))[0].seq > 1
    assert await everything(fresh, session) == hot
    async with httpx.AsyncClient(base_url=fresh.url, timeout=30) as http:
        turn = await ask(http, session, prompt="And then?")
    heard = await listen_until_over(fresh.ws_url, session, turn, audio="opus")
    assert heard.types(turn)[-1] == "turn.completed"


async def test_an_archived_session_can_be_deleted(
    teller: RunningApp, log: TieredLog, archiver: Archiver
) -> None:
    session = await told(teller)
    await log.append([batch(session, 1, ENDED, producer="end", mode="seal")])
    await archiver.archive(session)
    await vanish(log, session, meta=True)
    async with httpx.AsyncClient(base_url=teller.url, timeout=30) as http:
        assert (await http.delete(f"/v1/sessions/{session}")).status_code == 204
        assert (await http.get(f"/v1/sessions/{session}")).status_code == 410
    assert await log.archive.store.files(session) == []


async def test_asking_an_archived_session_for_a_turn_is_refused_as_ever(
    teller: RunningApp, log: TieredLog, archiver: Archiver
) -> None:
    session = await told(teller)
    await log.append([batch(session, 1, ENDED, producer="end", mode="seal")])
    await archiver.archive(session)
    await vanish(log, session, meta=True)
    async with httpx.AsyncClient(base_url=teller.url, timeout=30) as http:
        answer = await http.post(f"/v1/sessions/{session}/turns", json={"prompt": "More!"})
    assert (answer.status_code, answer.json()["code"]) == (409, "session.ended")
