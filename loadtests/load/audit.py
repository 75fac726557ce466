"""When it is all over: sessions are read again from the log and compared with what was heard, and deleted."""

import asyncio
import random
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from loadtests.load import oracles
from loadtests.load.door import Door, Failed, Refused
from loadtests.load.oracles import Finding
from loadtests.load.visit import Visit

_AT_ONCE: Final = 8
_LIMIT_S: Final = 60.0


async def audit(
    door: Door, visits: Sequence[Visit], most: int, *, keep: bool
) -> tuple[dict[int, list[Finding]], int]:
    """Findings by the person's number, and how many sessions were read: after the run, not to slow it."""
    heard = [visit for visit in visits if visit.heard]
    chosen = random.Random(len(heard)).sample(heard, min(most, len(heard)))
    findings: dict[int, list[Finding]] = {}
    read = 0
    places = asyncio.Semaphore(_AT_ONCE)

    async def one(visit: Visit, *, compared: bool) -> None:
        nonlocal read
        async with places:
            for session in visit.sessions:
                if compared:
                    findings.setdefault(visit.number, []).extend(await _compared(door, visit, session))
                    read += 1
                if not keep:
                    with suppress(Failed, Refused):
                        await door.delete(session)

    picked = {visit.number for visit in chosen}
    async with asyncio.TaskGroup() as tasks:
        for visit in heard:
            if visit.number in picked or not keep:
                tasks.create_task(one(visit, compared=visit.number in picked))
    return findings, read


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
