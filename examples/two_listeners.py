"""Two listeners of one session receive the same events, and so does a third that comes after the end."""

import asyncio

from rhapsode import AsyncRhapsode, AsyncTurn


async def listen(turn: AsyncTurn) -> list[str]:
    """The types of a turn's events, and its text at the end."""
    events = [event async for event in turn.events(audio="pcm16")]
    return [f"{event.seq} {event.type} {len(event.audio)}" for event in events]


async def main() -> None:
    """Compares what three listeners received."""
    async with AsyncRhapsode() as client:
        session = await client.create(title="Two listeners")
        turn = await session.ask("Tell me about the sea.")
        one, other = await asyncio.gather(listen(turn), listen(turn))
        late = await listen(turn)
        assert one == other == late
        print(f"Three listeners received the same {len(one)} events, the last of them after the end.")


if __name__ == "__main__":
    asyncio.run(main())
