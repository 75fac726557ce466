"""A step of the curve that other machines disturbed is made again, and the least disturbed one counts."""

from dataclasses import dataclass
from typing import cast

import pytest

from loadtests.client.api_connection import ApiConnection
from loadtests.runner import curve_command, load_command
from loadtests.runner.curve_command import curve_parsed

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
    """Step that counts of these, all of which must be made."""
    left = iter(made)

    async def measured(*_: object) -> Made:
        return next(left)

    async def rest(*_: object) -> None:
        """It is calm."""

    monkeypatch.setattr(load_command, "measured", measured)
    monkeypatch.setattr(curve_command, "_rest", rest)
    found = await curve_command._fair(curve_parsed([]), cast(ApiConnection, None), "", None, 0.0)
    assert next(left, None) is None
    return found
