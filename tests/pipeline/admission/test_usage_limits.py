"""How much one principal may ask for: counted by all replicas together, refused with a truthful time."""

from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.admission.allowance import Cost, UsageMeter
from pipeline.eventlog.open_log import open_hot_log
from pipeline.eventlog.redis.embedded import embedded_server
from pipeline.eventlog.redis.redis_log import RedisEventLog
from schemas.settings import LogSettings
from tests.support.clients.access_people import Newcomers, People, client, said_by_socket, settings_at, stream
from tests.support.clients.native_client import ask, create, listen_until_over
from tests.support.memory_meter import MemoryMeter
from tests.support.running_app import RunningApp, running_app

pytestmark = pytest.mark.anyio

LIMITS = {
    "sessions_per_hour": 6,
    "turns_per_minute": 4,
    "chars_per_minute": 400,
    "audio_minutes_per_hour": 1,
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("limits")


@pytest.fixture(scope="module")
def newcomers(home: Path) -> Newcomers:
    return Newcomers(home)


@pytest.fixture(scope="module")
def replicas(home: Path, newcomers: Newcomers) -> Iterator[tuple[RunningApp, RunningApp]]:
    """Two gateways on one log."""
    settings = settings_at(
        home, ms_per_char=200, limits={"principal": LIMITS}, auth={"keys_file": home / "keys.jsonl"}
    )
    with running_app(settings) as one, running_app(settings) as two:
        yield one, two


@pytest.fixture
def someone(newcomers: Newcomers) -> People:
    return newcomers.next()


async def post_turn(http: httpx.AsyncClient, session: str) -> httpx.Response:
    return await http.post(f"/v1/sessions/{session}/turns", json={"text": "M.", "settings": {"speak": False}})


async def refused(answer: httpx.Response) -> tuple[int, str, int]:
    problem = answer.json()
    return answer.status_code, problem.get("code", ""), int(answer.headers.get("retry-after", 0))


async def test_sessions_are_counted_by_all_replicas_together(
    replicas: tuple[RunningApp, RunningApp], someone: People
) -> None:
    for number in range(6):
        async with client(replicas[number % 2], someone.anna) as http:
            await create(http)
    for app in replicas:
        async with client(app, someone.anna) as http:
            status, code, wait = await refused(await http.post("/v1/sessions"))
            assert (status, code) == (429, "limit.sessions")
            assert 590 <= wait <= 600
            assert (await http.post("/api/stories")).json()["code"] == "limit.sessions"
        async with client(app, someone.bob) as http:
            await create(http)


async def test_turns_are_counted_by_all_replicas_together_and_over_every_face(
    replicas: tuple[RunningApp, RunningApp], someone: People
) -> None:
    async with client(replicas[0], someone.anna) as http, client(replicas[1], someone.anna) as other:
        sessions = [await create(http) for _ in range(2)]
        for session in sessions:
            await ask(http, session, text="A short one.", settings={"speak": False})
            await ask(other, session, text="A short one.", settings={"speak": False})
        status, code, wait = await refused(
            await other.post(f"/v1/sessions/{sessions[0]}/turns", json={"text": "One more."})
        )
        assert (status, code) == (429, "limit.turns")
        assert 10 <= wait <= 15
        story = (await http.post("/api/stories")).json()["id"]
        assert (await http.post(f"/api/stories/{story}/scenes")).json()["code"] == "limit.turns"
    said, _ = await said_by_socket(
        replicas[0],
        stream(sessions[1], from_="head"),
        someone.anna,
        messages=('{"type": "turn.request", "text": "One more.", "ref": "x"}',),
        frames=2,
    )
    [error] = [frame for frame in said if frame["type"] == "error"]
    assert (error["code"], error["retryable"]) == ("limit.turns", True)
    assert 10 <= error["retry_after_s"] <= 15


async def test_a_question_that_is_sent_again_to_another_replica_costs_nothing(
    replicas: tuple[RunningApp, RunningApp], someone: People
) -> None:
    """A client that heard no answer repeats its request wherever it comes to."""
    one, two = replicas
    async with client(one, someone.anna) as here, client(two, someone.anna) as there:
        session = await create(here)
        wish = {"text": "M." + "m" * 78, "settings": {"speak": False}}
        for number in range(LIMITS["turns_per_minute"]):
            key = {"Idempotency-Key": f"k{number}"}
            told = [
                await http.post(f"/v1/sessions/{session}/turns", json=wish, headers=key)
                for http in (here, there)
            ]
            assert [answer.status_code for answer in told] == [202, 202], told[-1].text
            assert told[0].json()["turn"] == told[1].json()["turn"]
        assert (await refused(await post_turn(there, session)))[1] == "limit.turns"


async def test_characters_are_counted_and_nothing_is_taken_by_what_is_refused(
    replicas: tuple[RunningApp, RunningApp], someone: People
) -> None:
    app = replicas[0]
    quiet = {"speak": False}
    async with client(app, someone.anna) as http:
        session, began = await create(http), anyio.current_time()
        await ask(http, session, text="x" * 300, settings=quiet)
        for _ in range(8):
            asked = await http.post(f"/v1/sessions/{session}/turns", json={"text": "y" * 200})
            status, code, wait = await refused(asked)
            assert (status, code) == (429, "limit.characters")
            assert 14 - (anyio.current_time() - began) <= wait <= 15
        await ask(http, session, text="z" * 90, settings=quiet)
        assert (await http.post("/api/tts/generate", json={"text": "y" * 300})).status_code == 429


async def test_a_part_of_a_scene_that_has_no_sound_counts_as_all_of_it(
    replicas: tuple[RunningApp, RunningApp], someone: People
) -> None:
    """All of it is spoken: there is nothing to keep."""
    async with client(replicas[0], someone.anna) as http:
        story = (await http.post("/api/stories", json={})).json()["id"]
        scene = await http.post(f"/api/stories/{story}/scenes", json={"content": "x " * 150})
        parts = {"parts": [{"start": 0, "end": 1}]}
        asked = await http.post(f"/api/tts/generate/{scene.json()['id']}", json=parts)
        assert (await refused(asked))[:2] == (429, "limit.characters")


async def test_speech_is_counted_when_it_was_made(
    replicas: tuple[RunningApp, RunningApp], someone: People, home: Path
) -> None:
    """The turn that goes beyond the limit is finished; the next one waits until the debt is paid."""
    app = replicas[0]
    async with client(app, someone.anna) as http:
        session = await create(http)
        turn = await ask(http, session, text="This is spoken very slowly indeed. " * 10)
        token = (await http.post("/v1/tokens")).json()["token"]
        heard = await listen_until_over(app.ws_url, session, turn, token=token)
        spoken_ms = heard.of("turn.completed", turn)[0]["data"]["audio_ms"]
        assert spoken_ms > 60_000
        with anyio.fail_after(10):
            while (again := await post_turn(http, session)).status_code != 429:
                pass  # it is counted a moment after the turn's last event
        status, code, wait = await refused(again)
    assert (status, code) == (429, "limit.audio")
    owed_s = (spoken_ms - 60_000) / 60_000 * 3_600
    assert owed_s - 10 <= wait <= owed_s + 120


async def test_an_open_server_has_no_limits_unless_it_is_told(tmp_path: Path) -> None:
    with running_app(settings_at(tmp_path, limits={"principal": LIMITS})) as app:
        async with client(app) as http:
            for _ in range(12):
                await create(http)
    everybody = {"sessions_per_hour": 2}
    with running_app(settings_at(tmp_path, limits={"everybody": everybody})) as app:
        async with client(app) as http:
            answers = [(await http.post("/v1/sessions")).status_code for _ in range(3)]
    assert answers == [201, 201, 429]


# ---------------------------------------------------------------- the meter itself

COSTS = st.tuples(st.integers(0, 30), st.integers(0, 4_000_000))


@given(limit=st.integers(1, 20), steps=st.lists(COSTS, max_size=40))
def test_never_more_than_twice_the_limit_in_a_period_and_the_wait_is_exact(
    limit: int, steps: list[tuple[int, int]]
) -> None:
    """A full bucket and what comes back meanwhile: no window of one period sees more than both."""
    now = 0
    meter = MemoryMeter(lambda: now)
    taken: list[tuple[int, int]] = []

    async def take(amount: int) -> float | None:
        short = await meter.take("anna", [Cost("turns", amount, limit, 1)])
        return None if short is None else short.wait_s

    async def play() -> None:
        nonlocal now
        for amount, pause in steps:
            now += pause
            wait = await take(amount)
            if wait is not None:
                now += round(wait * 1_000_000) - 1
                assert await take(amount) is not None
                now += 1
                assert await take(amount) is None
            taken.append((now, min(amount, limit)))
            window = [much for when, much in taken if when > now - 1_000_000]
            assert sum(window) <= 2 * limit

    anyio.run(play)


@given(steps=st.lists(st.tuples(st.sampled_from(["a", "b"]), st.integers(0, 50)), max_size=20))
def test_a_debt_is_paid_before_anything_is_taken(steps: list[tuple[str, int]]) -> None:
    now = 0
    meter = MemoryMeter(lambda: now)

    async def play() -> None:
        nonlocal now
        for who, owed in steps:
            await meter.owe(who, Cost("audio", owed, 10, 10))
        for who in ("a", "b"):
            owed = sum(much for name, much in steps if name == who)
            short = await meter.take(who, [Cost("audio", 1, 10, 10)])
            assert (0.0 if short is None else short.wait_s) == max(0.0, owed + 1.0 - 10)

    anyio.run(play)


@pytest.fixture
async def hot_log(tmp_path: Path) -> AsyncGenerator[RedisEventLog, None]:
    log = open_hot_log(LogSettings(), tmp_path)
    assert isinstance(log, RedisEventLog)
    try:
        yield log
    finally:
        await log.aclose()
        embedded_server.stop(tmp_path)


async def set_back_an_hour(log: RedisEventLog) -> None:
    """As after a clock was: what was taken before has both of its times an hour ahead."""
    [pages] = await log.call(("SCAN", 0, "MATCH", "*limit3:*", "COUNT", 1_000))
    [key] = pages[1]
    [value] = await log.call(("GET", key))
    ahead = " ".join(str(int(us) + 3_600_000_000) for us in value.split())
    await log.call(("SET", key, ahead, "PX", 3_700_000))


async def test_no_caller_waits_for_a_clock_that_was_set_back(hot_log: RedisEventLog) -> None:
    meter, turn = UsageMeter(hot_log), Cost("turns", 1, 2, 60)
    await meter.take("anna", [turn])
    await set_back_an_hour(hot_log)
    assert await meter.take("anna", [turn]) is None
    short = await meter.take("anna", [turn])
    assert short is not None
    assert 0 < short.wait_s <= 60


async def test_a_refusal_after_a_clock_was_set_back_lasts_as_long_as_it_said(hot_log: RedisEventLog) -> None:
    meter, turn = UsageMeter(hot_log), Cost("turns", 1, 1, 1)
    await meter.take("anna", [turn])
    await set_back_an_hour(hot_log)
    short = await meter.take("anna", [turn])
    assert short is not None
    await anyio.sleep(short.wait_s)
    assert await meter.take("anna", [turn]) is None


async def test_the_server_s_function_does_what_the_model_does(hot_log: RedisEventLog) -> None:
    meter: Any = UsageMeter(hot_log)
    turns, chars = Cost("turns", 1, 20, 1), Cost("characters", 100, 1_000_000, 3_600)
    for _ in range(20):
        await meter.take("anna", [turns, chars])
    short = await meter.take("anna", [turns, chars])
    while short is None:  # a slow machine: some have come back
        short = await meter.take("anna", [turns, chars])
    assert short.cost == turns
    assert 0 < short.wait_s <= 0.05
    await anyio.sleep(short.wait_s)
    assert await meter.take("anna", [turns]) is None
    assert await meter.take("bob", [turns, chars]) is None
    await meter.owe("bob", Cost("audio", 30, 10, 3_600))
    owing = await meter.take("bob", [Cost("audio", 1, 10, 3_600)])
    assert 7_500 < owing.wait_s <= 7_560
    whole = Cost("characters", 5_000_000, 1_000_000, 3_600)
    assert (await meter.take("anna", [whole])).wait_s <= 3_600
    assert await meter.take("carl", [whole]) is None
