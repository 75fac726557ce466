"""Seed 001, feature 1, case 7: a client that comes back is told what it missed, and nothing twice."""

from collections.abc import Iterator

import pytest

from pipeline.apps.users import user_session
from pipeline.eventlog.tiered_log import TieredLog
from tests.seeds.people import AUTO, Person, messages, nothing_left_to_do, until

pytestmark = pytest.mark.anyio


# ---------------------------------------------------------------- 7. WebSocket reconnection


@pytest.mark.parametrize("ack", ["true", "false"])
async def test_7_what_came_while_nobody_was_there_is_told_on_connecting(
    person: Person, log: TieredLog, ack: str
) -> None:
    await person.prefer(**AUTO)
    story = await person.story()
    scenes = [await person.scene(story) for _ in range(3)]
    await nothing_left_to_do(log)
    async with person.notifications(ack=ack) as news:
        told = [await news.next() for _ in scenes]
        await news.quiet()
    assert {each["scene_id"] for each in told} == {scene["id"] for scene in scenes}


@pytest.mark.parametrize("ack", ["true", "false"])
async def test_7_what_was_cut_off_before_it_was_acknowledged_is_told_again(person: Person, ack: str) -> None:
    await person.prefer(**AUTO)
    story = await person.story()
    async with person.notifications(ack=ack) as news:
        await person.scene(story)
        first = await news.next()
        news.cut()
    async with person.notifications(ack=ack) as news:
        assert await news.next() == first
        await news.quiet()


async def test_7_a_client_that_acknowledges_hears_nothing_twice(person: Person) -> None:
    await person.prefer(**AUTO)
    story, heard = await person.story(), []
    for _ in range(4):
        async with person.notifications(ack="true") as news:
            await person.scene(story)
            heard.append(await news.next())
            await news.ack(heard[-1])
            news.cut()
    async with person.notifications(ack="true") as news:
        await news.quiet()
    assert len({each["id"] for each in heard}) == 4


async def test_7_a_client_that_leaves_with_a_goodbye_has_what_it_was_told(person: Person) -> None:
    await person.prefer(**AUTO)
    async with person.notifications() as news:
        await person.scene(await person.story())
        first = await news.next()

    async def delivered() -> bool:
        return bool(await person.events_of(user_session(person.name), "notifications.delivered"))

    await until(delivered)
    async with person.notifications() as news:
        await news.quiet()
    async with person.notifications(after=first["id"] - 1) as news:
        assert await news.next() == first


async def test_7_two_clients_of_one_user_both_hear_it(person: Person) -> None:
    await person.prefer(**AUTO)
    async with person.notifications() as phone, person.notifications(ack="true") as laptop:
        await person.scene(await person.story())
        assert await phone.next() == await laptop.next()


async def test_7_nobody_acknowledges_what_was_never_told(person: Person) -> None:
    await person.prefer(**AUTO)
    async with person.notifications(ack="true") as news:
        await news.socket.send('{"type": "ack", "id": 9000000000000000}')
        assert (await news.next())["code"] == "input.invalid"
        await person.scene(await person.story())
        assert (await news.next())["type"] == "tts_ready"


async def test_7_another_user_is_told_nothing(
    person: Person, keys: Iterator[tuple[str, str]], log: TieredLog
) -> None:
    async with Person.of(person.app, *next(keys)) as other, other.notifications() as news:
        await person.prefer(**AUTO)
        await person.scene(await person.story())
        await nothing_left_to_do(log)
        await news.quiet()
        refused = await messages(other, f"/ws/{person.name}")
    assert [each["code"] for each in refused] == ["user.not_found"]
