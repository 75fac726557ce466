"""Seed 002: characters, and the threads with them."""

import anyio
import pytest

from tests.seeds.conftest import STORY
from tests.seeds.people import Person, until
from tests.support.clients.event_source import EventSource, asking, thread_of

pytestmark = pytest.mark.anyio


async def test_a_character_speaks_as_it_is_now(person: Person) -> None:
    made = await person.http.post("/v1/characters", json={"name": "Keeper", "persona": "Old and kind."})
    character = made.json()
    assert made.status_code == 201
    thread = await thread_of(person, character=character["id"])
    settings = (await person.http.get(f"/v1/sessions/{thread}")).json()["settings"]
    assert settings["system_prompt"] == "You are Keeper. Old and kind."
    await person.http.patch(f"/v1/characters/{character['id']}", json={"persona": "Gruff.", "voice": "alto"})
    await asking(person, thread).read()
    settings = (await person.http.get(f"/v1/sessions/{thread}")).json()["settings"]
    assert (settings["system_prompt"], settings["voice"]) == ("You are Keeper. Gruff.", "alto")
    shown = (await person.http.get(f"/v1/threads/{thread}")).json()["character"]
    assert shown == {**character, "persona": "Gruff.", "voice": "alto"}


async def test_settings_taken_from_a_character_are_taken_from_its_threads(person: Person) -> None:
    collection = (await person.http.post("/v1/collections", json={"name": "Secrets"})).json()["id"]
    wish = {"name": "Keeper", "voice": "alto", "language": "de", "collections": [collection]}
    path = "/v1/characters/" + (await person.http.post("/v1/characters", json=wish)).json()["id"]
    thread = await thread_of(person, character=path.rpartition("/")[2])
    await person.http.patch(path, json={"voice": None, "language": None, "collections": []})
    await asking(person, thread).read()
    settings = (await person.http.get(f"/v1/sessions/{thread}")).json()["settings"]
    assert (settings["voice"], settings["language"], settings["collections"]) == ("joe", "en", [])


async def test_the_choice_for_a_thread_stays_until_its_character_changes(person: Person) -> None:
    character = (await person.http.post("/v1/characters", json={"name": "Fox", "voice": "alto"})).json()["id"]
    thread = await thread_of(person, character=character)
    await person.http.patch(f"/v1/sessions/{thread}", json={"settings": {"voice": "joe"}})
    await asking(person, thread).read()
    assert (await person.http.get(f"/v1/sessions/{thread}")).json()["settings"]["voice"] == "joe"


async def test_a_change_does_not_raise_a_character_that_is_being_deleted(person: Person) -> None:
    path = "/v1/characters/" + (await person.http.post("/v1/characters", json={"name": "Fox"})).json()["id"]
    async with anyio.create_task_group() as group:
        for number in range(4):
            group.start_soon(lambda n=number: person.http.patch(path, json={"persona": f"Sly {n}."}))
        group.start_soon(person.http.delete, path)
    assert (await person.http.get(path)).status_code == 404


async def test_a_chat_that_was_deleted_begins_anew(person: Person) -> None:
    body = {"message": "Hallo!"}
    first = await EventSource(person.http, "/sse/again/stream", body).read()
    assert (await person.http.delete(f"/v1/threads/{first.session}")).status_code == 204
    second = await EventSource(person.http, "/sse/again/stream", body).read()
    assert second.text == STORY
    assert second.session != first.session


async def test_a_character_that_is_deleted_leaves_its_threads(person: Person) -> None:
    character = (await person.http.post("/v1/characters", json={"name": "Fox"})).json()["id"]
    thread = await thread_of(person, character=character)
    assert (await person.http.delete(f"/v1/characters/{character}")).status_code == 204
    assert (await person.http.get("/v1/characters")).json() == {"characters": []}
    assert (await asking(person, thread).read()).text == STORY
    assert (await person.http.get(f"/v1/threads/{thread}")).json()["character"] is None
    for answer in (
        await person.http.get(f"/v1/characters/{character}"),
        await person.http.post("/v1/threads", json={"character": character}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (404, "character.not_found")


async def test_changes_of_a_character_at_the_same_time_are_all_kept(person: Person) -> None:
    path = "/v1/characters/" + (await person.http.post("/v1/characters", json={"name": "Fox"})).json()["id"]
    async with anyio.create_task_group() as group:
        for change in ({"name": "Red fox"}, {"persona": "Sly."}, {"voice": "alto"}, {"language": "de"}):
            group.start_soon(lambda change=change: person.http.patch(path, json=change))
    got = (await person.http.get(path)).json()
    assert (got["name"], got["persona"], got["voice"], got["language"]) == (
        "Red fox",
        "Sly.",
        "alto",
        "de",
    )


# ---------------------------------------------------------------- threads


async def listed(person: Person, query: str = "") -> list[str]:
    answer = await person.http.get("/v1/threads", params={"query": query})
    return [thread["title"] for thread in answer.json()["threads"]]


async def test_threads_are_titled_listed_searched_renamed_and_deleted(person: Person) -> None:
    named = await thread_of(person, title="The lamp")
    unnamed = await thread_of(person)
    await asking(
        person, unnamed, "Why is the sea salty, and who put all of that salt into it long ago?"
    ).read()
    await asking(person, named, "How bright is it?").read()
    title = "Why is the sea salty, and who put all of that salt into it…"

    async def both() -> bool:
        return await listed(person) == [title, "The lamp"]

    await until(both)
    assert await listed(person, "SALT sea") == [title]

    async def found_by_what_was_asked() -> bool:
        return await listed(person, "bright") == ["The lamp"]

    await until(found_by_what_was_asked)
    renamed = await person.http.patch(f"/v1/threads/{unnamed}", json={"title": "Salt"})
    assert renamed.json()["title"] == "Salt"

    async def by_its_new_name() -> bool:
        return await listed(person) == ["Salt", "The lamp"]

    await until(by_its_new_name)
    assert (await person.http.delete(f"/v1/threads/{unnamed}")).status_code == 204
    assert (await person.http.get(f"/v1/threads/{unnamed}")).status_code in (404, 410)

    async def gone() -> bool:
        return await listed(person) == ["The lamp"]

    await until(gone)


async def test_another_character_is_chosen_for_a_thread_and_taken_away_again(person: Person) -> None:
    collection = (await person.http.post("/v1/collections", json={"name": "Salt works"})).json()["id"]
    wish = {"name": "Smith", "persona": "Loud.", "voice": "alto"}
    character = (await person.http.post("/v1/characters", json=wish)).json()["id"]
    thread = await thread_of(person, settings={"collections": [collection]})

    async def chosen(who: str | None) -> tuple[object, ...]:
        answer = await person.http.patch(f"/v1/threads/{thread}", json={"character": who})
        assert answer.status_code == 200, answer.text
        settings = (await person.http.get(f"/v1/sessions/{thread}")).json()["settings"]
        assert settings["collections"] == [collection]
        return answer.json()["character"] and answer.json()["character"]["name"], *map(
            settings.get, ("character", "system_prompt", "voice")
        )

    default = (await person.http.get(f"/v1/sessions/{thread}")).json()["settings"]["system_prompt"]
    assert await chosen(character) == ("Smith", character, "You are Smith. Loud.", "alto")
    assert await chosen(None) == (None, None, default, "joe")
    unknown = await person.http.patch(f"/v1/threads/{thread}", json={"character": "nobody", "title": "New"})
    assert (unknown.status_code, unknown.json()["code"]) == (404, "character.not_found")
    assert (await person.http.get(f"/v1/threads/{thread}")).json()["title"] == ""
    assert (await person.http.delete(f"/v1/collections/{collection}")).status_code == 204
    for who in (character, None):
        answer = await person.http.patch(f"/v1/threads/{thread}", json={"character": who})
        assert answer.status_code == 200, answer.text
    for nothing in ("threads", "sessions"):
        refused = await person.http.patch(f"/v1/{nothing}/{thread}", json={})
        assert refused.status_code == 422, refused.text


async def test_a_session_of_any_kind_is_renamed_and_found_by_its_title(person: Person) -> None:
    session = (await person.http.post("/v1/sessions", json={"title": "Before"})).json()["session_id"]
    renamed = await person.http.patch(f"/v1/sessions/{session}", json={"title": "Of quaggas"})
    assert renamed.status_code == 200, renamed.text
    assert (await person.http.get(f"/v1/sessions/{session}")).json()["title"] == "Of quaggas"

    async def found() -> bool:
        listed = (await person.http.get("/v1/sessions", params={"query": "QUAGGAS"})).json()["sessions"]
        return [one["session_id"] for one in listed] == [session]

    await until(found)


async def test_a_list_comes_in_pages(person: Person) -> None:
    for number in range(5):
        await thread_of(person, title=f"Thread {number}")

    async def all_there() -> bool:
        return len(await listed(person)) == 5

    await until(all_there)
    seen, before = [], ""
    for _ in range(3):
        params = {"limit": "2"} | ({"before": before} if before else {})
        page = (await person.http.get("/v1/threads", params=params)).json()
        seen += [thread["title"] for thread in page["threads"]]
        before = page["next"]
    assert (seen, before) == ([f"Thread {number}" for number in (4, 3, 2, 1, 0)], None)
