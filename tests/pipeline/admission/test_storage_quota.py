"""Bytes in the log: whatever writes them is counted per principal, and there are only so many at a time."""

import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from websockets.asyncio.client import connect

from pipeline.admission.allowance import Allowance, open_allowance
from pipeline.admission.storage_quota import Stored, Usage
from pipeline.eventlog.open_log import open_hot_log
from pipeline.eventlog.redis.redis_log import RedisEventLog
from pipeline.stt.inputs.input_handles import HeardAllowance
from schemas.errors import LogUnavailable
from schemas.errors.access_errors import StoredQuota, WriteLimit
from schemas.settings import LogSettings
from schemas.settings.access_settings import PrincipalLimits
from schemas.settings.limit_settings import LimitSettings
from tests.support.clients.access_people import Newcomers, client, settings_at
from tests.support.clients.native_client import create
from tests.support.eventlog.log_events import raw
from tests.support.memory_meter import MemoryMeter
from tests.support.running_app import RunningApp, running_app

pytestmark = pytest.mark.anyio

PROMPT = "x" * 7_500
"""Of one change of settings; what else is in it comes on top."""
SCHEMA = {"type": "object", "description": "y" * 25_000}


@pytest.fixture(scope="module")
def homes(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return tmp_path_factory.mktemp("hourly"), tmp_path_factory.mktemp("stored")


newcomers = cache(Newcomers)
"""Of each home."""


def app_at(home: Path, **limits: int) -> Any:
    newcomers(home)
    settings = settings_at(home, limits={"principal": limits}, auth={"keys_file": home / "keys.jsonl"})
    return running_app(settings, workers=True)


@pytest.fixture(scope="module")
def hourly(homes: tuple[Path, Path]) -> Iterator[RunningApp]:
    with app_at(homes[0], written_mb_per_hour=1) as app:
        yield app


@pytest.fixture(scope="module")
def bounded(homes: tuple[Path, Path]) -> Iterator[RunningApp]:
    with app_at(homes[1], stored_mb=1) as app:
        yield app


@asynccontextmanager
async def somebody(app: RunningApp, home: Path) -> AsyncGenerator[tuple[httpx.AsyncClient, str], None]:
    """Anna, who has used nothing yet, and a key of hers."""
    key = newcomers(home).next().anna
    async with client(app, key) as http:
        yield http, key


async def change(http: httpx.AsyncClient, session: str, number: int) -> httpx.Response:
    """About 33 KB."""
    settings = {"system_prompt": f"{number}{PROMPT}", "sampling": {"json_schema": SCHEMA}}
    return await http.patch(f"/v1/sessions/{session}", json={"settings": settings})


async def refused(do: Callable[[int], Awaitable[httpx.Response]], most: int) -> httpx.Response:
    """The first answer that is none of success."""
    for number in range(most):
        answer = await do(number)
        if not answer.is_success:
            return answer
    raise AssertionError(f"{most} were taken")


async def test_changes_of_settings_are_counted_in_bytes(hourly: RunningApp, homes: tuple[Path, Path]) -> None:
    async with somebody(hourly, homes[0]) as (http, _), somebody(hourly, homes[0]) as (other, _):
        session, theirs = await create(http), await create(other)
        no = await refused(lambda number: change(http, session, number), 40)
        assert (no.status_code, no.json()["code"]) == (429, "limit.bytes")
        assert 1 <= int(no.headers["Retry-After"]) <= 3_600
        assert "1 MB" in no.json()["detail"]
        for command in ({"title": "t" * 150}, {"title": "u" * 150}):
            await http.patch(f"/v1/sessions/{session}", json=command)
        assert (await change(http, session, 0)).json()["code"] == "limit.bytes"
        assert (await change(other, theirs, 0)).is_success
        assert (await http.delete(f"/v1/sessions/{session}")).status_code == 204


async def test_a_stop_is_counted_and_never_refused() -> None:
    limits = LimitSettings(principal=PrincipalLimits(written_mb_per_hour=1))
    allowance = Allowance(MemoryMeter(lambda: 0), limits)
    await allowance.written("anna", 999_900)
    await allowance.unasked("anna", 200)
    with pytest.raises(WriteLimit):
        await allowance.written("anna", 1)
    await allowance.unasked("anna", 200)


async def test_pauses_have_a_tenth_more_room_and_no_end_of_it(homes: tuple[Path, Path]) -> None:
    limits = LimitSettings(principal=PrincipalLimits(written_mb_per_hour=None, stored_mb=1))
    log = open_hot_log(LogSettings(), homes[1])
    assert isinstance(log, RedisEventLog)
    stored = Stored(log)
    await stored.count("paul")  # it is believed for a while
    async with Allowance(MemoryMeter(), limits, stored) as allowance:
        await allowance.written("paul", 1_000_000)
        with pytest.raises(StoredQuota):
            await allowance.written("paul", 1)
        await allowance.written("paul", 100_000, room=False)
        with pytest.raises(StoredQuota):
            await allowance.written("paul", 1, room=False)
    await log.aclose()


async def test_a_microphone_outlives_a_log_that_does_not_answer() -> None:
    async def take(ms: int) -> None:
        raise LogUnavailable("The log does not answer.")

    await HeardAllowance(take, paid_ms=0).spend(64_000)


class Endless(Stored):
    """Never done."""

    async def _count(self, principal: str) -> Usage:
        await anyio.sleep_forever()
        raise AssertionError


async def test_no_caller_waits_while_what_is_stored_is_counted(homes: tuple[Path, Path]) -> None:
    log = open_hot_log(LogSettings(), homes[0])
    async with Allowance(MemoryMeter(), LimitSettings(), Endless(log)) as allowance:
        with anyio.fail_after(20):
            for _ in range(3):
                await allowance.turn("anna", 10, size=1_000)
    await log.aclose()


class Shared(Stored):
    """Counts what all gateways have written, as the log does."""

    written = 0

    async def _count(self, principal: str) -> Usage:
        return Usage(counted=Shared.written)


async def test_gateways_that_are_written_to_at_once_exceed_the_quota_by_little(
    homes: tuple[Path, Path],
) -> None:
    log, size = open_hot_log(LogSettings(), homes[0]), 10_000
    limits = LimitSettings(principal=PrincipalLimits(stored_mb=1))
    gateways = [Allowance(MemoryMeter(), limits, Shared(log)) for _ in range(4)]
    async with gateways[0], gateways[1], gateways[2], gateways[3]:
        open_to = list(gateways)
        while open_to:
            for gateway in tuple(open_to):
                try:
                    await gateway.written("anna", size)
                    Shared.written += size
                except StoredQuota:
                    open_to.remove(gateway)
                await anyio.wait_all_tasks_blocked()
    await log.aclose()
    assert 900_000 <= Shared.written <= 1_200_000


WAYS: dict[str, Callable[[httpx.AsyncClient, str], Awaitable[httpx.Response]]] = {
    "sessions": lambda http, session: http.post("/v1/sessions", json={"title": "another"}),
    "turns": lambda http, session: http.post(f"/v1/sessions/{session}/turns", json={"text": "Hello."}),
    "settings": lambda http, session: change(http, session, 1),
    "characters": lambda http, session: http.post("/v1/characters", json={"name": "Ada", "persona": "old"}),
    "threads": lambda http, session: http.post("/v1/threads", json={"title": "a thread"}),
    "forks": lambda http, session: http.post(f"/v1/sessions/{session}/fork", json={}),
    "shares": lambda http, session: http.post(f"/v1/sessions/{session}/shares", json={"label": "for me"}),
    "control": lambda http, session: http.post(f"/v1/sessions/{session}/control", json={"action": "pause"}),
    "client secrets": lambda http, session: http.post("/v1/realtime/client_secrets", json={}),
    "preferences": lambda http, session: http.put("/api/tts/settings", json={"min_sentence_length": 33}),
}


def spent(home: Path) -> dict[bytes, int]:
    """The buckets of bytes on the log's server: when what was taken from each will have come back."""
    with raw(home) as server:
        found = {name: server.get(name) or b"0" for name in server.scan_iter("*limit3:*:bytes")}
        return {name: int(value.split()[0]) for name, value in found.items()}


@pytest.mark.parametrize("way", WAYS)
async def test_every_write_is_counted(hourly: RunningApp, homes: tuple[Path, Path], way: str) -> None:
    others = spent(homes[0]).keys()
    async with somebody(hourly, homes[0]) as (http, _):
        session = await create(http)
        [(mine, before)] = [(name, due) for name, due in spent(homes[0]).items() if name not in others]
        answer = await WAYS[way](http, session)
        assert answer.is_success, answer.text
        assert spent(homes[0])[mine] > before


async def test_documents_are_counted_also_those_that_cannot_be_read(
    hourly: RunningApp, homes: tuple[Path, Path]
) -> None:
    others = spent(homes[0]).keys()
    async with somebody(hourly, homes[0]) as (http, _):
        collection = (await http.post("/v1/collections", json={"name": "a collection"})).json()["id"]
        [(mine, before)] = [(name, due) for name, due in spent(homes[0]).items() if name not in others]
        documents = f"/v1/collections/{collection}/documents"
        answer = await http.post(documents, files={"file": ("a.bin", b"\0\1\2")})
        assert (answer.status_code, answer.json()["code"]) == (415, "document.unsupported"), answer.text
        assert spent(homes[0])[mine] > before


async def test_items_and_updates_of_a_realtime_session_are_counted(
    hourly: RunningApp, homes: tuple[Path, Path]
) -> None:
    others = spent(homes[0]).keys()
    async with somebody(hourly, homes[0]) as (_, key):
        headers = {"Authorization": f"Bearer {key}"}
        url = f"{hourly.ws_url}/v1/realtime?model=gpt-realtime"
        async with connect(url, additional_headers=headers, proxy=None) as socket:
            created = json.loads(await socket.recv())
            assert created["type"] == "session.created", created
            [(mine, before)] = [(name, due) for name, due in spent(homes[0]).items() if name not in others]
            update = {"type": "session.update", "session": {"type": "realtime", "instructions": "Be brief."}}
            content = [{"type": "input_text", "text": "Hello."}]
            item = {"type": "message", "role": "user", "content": content}
            for event in (update, {"type": "conversation.item.create", "item": item}):
                await socket.send(json.dumps(event))
                answer = json.loads(await socket.recv())
                assert answer["type"] != "error", answer
                due = spent(homes[0])[mine]
                assert due > before
                before = due


async def test_an_import_is_counted_and_leaves_nothing_where_there_is_no_room(
    bounded: RunningApp, homes: tuple[Path, Path]
) -> None:
    async with somebody(bounded, homes[1]) as (http, _):
        session = await create(http)
        for number in range(15):
            assert (await change(http, session, number)).is_success
        bundle = (await http.get(f"/v1/sessions/{session}/export")).content
        before = (await http.get("/v1/sessions")).json()["sessions"]
        no = await refused(lambda _: http.post("/v1/sessions/import", content=bundle), 3)
        assert (no.status_code, no.json()["code"]) == (409, "quota.stored")
        assert len((await http.get("/v1/sessions")).json()["sessions"]) <= len(before) + 1


async def test_the_quota_of_storage_names_the_sessions_to_delete(
    bounded: RunningApp, homes: tuple[Path, Path]
) -> None:
    async with somebody(bounded, homes[1]) as (http, _):
        small, large = await create(http), await create(http)
        no = await refused(lambda number: change(http, large, number), 60)
        assert (no.status_code, no.json()["code"]) == (409, "quota.stored")
        with anyio.fail_after(20):  # the list of sessions lags a little, and so do the names
            while large not in (await change(http, small, 0)).json()["detail"]:  # noqa: ASYNC110
                await anyio.sleep(0.1)
        stop = await http.post(f"/v1/sessions/{small}/control", json={"action": "pause"})
        assert stop.status_code == 202
        assert (await http.delete(f"/v1/sessions/{large}")).status_code == 204
        with anyio.fail_after(20):
            while not (await change(http, small, 1)).is_success:  # noqa: ASYNC110 - counted once a second
                await anyio.sleep(0.1)


async def test_no_principal_may_have_more_than_half_of_the_embedded_log(homes: tuple[Path, Path]) -> None:
    small = LogSettings(max_memory_mb=100)
    log = open_hot_log(small, homes[0])
    assert open_allowance(log, LimitSettings(), small).settings.principal.stored_mb == 50
    assert open_allowance(log, LimitSettings(), LogSettings()).settings.principal.stored_mb == 512
    await log.aclose()
