"""Scenarios of a caller who types: a text read out, a conversation, a book, a thin line, a bad connection."""

import asyncio
from time import monotonic

from loadtests.client.received_events import ReceivedEvents
from loadtests.client.session_connection import SessionConnection
from loadtests.client.virtual_caller import VirtualCaller
from loadtests.scenarios import prompts
from loadtests.scenarios.scenario import ScenarioOptions


async def narrate(knobs: ScenarioOptions, caller: VirtualCaller) -> None:
    """One text, a few sentences long."""
    async with caller.arrived(knobs.settings) as line:
        turn = await line.begin(caller.first_due(), text=prompts.story(caller.mark, caller.dice))
        await line.finish(turn)
        if knobs.listen:
            await line.hear_out(turn)


async def chat(knobs: ScenarioOptions, caller: VirtualCaller) -> None:
    """Several questions, whose answers are listened to and thought about."""
    async with caller.arrived(knobs.settings) as line:
        due_s = caller.first_due()
        for asked in range(knobs.turns):
            if asked:
                due_s = await caller.think(line, knobs.think_s)
            turn = await line.begin(due_s, prompt=prompts.question(caller.mark, caller.dice))
            await line.finish(turn)
            if knobs.listen:
                await line.hear_out(turn)


async def book(knobs: ScenarioOptions, caller: VirtualCaller) -> None:
    """--pages pages in one narration, taken in as fast as they are made."""
    async with caller.arrived(knobs.settings) as line:
        text = "\n\n".join(prompts.page(caller.mark, caller.dice) for _ in range(knobs.pages))
        turn = await line.begin(caller.first_due(), text=text)
        limit_s = line.patience_s * max(1, knobs.pages)
        await line.until(lambda: line.notes.over(turn), limit_s=limit_s)
        await line.finish(turn)


_PAUSE_S = 0.15
_EVERY = 4
"""Frames, then a pause."""
_SENTENCES = 20


async def slow(knobs: ScenarioOptions, caller: VirtualCaller) -> None:
    """A long text is read out to somebody who takes his time to read what comes."""
    session = await caller.open(knobs.settings)
    notes = caller.notes(session, hears=True)
    notes.punctual = False
    async with caller.line(session, notes) as line:
        turn = await line.begin(caller.first_due(), text=prompts.story(caller.mark, caller.dice, _SENTENCES))
        while not notes.over(turn):
            taken = len(notes.seqs) + _EVERY
            await line.until(lambda taken=taken: notes.over(turn) or len(notes.seqs) >= taken)  # type: ignore[misc]
            await asyncio.sleep(_PAUSE_S)


_FRAMES = (3, 30)
"""So many a connection lives."""
_CUTS = 12
"""At most: the last connection lasts to the end."""


async def storm(knobs: ScenarioOptions, caller: VirtualCaller) -> None:
    """A text is read out over connections that are cut at random, each resumed by its cursor."""
    session = await caller.open(knobs.settings)
    notes = caller.notes(session)
    async with caller.line(session, notes) as line:
        turn = await line.begin(caller.first_due(), text=prompts.story(caller.mark, caller.dice, 8))
    while not notes.over(turn):
        async with caller.line(session, notes) as line:
            await _listen(caller, line, notes, turn)


async def _listen(caller: VirtualCaller, line: SessionConnection, notes: ReceivedEvents, turn: int) -> None:
    opened_s, before = monotonic(), len(notes.seqs)
    await line.until(lambda: len(notes.seqs) > before)
    caller.measure("resume", opened_s, monotonic())
    if caller.visit.cuts == _CUTS:
        await line.until(lambda: notes.over(turn))
        return
    lives = before + caller.dice.randint(*_FRAMES)
    await line.until(lambda: notes.over(turn) or len(notes.seqs) >= lives)
    caller.visit.cuts += 1
    notes.disturb()
    line.cut()
