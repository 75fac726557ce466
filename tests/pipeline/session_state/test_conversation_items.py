"""Items that clients write: what they hold in memory, and what the model is told of them."""

import json
import tracemalloc
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pipeline.session_state.conversation_items import Item, Items, made
from pipeline.session_state.llm_context import context_messages
from schemas.events import ItemAdded, ItemRemoved, payload
from schemas.events.realtime_events import ItemTruncated
from schemas.events.recorded import Recorded
from schemas.ids import NO_TURN, Seq

MEGABYTE = 1 << 20


def told(items: Items, seq: int, event: ItemAdded | ItemRemoved | ItemTruncated) -> None:
    data = json.loads(json.dumps(payload(event)))
    items.apply(Recorded(Seq(seq), 1_000, NO_TURN, event.type, event.v, data))


def message(name: str, *texts: str) -> dict[str, Any]:
    parts = [{"type": "input_text", "text": text} for text in texts]
    return {"type": "message", "id": name, "role": "user", "content": parts}


def test_one_item_that_is_referred_to_many_times_is_not_held_as_many_times() -> None:
    item = made(message("a", "x" * MEGABYTE, "y"), "a", Seq(2))
    tracemalloc.start()
    messages = context_messages([item] * 256, {}, room=40_000)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 * MEGABYTE
    assert [len(one.content) for one in messages] == [40_000]


@given(st.lists(st.integers(1, 60), max_size=30), st.integers(0, 200))
def test_the_newest_items_are_told_in_steps_of_half_the_room(lengths: list[int], room: int) -> None:
    """As a list of all of them would be cut."""
    items = [made(message(str(n), "x" * size), str(n), Seq(n)) for n, size in enumerate(lengths)]
    start = held = 0
    for end, size in enumerate(lengths, 1):
        held += size + 24
        if held > room:
            while start < end - 1 and held > room // 2:
                held -= lengths[start] + 24
                start += 1
    found = [len(one.content) for one in context_messages(items, {}, room=room)]
    assert found == (lengths[start:] if held <= room else [min(room, size) for size in lengths[-1:]])


def test_of_very_many_items_the_newest_few_thousand_are_looked_at() -> None:
    class Counted(list[Item]):
        looked_at = 0

        def __getitem__(self, place: Any) -> Any:
            found = super().__getitem__(place)
            Counted.looked_at += len(found) if isinstance(place, slice) else 1
            return found

    items = Counted(made(message(str(n), str(n)), str(n), Seq(n)) for n in range(100_000))
    messages = context_messages(items, {}, room=10_000_000)
    assert messages[-1].content == "99999"
    assert 4_096 <= len(messages) == Counted.looked_at < 2 * 4_096
    more = context_messages([*items, items[0]], {}, room=10_000_000)
    assert more[0] == messages[0]


def test_a_removed_item_is_not_held_and_its_name_stays_taken() -> None:
    items = Items()
    told(items, 2, ItemAdded(item=message("a", "x" * 100, "y" * 50)))
    told(
        items,
        3,
        ItemAdded(item={"type": "function_call", "id": "b", "call_id": "c", "name": "f", "arguments": "{}"}),
    )
    told(
        items,
        4,
        ItemAdded(item={"type": "function_call_output", "id": "d", "call_id": "c", "output": "z" * 9}),
    )
    assert items.chars == 161
    for seq, name in enumerate("abd", 5):
        told(items, seq, ItemRemoved(item=name))
    assert (items.chars, list(items.order), set(items.known)) == (0, [], set("abd"))
    assert not any(item.parts or item.output or item.arguments for item in items.known.values())
