"""What grows with the length of a session: coming back to it, writing to it, reading a page, and a turn."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from time import monotonic_ns
from typing import Final

from loadtests.bench.measured import Measured
from loadtests.bench.past import session_of
from loadtests.console import say
from loadtests.figures import Row
from loadtests.listener import Client
from pipeline.eventlog.open_log import open_log
from schemas.ids import SessionId
from schemas.settings import AppSettings, SessionSettings

SHORTEST: Final = 10
_AGAIN: Final = 6
"""Times that a session is come back to: two gateways share the port, and each must have seen it."""
_PAGE: Final = 8
"""Facts of the page that is read: the shortest session has so many."""
_MS: Final = 1e6
STEPS: Final = {
    "first": "resume at the end, by gateways that have not seen the session",
    "again": "resume at the end",
    "append": "one command, appended",
    "page": f"the last {_PAGE} facts, read",
    "turn": "question to first words, after a pause",
    "next": "question to first words, the one after it",
}


@dataclass
class Length:
    """A session of so many events, round by round, in milliseconds; each round has a session of its own."""

    events: int
    taken: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))


async def lengthening(url: str, home: Path, lengths: Sequence[int], rounds: int) -> list[Length]:
    """All lengths in turns within each round, after round 0, which warms up with the shortest."""
    found = [Length(events) for events in lengths]
    for number in range(rounds + 1):
        say(f"g: sessions of {lengths[0]} to {lengths[-1]} events, round {number} of {rounds}")
        for each in found if number else [Length(SHORTEST), Length(SHORTEST)]:
            session = await _written(home, each.events)
            await _visit(url, session, each)
    return found


async def _written(home: Path, events: int) -> SessionId:
    settings = AppSettings(home=home)
    log = open_log(settings.log, home)
    try:
        return await session_of(log, events, SessionSettings(speak=False, max_tokens=_PAGE))
    finally:
        await log.aclose()


async def _visit(url: str, session: SessionId, each: Length) -> None:
    """Everything that is done to one session, in the order in which it would be."""
    client = Client(url)
    try:
        each.taken["first"].append(await _resumed(client, session, each.events))
        again = [await _resumed(client, session, each.events) for _ in range(_AGAIN)]
        each.taken["again"].append(median(again))
        for step, call in (("append", _appended), ("page", _page_read)):
            await call(
                client, session, each.events
            )  # the connection is new: it may lead to the other gateway
            each.taken[step].append(median([await call(client, session, each.events) for _ in range(3)]))
        async with client.stream(session, after=each.events) as stream:
            for step in ("turn", "next"):
                asked = await stream.ask("Go on.")
                each.taken[step].append(((await stream.first("text.delta")).at_ns - asked) / _MS)
                await stream.first("turn.completed")
    finally:
        await client.aclose()


async def _resumed(client: Client, session: str, events: int) -> float:
    began = monotonic_ns()
    async with client.stream(session, after=events - 1) as stream:
        last = await stream.first("turn.completed")
        stream.cut()
    if last.event["seq"] != events:
        raise RuntimeError(f"a session of {events} events ends at {last.event['seq']}")
    return (last.at_ns - began) / _MS


async def _appended(client: Client, session: str, events: int) -> float:
    began = monotonic_ns()
    await client.post(f"/v1/sessions/{session}/control", {"action": "resume"})
    return (monotonic_ns() - began) / _MS


async def _page_read(client: Client, session: str, events: int) -> float:
    began = monotonic_ns()
    page = await client.page(f"/v1/sessions/{session}/events?from={events - _PAGE}&follow=false")
    if '"text.delta"' not in page:
        raise RuntimeError(f"no facts in {page[:200]!r}")
    return (monotonic_ns() - began) / _MS


def length_rows(lengths: Sequence[Length]) -> Iterable[Measured]:
    """The longest beside the shortest; the ones between are in the note."""
    shortest, longest = lengths[0], lengths[-1]
    for step, words in STEPS.items():
        between = ", ".join(f"{each.events:,}: {median(each.taken[step]):.1f}" for each in lengths)
        row = Row(
            f"{words}: {longest.events:,} events",
            "ms",
            longest.taken[step],
            shortest.taken[step],
            f"{shortest.events} events",
            "flat",
            None,
            note=between,
        )
        yield Measured.each(f"g.length.{longest.events}.{step}", row)
