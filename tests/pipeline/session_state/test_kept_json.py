"""JSON that is kept takes the memory that it has bytes."""

import tracemalloc
from collections.abc import Callable

import orjson
import pytest

from pipeline.session_state.turn_state import kept_json
from schemas.events.recorded import Recorded
from schemas.ids import NO_TURN, Seq


def shown_to_listeners(value: object) -> bytes:
    return Recorded(Seq(1), 1, NO_TURN, "text.delta", 1, {"text": value}).json(orjson.dumps)


@pytest.mark.parametrize("made", [kept_json, shown_to_listeners])
def test_a_thousand_short_ones_take_no_four_megabytes(made: Callable[[object], bytes]) -> None:
    tracemalloc.start()
    kept = [made("Hello") for _ in range(1_000)]
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 2 * sum(map(len, kept)) + 200_000
