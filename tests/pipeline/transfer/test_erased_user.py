"""A user who has left something in every place is erased: a canary is looked for in all files and keys."""

import asyncio
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
import redis

from deployments.replicas.workers import run_workers
from pipeline.eventlog.redis.embedded import embedded_server
from pipeline.transfer import erasure
from tests.support.clients.access_people import People, client, settings_at
from tests.support.clients.native_client import ask, create, frames, open_stream
from tests.support.running_app import RunningApp, running_app

pytestmark = pytest.mark.anyio
QUICK = {"embedding": "wordllama", "judge": None, "interrupted_s": 1.5}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("erased")


@pytest.fixture(scope="module")
def crowd(place: Path) -> dict[str, People]:
    """Other people for each test: somebody who was erased stays so."""
    return {name: People.at(place, f"-{name}") for name in ("one", "two", "three", "four", "five")}


@pytest.fixture(scope="module")
def app(place: Path, crowd: dict[str, People]) -> Iterator[RunningApp]:
    """A server that asks for keys, of its own."""
    settings = settings_at(place, retrieval=QUICK, workers={"lease_s": 1.0})
    with running_app(settings) as running:
        yield running


@contextmanager
def workers(app: RunningApp) -> Iterator[None]:
    assert app.loop is not None
    running = asyncio.run_coroutine_threadsafe(run_workers(app.settings), app.loop)
    try:
        yield
    finally:
        running.cancel()
        with suppress(BaseException):
            running.result(30)


@dataclass
class Traces:
    """Data that a user has left, and the places where it would be seen."""

    home: Path
    word: str
    thread: str = ""
    """Bob's, in which they have asked."""

    def files(self) -> list[str]:
        return sorted(
            str(path.relative_to(self.home))
            for path in self.home.rglob("*")
            if path.is_file() and self.word.encode() in path.read_bytes()
        )

    def keys(self) -> list[str]:
        """Keys and values of the log's server."""
        with redis.Redis(unix_socket_path=str(embedded_server.socket_path(self.home))) as server:
            return sorted(name.decode() for name in server.scan_iter(count=1_000) if self._told(server, name))

    def _told(self, server: Any, name: bytes) -> bool:
        match server.type(name):
            case b"hash":
                value = server.hgetall(name)
            case b"stream":
                value = server.xrange(name)
            case b"zset":
                value = server.zrange(name, 0, -1)
            case b"set":
                value = server.smembers(name)
            case _:
                value = server.get(name)
        return self.word.encode() in name + repr(value).encode()


async def written_by(app: RunningApp, key: str, name: str, bob: str) -> Traces:
    """Something of this user's in every place, each with the word."""
    word = f"canary{uuid.uuid4().hex[:10]}"
    async with client(app, key) as http:
        session = await create(http, title=f"{word} title", settings={"system_prompt": f"{word} system"})
        await ask(http, session, prompt=f"{word} my secret")
        read_out = await create(http)
        await ask(http, read_out, text=f"{word} word for word.")
        await http.post(f"/v1/sessions/{session}/fork", json={"title": f"{word} fork"})
        made = await http.post("/v1/characters", json={"name": f"{word} name", "persona": f"{word} persona"})
        thread = await http.post("/v1/threads", json={"title": word, "character": made.json()["id"]})
        await ask(http, thread.json()["id"], prompt=f"{word} in a thread")
        story = await http.post("/api/stories", json={"title": f"{word} story", "premise": word})
        scene = await http.post(
            f"/api/stories/{story.json()['id']}/scenes", json={"content": f"{word} scene."}
        )
        await http.post(f"/api/tts/generate/{scene.json()['id']}")
        await http.put("/api/tts/settings", json={"default_voice": "", "auto_play_last_scene": True})
        shelf = (await http.post("/v1/collections", json={"name": f"{word} shelf"})).json()["id"]
        told = f"{word} document. The lighthouse of {word} was built in 1854.\n\n" * 20
        added = await http.post(
            f"/v1/collections/{shelf}/documents", files={"file": (f"{word}.txt", told.encode())}
        )
        assert added.status_code == 201
        secret = {"session": {"type": "realtime", "model": "gpt-realtime", "instructions": word}}
        assert (await http.post("/v1/realtime/client_secrets", json=secret)).status_code == 200
        await http.post(
            "/v1/chat/completions",
            json={"model": "gpt-4o", "messages": [{"role": "user", "content": word}], "max_tokens": 5},
            headers={"Idempotency-Key": f"{word}-key"},
        )
        await http.post(f"/v1/sessions/{session}/shares", json={"label": f"{word} share"})
    traces = Traces(app.settings.home, word)
    async with client(app, bob) as his, client(app, key) as http:
        traces.thread = (await his.post("/v1/threads", json={"title": "bob's"})).json()["id"]
        member = await his.put(f"/v1/threads/{traces.thread}/members", json={"user": name})
        assert member.status_code == 204
        await ask(http, traces.thread, prompt="what a guest says")
    return traces


async def listed(app: RunningApp, key: str, word: str) -> None:
    """Until the list of sessions has all of it."""
    async with client(app, key) as http:
        with anyio.fail_after(60):
            while True:
                found = (await http.get("/v1/threads", params={"query": f"{word} in a thread"})).json()
                if found["threads"]:
                    return
                await anyio.sleep(0.05)


async def erased(app: RunningApp, people: People, name: str) -> dict[str, Any]:
    async with client(app, people.root) as http:
        answer = await http.delete(f"/v1/users/{name}", timeout=60)
    assert answer.status_code == 200
    proof: dict[str, Any] = answer.json()
    assert proof["found_after"] == 0
    return {place["place"]: place for place in proof["places"]}


async def test_nothing_of_a_user_is_found_in_any_file_or_key(
    app: RunningApp, crowd: dict[str, People]
) -> None:
    people = crowd["one"]
    with workers(app):
        traces = await written_by(app, people.anna, "anna-one", people.bob)
        await listed(app, people.anna, traces.word)
        assert traces.keys()
        assert traces.files()
        places = await erased(app, people, "anna-one")
        assert (traces.keys(), traces.files()) == ([], [])
        left = places.pop("threads_of_others")
        assert (left["state"], left["found"], left["sessions"]) == ("kept", 1, [traces.thread])
        states = {name: place["state"] for name, place in places.items()}
        assert states == {
            **dict.fromkeys(("sessions", "session_list", "documents", "log_files"), "erased"),
            "archive": states["archive"],
            "usage_counters": "kept",
            **dict.fromkeys(("uploads", "credentials", "server_logs", "backups"), "not_looked_at"),
        }
        assert states["archive"] in ("clear", "erased")
    async with client(app, people.bob) as his, client(app, people.anna) as hers:
        assert (await his.get(f"/v1/threads/{traces.thread}")).json()["members"] == []
        assert (await hers.get(f"/v1/threads/{traces.thread}")).status_code == 404
        again = (await hers.delete("/v1/users/anna-one")).json()
    assert (again["sessions"], again["found_after"]) == ([], 0)


async def test_nothing_is_found_while_the_workers_stand_still_nor_when_they_go_on(
    app: RunningApp, crowd: dict[str, People], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erasure, "LIST_S", 0.1)
    people = crowd["two"]
    with workers(app):
        traces = await written_by(app, people.anna, "anna-two", people.bob)
        await listed(app, people.anna, traces.word)
    async with client(app, people.anna) as http:  # what no worker has seen
        await ask(http, await create(http, title=f"{traces.word} late"), prompt=f"{traces.word} late")
    places = await erased(app, people, "anna-two")
    assert (traces.keys(), traces.files()) == ([], [])
    assert places["session_list"]["state"] == "erased"
    with workers(app):
        async with client(app, people.bob) as his:  # they are at work again
            new = (await his.post("/v1/threads", json={"title": f"{people.bob[-6:]} new"})).json()["id"]
            await ask(his, new, prompt="marker in a thread")
        await listed(app, people.bob, "marker")
        assert (traces.keys(), traces.files()) == ([], [])


async def test_words_in_threads_that_nobody_could_look_for_are_pending(
    app: RunningApp, crowd: dict[str, People], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erasure, "LIST_S", 0.1)
    people = crowd["three"]
    traces = await written_by(app, people.anna, "anna-three", people.bob)
    places = await erased(app, people, "anna-three")
    assert places["threads_of_others"]["state"] == "pending"
    with workers(app):
        async with client(app, people.root) as http:
            with anyio.fail_after(60):
                while places["threads_of_others"]["state"] == "pending":
                    again = (await http.delete("/v1/users/anna-three", timeout=60)).json()
                    places = {place["place"]: place for place in again["places"]}
    assert places["threads_of_others"]["sessions"] == [traces.thread]


async def test_a_user_is_erased_while_a_turn_runs_and_hears_of_it(
    app: RunningApp, crowd: dict[str, People]
) -> None:
    people = crowd["four"]
    traces = Traces(app.settings.home, f"canary{uuid.uuid4().hex}")
    async with client(app, people.anna) as http:
        session = await create(http)
        token = (await http.post("/v1/tokens")).json()["token"]
        async with open_stream(app.ws_url, session, token=token) as socket:
            told: list[str] = []
            began = anyio.Event()

            async def listen() -> None:
                async for frame, _ in frames(socket):
                    told.append(frame["type"])
                    if frame["type"] == "text.delta":
                        began.set()

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(listen)
                await ask(http, session, prompt=f"{traces.word} " * 20)
                with anyio.fail_after(30):
                    await began.wait()
                await erased(app, people, "anna-four")
        assert told[-1] == "end"
        for path in ("", "/events", "/audio"):
            assert (await http.get(f"/v1/sessions/{session}{path}")).status_code in (404, 410)
        late = await http.post(f"/v1/sessions/{session}/turns", json={"prompt": "once more"})
        assert late.status_code in (404, 410)
    assert (traces.keys(), traces.files()) == ([], [])


async def test_a_session_that_is_deleted_by_three_while_others_ask_takes_nothing_afterwards(
    app: RunningApp, crowd: dict[str, People]
) -> None:
    people = crowd["five"]
    traces = Traces(app.settings.home, f"canary{uuid.uuid4().hex}")
    async with client(app, people.anna) as http:
        session = await create(http)
        await ask(http, session, prompt=f"{traces.word} " * 20)
        deleted = anyio.Event()
        refused: list[httpx.Response] = []

        async def ask_on() -> None:
            """Until a while after the deletion."""
            while len(refused) < 3:
                gone = deleted.is_set()
                answer = await http.post(f"/v1/sessions/{session}/turns", json={"prompt": traces.word})
                if gone:
                    refused.append(answer)

        async def delete() -> None:
            answer = await http.delete(f"/v1/sessions/{session}")
            assert answer.status_code in (204, 404, 410)
            if answer.status_code == 204:
                deleted.set()

        with anyio.fail_after(60):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(ask_on)
                for _ in range(3):
                    tasks.start_soon(delete)
        assert {answer.json()["code"] for answer in refused} <= {"session.gone", "session.not_found"}
    assert traces.keys() == []
