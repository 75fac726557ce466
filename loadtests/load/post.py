"""Messages between the processes of this client: pickled, each with its length before it.

Only between a parent and the children that it has started itself, over their pipes.
"""

import pickle
from asyncio import IncompleteReadError, StreamReader
from dataclasses import dataclass
from typing import Any, Final

from loadtests.load.runner import Plan

_LENGTH: Final = 8


@dataclass(frozen=True, slots=True)
class Orders:
    """What a process is to do; it says `Ready`, and waits for `Go`."""

    plan: Plan
    url: str
    key: str | None


@dataclass(frozen=True, slots=True)
class Ready:
    """It has imported everything, and somebody answers at the address."""


@dataclass(frozen=True, slots=True)
class Go:
    """When it begins, on the monotonic clock, which the processes of a machine share."""

    epoch_s: float


@dataclass(frozen=True, slots=True)
class Stop:
    """Nobody comes any more, and those who are there go."""


def packed(message: object) -> bytes:
    content = pickle.dumps(message)
    return len(content).to_bytes(_LENGTH, "big") + content


async def received(reader: StreamReader) -> Any:
    """The next message; None: there will be none."""
    try:
        length = int.from_bytes(await reader.readexactly(_LENGTH), "big")
        return pickle.loads(await reader.readexactly(length))
    except (IncompleteReadError, ConnectionError):
        return None
