"""Functions for the tests, as an operator's package would have them."""

import threading
from typing import Any

import anyio

HELD = threading.Event()


def weather(city: str, days: int = 1) -> dict[str, Any]:
    """The weather of the next days."""
    return {"city": city, "celsius": [7] * days}


async def tides(harbour: str) -> str:
    """When the water is high."""
    await anyio.lowlevel.checkpoint()
    return f"{harbour}: 04:12 and 16:40"


def ferry(harbour: str) -> str:
    """When the next ferry leaves; known once `HELD` is set."""
    if not HELD.wait(30):
        raise TimeoutError
    return f"The ferry from {harbour} leaves at nine."


async def never(what: str = "") -> str:
    """Waits for what does not come."""
    await anyio.sleep_forever()
    return what


def broken() -> None:
    raise RuntimeError("the barometer fell off the wall")


def untold() -> dict[Any, Any]:
    """Cannot be written down."""
    return {(1, 2): 3}


def shouting() -> None:
    raise RuntimeError("\ud83d" + "a" * 3_000_000)


def long() -> str:
    return "la " * 20_000


def only_places(a: int, /) -> int:
    return a


NUMBER = 7
