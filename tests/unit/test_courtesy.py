"""Who is being heard makes no more in advance while somebody else has heard nothing yet."""

import anyio
import pytest

from pipeline import courtesy
from pipeline.courtesy import ENOUGH_S, Courtesy
from schemas.settings import ListeningSettings, SessionSettings
from tests.eventually import eventually
from tests.unit.test_turn import SENTENCES, Stage, Voice, Writer, types

pytestmark = pytest.mark.anyio

PLENTY_S = ENOUGH_S + 3_600
BEGUN = 3
"""Of those sentences: four seconds of sound, and the one with which they are more."""


async def settled() -> None:
    for _ in range(50):
        await anyio.lowlevel.checkpoint()


class Somebody:
    """Waits in the courtesy of others; `through` when they went on."""

    def __init__(self, towards: Courtesy, spare_s: float = PLENTY_S) -> None:
        self.spare_s = spare_s
        self.through = False
        self._towards = towards

    async def go(self) -> None:
        await self._towards.give_way(lambda: self.spare_s)
        self.through = True


async def test_where_nobody_waits_for_a_first_sound_nobody_gives_way() -> None:
    await Courtesy().give_way(lambda: PLENTY_S)


async def test_who_has_hardly_more_to_hear_goes_on_whoever_waits() -> None:
    others = Courtesy()
    with others.unheard():
        await others.give_way(lambda: ENOUGH_S)


async def test_others_go_on_when_the_last_one_is_heard() -> None:
    others = Courtesy()
    somebody = Somebody(others)
    async with anyio.create_task_group() as tasks:
        with others.unheard() as first_heard, others.unheard() as second_heard:
            tasks.start_soon(somebody.go)
            await settled()
            first_heard()
            first_heard()
            await settled()
            assert not somebody.through
            second_heard()
            await settled()
            assert somebody.through


async def test_a_turn_that_ends_unheard_keeps_nobody_waiting() -> None:
    others = Courtesy()
    somebody = Somebody(others)
    async with anyio.create_task_group() as tasks:
        with others.unheard():
            tasks.start_soon(somebody.go)
            await settled()
            assert not somebody.through
    assert somebody.through
    await others.give_way(lambda: PLENTY_S)


async def test_who_loses_what_they_had_before_them_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(courtesy, "_LOOK_S", 0.001)
    others = Courtesy()
    somebody = Somebody(others)
    async with anyio.create_task_group() as tasks:
        with others.unheard():
            tasks.start_soon(somebody.go)
            await settled()
            somebody.spare_s = 0.0
            await eventually(lambda: somebody.through)


async def test_a_turn_with_enough_to_be_heard_begins_no_sentence_until_others_are_heard() -> None:
    others = Courtesy()
    stage = Stage(Writer(), Voice(), ahead=6, courtesy=others)
    first = stage.voice.hold(SENTENCES[0])

    async def wait_and_be_heard() -> None:
        with others.unheard():
            await eventually(lambda: len(stage.voice.begun) == BEGUN)
            await settled()
            assert len(stage.voice.begun) == BEGUN
        await eventually(lambda: len(stage.voice.begun) == 1 + 6)
        first.set()

    facts = await stage.run(wait_and_be_heard)
    assert types(facts).count("sentence.completed") == len(SENTENCES)


async def test_a_sentence_that_gave_way_is_not_begun_in_a_pause() -> None:
    others = Courtesy()
    stage = Stage(Writer(), Voice(), ahead=6, courtesy=others)
    first = stage.voice.hold(SENTENCES[0])

    async def pause_while_it_gives_way() -> None:
        with others.unheard():
            await eventually(lambda: len(stage.voice.begun) == BEGUN)
            stage.turn.pause()
        await settled()
        assert len(stage.voice.begun) == BEGUN
        stage.turn.resume()
        first.set()

    facts = await stage.run(pause_while_it_gives_way)
    assert types(facts)[-1] == "turn.completed"
    assert types(facts).count("sentence.completed") == len(SENTENCES)


async def test_who_hears_nothing_before_all_of_it_is_there_does_not_give_way() -> None:
    others = Courtesy()
    settings = SessionSettings(listening=ListeningSettings(mode="legacy"))
    stage = Stage(Writer(), Voice(), ahead=6, courtesy=others, settings=settings)
    with others.unheard():
        facts = await stage.run()
    assert types(facts)[-1] == "turn.completed"
