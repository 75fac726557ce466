"""A step of the curve that other machines disturbed is made again, and the least disturbed one counts."""

from dataclasses import dataclass
from typing import cast

import pytest

from loadtests.load.curve import running
from loadtests.load.curve.arguments import parsed
from loadtests.load.door import Door

pytestmark = pytest.mark.anyio


@dataclass
class Made:
    stolen: float
    stopped: bool = False


@pytest.mark.parametrize(
    ("shares", "counts"),
    [
        ([0.02], 0),
        ([0.3, 0.1], 1),
        ([0.3, 0.2, 0.25], 1),
    ],
)
async def test_until_it_is_calm_or_was_tried_thrice(
    shares: list[float], counts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = [Made(share) for share in shares]
    assert await fairest(made, monkeypatch) is made[counts]


async def test_one_that_is_stopped_by_hand_is_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    made = [Made(0.3), Made(0.5, stopped=True)]
    assert await fairest(made, monkeypatch) is made[1]


async def fairest(made: list[Made], monkeypatch: pytest.MonkeyPatch) -> object:
    """What counts of these, all of which must be made."""
    left = iter(made)

    async def measured(*_: object) -> Made:
        return next(left)

    async def rest(*_: object) -> None:
        """It is calm."""

    monkeypatch.setattr(running.command, "measured", measured)
    monkeypatch.setattr(running, "_rest", rest)
    found = await running._fair(parsed([]), cast(Door, None), "", None, 0.0)
    assert next(left, None) is None
    return found
