"""One session, many listeners: sockets with sound and event streams beside them."""

import asyncio
from contextlib import aclosing
from time import monotonic

from loadtests.client.api_connection import LEAVING, Failed, Refused, error_of_frame
from loadtests.client.received_events import ReceivedEvents
from loadtests.client.virtual_caller import VirtualCaller
from loadtests.scenarios import prompts
from loadtests.scenarios.scenario import ScenarioOptions

_SENTENCES = 6


async def audience(knobs: ScenarioOptions, caller: VirtualCaller) -> None:
    """One session read out to --listeners: half by WebSocket with sound, half by SSE."""
    async with caller.arrived(knobs.settings) as line, asyncio.TaskGroup() as others:
        turn = await line.begin(caller.first_due(), text=prompts.story(caller.mark, caller.dice, _SENTENCES))
        for number in range(knobs.listeners - 1):
            listening = by_events if number % 2 else _by_socket
            others.create_task(listening(caller, line.session, turn))
        await line.finish(turn)


async def event_stream(knobs: ScenarioOptions, caller: VirtualCaller) -> None:
    """A text is asked for by HTTP and followed by SSE, beside a WebSocket."""
    async with caller.arrived(knobs.settings) as line, asyncio.TaskGroup() as others:
        turn = await line.begin(caller.first_due(), prompt=prompts.question(caller.mark, caller.dice))
        others.create_task(by_events(caller, line.session, turn))
        await line.finish(turn)


async def _by_socket(caller: VirtualCaller, session: str, turn: int) -> None:
    async with caller.line(session) as line:
        await line.until(lambda: line.notes.over(turn))


async def by_events(caller: VirtualCaller, session: str, turn: int) -> None:
    """One event stream after the other, where a gateway that leaves says to come back."""
    notes = caller.notes(session, hears=False)
    cursor = "0"
    async with asyncio.timeout(caller.patience_s):
        while not notes.over(turn):
            try:
                cursor, after_s = await _followed(caller, session, turn, notes, cursor)
            except (Refused, Failed) as error:
                if caller.connection.comes_back(error):
                    caller.visit.broken += 1
                    cursor = str(notes.last)
                elif error.code != LEAVING:
                    raise
                after_s = getattr(error, "retry_after_s", None) or 1.0
            await asyncio.sleep(after_s)


async def _followed(
    caller: VirtualCaller, session: str, turn: int, notes: ReceivedEvents, cursor: str
) -> tuple[str, float]:
    """Until the turn is over, or until sent away: with which cursor to come back, and after how long."""
    async with aclosing(caller.connection.events(session, after=cursor)) as events:
        async for event in events:
            caller.traffic.frames += 1
            if "data" in event:
                notes.take(event, monotonic())
                if notes.over(turn):
                    return cursor, 0.0
            elif event["type"] == "reconnect":
                caller.visit.moves += 1
                return event["cursor"], event["after_s"]
            elif event["type"] == "error":
                raise error_of_frame(event)
            elif event["type"] == "end":
                raise Failed("stream.end")
    raise Failed("connection", "the event stream ended before the answer")
