"""Only Anna reads her collections, whatever way others ask."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.clients.access_people import People, client, settings_at
from tests.support.clients.document_client import Shelves
from tests.support.fixtures.document_fixtures import QUICK
from tests.support.running_app import RunningApp, running_app

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, People]:
    home = tmp_path_factory.mktemp("two")
    return home, People.at(home)


@pytest.fixture(scope="module")
def guarded(people: tuple[Path, People]) -> Iterator[RunningApp]:
    with running_app(settings_at(people[0], retrieval=QUICK), workers=True) as running:
        yield running


async def test_settings_name_only_collections_that_are_ones_own(
    guarded: RunningApp, people: tuple[Path, People]
) -> None:
    async with client(guarded, people[1].anna) as hers, client(guarded, people[1].bob) as his:
        collection = await Shelves(guarded, hers).create()
        wish: dict[str, Any] = {"settings": {"collections": [collection]}}
        mine = (await hers.post("/v1/sessions", json=wish)).json()
        assert mine["settings"]["collections"] == [collection]
        session = (await his.post("/v1/sessions")).json()["session_id"]
        for refused in (
            await his.post("/v1/sessions", json=wish),
            await his.patch(f"/v1/sessions/{session}", json=wish),
            await his.post(f"/v1/sessions/{session}/turns", json={"prompt": "Hello", **wish}),
            await his.post(f"/v1/sessions/{session}/fork", json=wish),
        ):
            problem = refused.json()
            assert (refused.status_code, problem["code"]) == (404, "collection.not_found")
            assert problem["field"] == "settings.collections"
        unknown = await hers.post("/v1/sessions", json={"settings": {"collections": [session]}})
        assert unknown.json()["code"] == "collection.not_found"
        assert (await his.get(f"/v1/sessions/{session}")).json()["head_seq"] == 1


async def test_collections_are_made_for_threads_of_ones_own_alone(
    guarded: RunningApp, people: tuple[Path, People]
) -> None:
    async with client(guarded, people[1].anna) as hers, client(guarded, people[1].bob) as his:
        thread = (await hers.post("/v1/threads")).json()["id"]
        await hers.put(f"/v1/threads/{thread}/members", json={"user": "bob"})
        session = (await his.post("/v1/sessions")).json()["session_id"]
        unknown = "0190a000-0000-7000-8000-000000000000"
        for name in (thread, session, unknown, "files"):
            refused = await his.post("/v1/collections", json={"name": "Files", "thread": name})
            problem = refused.json()
            assert (refused.status_code, problem["code"], problem["field"]) == (
                404,
                "session.not_found",
                "thread",
            )
        assert (await his.get("/v1/collections")).json()["collections"] == []


async def test_a_session_forgets_a_collection_that_is_gone(
    guarded: RunningApp, people: tuple[Path, People]
) -> None:
    async with client(guarded, people[1].anna) as hers:
        collection = await Shelves(guarded, hers).create()
        wish = {"settings": {"collections": [collection]}}
        session = (await hers.post("/v1/sessions", json=wish)).json()["session_id"]
        assert (await hers.delete(f"/v1/collections/{collection}")).status_code == 204
        asked = await hers.post(f"/v1/sessions/{session}/turns", json={"prompt": "Hello"})
        assert asked.status_code == 202
        events = await Shelves(guarded, hers).events(session)
        [requested] = [event for event in events if event["type"] == "turn.requested"]
        assert requested["data"]["settings"]["collections"] == []


async def test_an_imported_session_does_not_read_what_it_once_read(
    guarded: RunningApp, people: tuple[Path, People]
) -> None:
    async with client(guarded, people[1].anna) as hers, client(guarded, people[1].bob) as his:
        collection = await Shelves(guarded, hers).create()
        wish = {"settings": {"collections": [collection]}}
        session = (await hers.post("/v1/sessions", json=wish)).json()["session_id"]
        bundle = (await hers.get(f"/v1/sessions/{session}/export")).content
        copy = (await his.post("/v1/sessions/import", content=bundle)).json()["session_id"]
        await his.post(f"/v1/sessions/{copy}/turns", json={"prompt": "Hello"})
        events = await Shelves(guarded, his).events(copy)
        [requested] = [event for event in events if event["type"] == "turn.requested"]
        assert requested["data"]["settings"]["collections"] == []


async def test_lists_show_ones_own(guarded: RunningApp, people: tuple[Path, People]) -> None:
    async with client(guarded, people[1].anna) as hers, client(guarded, people[1].bob) as his:
        ours = [Shelves(guarded, http) for http in (hers, his)]
        made = [await shelves.create() for shelves in ours]
        for shelves, mine, other in zip(ours, made, reversed(made), strict=True):
            await shelves.until_listed(mine)
            listed = [one["id"] for one in (await shelves.get("/v1/collections"))["collections"]]
            assert other not in listed


async def test_a_user_who_is_erased_leaves_no_documents(
    guarded: RunningApp, people: tuple[Path, People]
) -> None:
    async with client(guarded, people[1].bob) as his, client(guarded, people[1].root) as root:
        shelves = Shelves(guarded, his)
        collection = await shelves.create()
        await shelves.add(collection)
        proof = (await root.delete("/v1/users/bob")).json()
        assert proof["found_after"] == 0
        assert collection in [erased["session_id"] for erased in proof["sessions"]]
        assert guarded.services is not None
        library = guarded.services.library
        assert not await shelves.in_the_gateway(library.drop(collection))  # type: ignore[arg-type]
