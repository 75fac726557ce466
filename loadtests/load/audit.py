"""When people have left: sessions are read again from the log, compared with what was heard, and deleted."""

import asyncio
import random
from collections.abc import Sequence
from typing import Final

from loadtests.load import oracles
from loadtests.load.door import Door, Failed, Refused
from loadtests.load.oracles import Finding
from loadtests.load.visit import Visit

_AT_ONCE: Final = 8
_LIMIT_S: Final = 60.0


async def audit(door: Door, visits: Sequence[Visit], most: int, *, keep: bool) -> None:
    """All that is not settled yet, after the run so as not to slow it; `most` of them are compared."""
    heard = [visit for visit in visits if visit.heard and not visit.settled]
    compared = sum(visit.compared > 0 for visit in visits)
    chosen = random.Random(len(heard)).sample(heard, min(max(0, most - compared), len(heard)))
    picked = {visit.number for visit in chosen}
    places = asyncio.Semaphore(_AT_ONCE)

    async def one(visit: Visit) -> None:
        async with places:
            await settle(door, visit, compared=visit.number in picked, keep=keep)

    async with asyncio.TaskGroup() as tasks:
        for visit in heard:
            if visit.number in picked or not keep:
                tasks.create_task(one(visit))


async def settle(door: Door, visit: Visit, *, compared: bool, keep: bool) -> None:
    """Compare one visit's sessions with the log if that is wished, and delete them unless they are kept."""
    for session in visit.sessions:
        if compared and session not in visit.deletions:
            visit.differing += await _compared(door, visit, session)
            visit.compared += 1
        if not keep:
            await _delete(door, visit, session)
    visit.settled = True


async def _delete(door: Door, visit: Visit, session: str) -> None:
    """Once more where that was begun and cut off before it was answered: it may be gone already."""
    again = session in visit.deletions
    visit.deletions.add(session)
    try:
        await door.delete(session)
    except (Failed, Refused) as error:
        visit.undeleted += not (again and error.code == "session.gone")


async def _compared(door: Door, visit: Visit, session: str) -> list[Finding]:
    try:
        async with asyncio.timeout(_LIMIT_S):
            log = await door.log(session)
    except (Failed, Refused, TimeoutError) as error:
        return [Finding(oracles.DIFFERING, f"the log could not be read again: {error or 'it took too long'}")]
    return [
        finding
        for where, notes in visit.heard
        if where == session
        for finding in oracles.against_log(notes, log)
    ]
