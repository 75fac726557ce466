"""Twenty callers at once on your own server: how soon each has its first word, and that no answer is lost.

For more than a look: `make load`, and the users of loadtests/scenarios/locustfile.py for Locust.
"""

import asyncio
from statistics import median
from time import monotonic

from rhapsode import AsyncRhapsode

CALLERS = 20


async def call(client: AsyncRhapsode) -> float:
    """Seconds to the first word of an answer that arrived whole."""
    session = await client.create(speak=False)
    asked, first = monotonic(), 0.0
    turn = await session.ask("Tell me about the sea.")
    async for _ in turn.deltas():
        first = first or monotonic() - asked
    assert first, "no word came"
    return first


async def main() -> None:
    """Starts all callers together."""
    async with AsyncRhapsode() as client:
        waits = sorted(await asyncio.gather(*(call(client) for _ in range(CALLERS))))
    print(f"{CALLERS} answers; first word after {median(waits):.2f} s (median), {waits[-1]:.2f} s at most.")


if __name__ == "__main__":
    asyncio.run(main())
