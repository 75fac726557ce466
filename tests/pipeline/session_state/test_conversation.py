"""The rules of a session, without any I/O."""

import copy
import gc
import json
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import msgpack
import pytest

from pipeline.session_state.conversation import Conversation, current_turns
from pipeline.session_state.conversation_items import Items
from pipeline.session_state.session_views import own_copy
from schemas.errors import (
    InputError,
    NothingToControl,
    RhapsodeError,
    SessionAlreadyEnded,
    StateError,
    TurnNotFound,
    TurnNotReplaceable,
    TurnQueueFull,
)
from schemas.errors.access_errors import Forbidden
from schemas.events import (
    AudioChunk,
    Event,
    ItemAdded,
    ItemRemoved,
    NarrationRequested,
    PlaybackPaused,
    PlaybackResumed,
    RealtimeConfigured,
    ResponseAsked,
    SentenceReady,
    SentenceSkipRequested,
    SessionEndRequested,
    SessionStarted,
    TextDelta,
    ToolCalled,
    TurnCompleted,
    TurnFailed,
    TurnRequested,
    TurnStarted,
    TurnStopRequested,
    payload,
)
from schemas.events.recorded import Recorded
from schemas.events.voice_events import PlaybackFlushed
from schemas.ids import NO_TURN, Seq, TurnId, new_session_id
from schemas.settings import SessionSettings
from schemas.settings.model_settings import FunctionOffer, GivenMessage, SamplingSettings, ToolSettings

GOLDEN = Path(__file__).parents[2] / "golden"
WISH = TurnRequested(kind="prompt", text="Hello?", settings=SessionSettings())


class Story:
    """A conversation told event by event."""

    def __init__(self) -> None:
        self.conversation = Conversation()
        self.events: list[Recorded] = []
        self.tell(SessionStarted(settings=SessionSettings()))

    def tell(self, event: Event, turn: TurnId = NO_TURN) -> TurnId:
        seq = Seq(self.conversation.head + 1)
        self.events.append(Recorded(seq, 1_000 + seq, turn, event.type, event.v, payload(event)))
        self.conversation.apply(self.events[-1])
        return TurnId(seq)

    def take(self, entry: dict[str, Any], turn: TurnId) -> None:
        """An event as a file has it, said of this turn."""
        seq = Seq(self.conversation.head + 1)
        self.events.append(Recorded(seq, 1_000 + seq, turn, entry["type"], entry["v"], entry["data"]))
        self.conversation.apply(self.events[-1])

    def answered_turn(self, prompt: str, answer: str, replaces: int | None = None) -> TurnId:
        turn = self.tell(WISH.model_copy(update={"text": prompt, "replaces": replaces}))
        self.tell(TurnStarted(epoch=1), turn)
        if answer:
            self.tell(TextDelta(at=0, text=answer), turn)
        self.tell(TurnCompleted(sentences=1, audio_ms=0), turn)
        return turn

    def spoken_turn(self) -> TurnId:
        """One sentence of a second, all of it made."""
        turn = self.tell(WISH)
        self.tell(TurnStarted(epoch=1), turn)
        self.tell(SentenceReady(sentence=0, start=0, end=5, spoken="Once."), turn)
        chunk = AudioChunk(sentence=0, chunk=0, at_ms=0, ms=1_000, codec="opus", bytes=1, last=True)
        self.tell(chunk, turn)
        self.tell(TurnCompleted(sentences=1, audio_ms=1_000), turn)
        return turn


def test_a_turn_is_named_by_the_place_of_its_request() -> None:
    story = Story()
    turn = story.tell(WISH)
    assert story.conversation.turns[turn].text == "Hello?"
    assert [state.turn for state in story.conversation.waiting] == [turn]


def test_text_accumulates_in_the_order_of_its_deltas() -> None:
    story = Story()
    turn = story.tell(WISH)
    story.tell(TurnStarted(epoch=1), turn)
    story.tell(TextDelta(at=0, text="Once "), turn)
    story.tell(TextDelta(at=5, text="upon"), turn)
    assert story.conversation.turns[turn].answer == "Once upon"
    assert story.conversation.running is story.conversation.turns[turn]


def test_one_turn_may_wait_behind_each_place_in_the_queue_and_no_more() -> None:
    story = Story()
    for _ in range(3):
        story.conversation.request(WISH, queue_limit=2)
        story.tell(WISH)
    with pytest.raises(TurnQueueFull):
        story.conversation.request(WISH, queue_limit=2)


def test_stop_is_about_the_running_turn_unless_another_is_named() -> None:
    story = Story()
    first, second = story.tell(WISH), story.tell(WISH)
    story.tell(TurnStarted(epoch=1), first)
    assert story.conversation.control("stop", turn=None, sentence=None) == (first, TurnStopRequested())
    assert story.conversation.control("stop", turn=second, sentence=None) == (second, TurnStopRequested())


def test_nothing_can_be_stopped_when_nothing_runs() -> None:
    story = Story()
    turn = story.answered_turn("Hello?", "Hello.")
    with pytest.raises(NothingToControl):
        story.conversation.control("stop", turn=None, sentence=None)
    with pytest.raises(NothingToControl):
        story.conversation.control("stop", turn=turn, sentence=None)
    with pytest.raises(TurnNotFound):
        story.conversation.control("stop", turn=TurnId(99), sentence=None)


def test_a_user_who_stops_what_is_complete_and_still_heard_ends_it_for_all_listeners() -> None:
    story = Story()
    turn = story.spoken_turn()
    assert story.conversation.control("stop", turn=turn, sentence=None) == (
        turn,
        PlaybackFlushed(reason="stopped"),
    )
    with pytest.raises(NothingToControl):
        story.conversation.control("stop", turn=None, sentence=None)
    story.tell(PlaybackFlushed(reason="stopped"), turn)
    with pytest.raises(NothingToControl):
        story.conversation.control("stop", turn=turn, sentence=None)


def test_a_stop_that_comes_after_the_end_ends_the_sound() -> None:
    story = Story()
    turn = story.spoken_turn()
    story.tell(TurnStopRequested(), turn)  # sent before the end was known
    state = story.conversation.turns[turn]
    assert (state.status, state.flushed, state.stopping) == ("completed", True, None)


def test_skip_without_a_number_means_the_first_sentence_with_audio_to_come() -> None:
    story = Story()
    turn = story.tell(WISH)
    story.tell(TurnStarted(epoch=1), turn)
    story.tell(SentenceReady(sentence=0, start=0, end=5, spoken="Once."), turn)
    _, event = story.conversation.control("skip", turn=None, sentence=None)
    assert event == SentenceSkipRequested(sentence=0)


def test_a_sentence_that_is_far_ahead_cannot_be_skipped() -> None:
    story = Story()
    turn = story.tell(WISH)
    story.tell(TurnStarted(epoch=1), turn)
    _, event = story.conversation.control("skip", turn=None, sentence=1_000)
    assert event == SentenceSkipRequested(sentence=1_000)
    with pytest.raises(InputError) as refused:
        story.conversation.control("skip", turn=None, sentence=1_001)
    assert refused.value.field == "sentence"


def test_a_turn_is_replaced_while_it_counts_and_when_it_is_over() -> None:
    story = Story()
    first = story.answered_turn("One?", "First.")
    second = story.answered_turn("Two?", "Second.")
    again = story.answered_turn("One, rather?", "Another.", replaces=first)

    def refusal_of(turn: int) -> tuple[type[Exception], str | None]:
        with pytest.raises((TurnNotFound, TurnNotReplaceable)) as refused:
            story.conversation.request(WISH.model_copy(update={"replaces": turn}), queue_limit=9)
        return type(refused.value), refused.value.field

    assert [turn.turn for turn in current_turns(story.conversation)] == [again]
    assert refusal_of(99) == (TurnNotFound, "replaces")
    for turn in (first, second):
        assert refusal_of(turn) == (TurnNotReplaceable, "replaces")
    assert story.conversation.request(WISH.model_copy(update={"replaces": again}), queue_limit=9)
    running = story.tell(WISH)
    for turn in (again, running):
        assert refusal_of(turn) == (TurnNotReplaceable, "replaces")


def test_a_guest_replaces_only_turns_of_their_own_that_nobody_else_s_follow() -> None:
    story, settings = Story(), SessionSettings()
    story.conversation.principal = "anna"

    def request(by: str, replaces: int | None) -> TurnRequested:
        wish = TurnRequested(kind="prompt", text="Hello?", settings=settings, by=by, replaces=replaces)
        return story.conversation.request(wish, queue_limit=9)

    def answered(by: str) -> TurnId:
        turn = story.tell(request(by, None))
        story.tell(TextDelta(at=0, text="Hi."), turn)
        story.tell(TurnCompleted(sentences=1, audio_ms=0), turn)
        return turn

    hers, his = answered(""), answered("bob")
    assert request("bob", his)
    carols = answered("carol")
    for turn in (hers, his, carols):
        with pytest.raises(Forbidden):
            request("bob", turn)
    assert request("", hers)


def test_only_the_latest_answer_is_continued_and_nobody_has_asked_what_continues_it() -> None:
    story = Story()
    first = story.answered_turn("One?", "First.")
    second = story.answered_turn("Two?", "Second.")

    def refusal_of(**wish: object) -> tuple[type[Exception], str | None]:
        with pytest.raises(RhapsodeError) as refused:
            story.conversation.request(WISH.model_copy(update=wish), queue_limit=9)
        return type(refused.value), refused.value.field

    assert refusal_of(continues=99) == (TurnNotFound, "continues")
    assert refusal_of(continues=first) == (StateError, "continues")
    assert refusal_of(continues=second, kind="text") == (InputError, "continues")
    assert refusal_of(continues=second, replaces=second) == (InputError, "continues")
    further = story.tell(
        story.conversation.request(WISH.model_copy(update={"continues": second}), queue_limit=9)
    )
    end = story.tell(WISH.model_copy(update={"continues": further}))
    turns = story.conversation.turns
    assert [(turns[one].first, turns[one].question) for one in (second, further, end)] == [
        (0, "Two?"),
        (second, ""),
        (second, ""),
    ]
    assert refusal_of(continues=end) == (StateError, "continues"), "it is still being answered"
    assert refusal_of(continues=second) == (StateError, "continues")


@pytest.mark.parametrize("place", ["client", "server"])
def test_a_version_without_a_word_counts_where_it_called_a_function_of_its_client(place: str) -> None:
    story = Story()
    first = story.answered_turn("One?", "First.")
    again = story.tell(WISH.model_copy(update={"replaces": first}))
    call = {"call": "c", "name": "look", "arguments": "{}", "place": place, "round": 0, "at": 0}
    story.tell(ToolCalled.model_validate(call), again)
    story.tell(TurnCompleted(sentences=0, audio_ms=0), again)
    story.tell(WISH)
    counting = [turn.turn for turn in current_turns(story.conversation)]
    assert counting[0] == (again if place == "client" else first)


def test_a_new_request_ends_a_pause() -> None:
    story = Story()
    story.tell(PlaybackPaused())
    assert story.conversation.paused
    story.tell(WISH)
    assert not story.conversation.paused
    story.tell(PlaybackPaused())
    story.tell(PlaybackResumed())
    assert not story.conversation.paused


def test_an_ending_session_takes_no_commands() -> None:
    story = Story()
    story.tell(SessionEndRequested())
    with pytest.raises(SessionAlreadyEnded):
        story.conversation.request(WISH, queue_limit=2)
    assert story.conversation.has_work


def test_a_failed_turn_keeps_what_was_said() -> None:
    story = Story()
    turn = story.tell(WISH)
    story.tell(TurnStarted(epoch=1), turn)
    story.tell(TextDelta(at=0, text="Once"), turn)
    story.tell(TurnFailed(stage="text", code="engine.failed", message="gone"), turn)
    state = story.conversation.turns[turn]
    assert (state.status, state.answer, state.over) == ("failed", "Once", True)


def test_an_unknown_event_moves_only_the_head() -> None:
    story = Story()
    before = story.conversation.head
    story.conversation.apply(Recorded(Seq(before + 1), 0, NO_TURN, "moon.risen", 7, {"phase": "full"}))
    assert story.conversation.head == before + 1


def test_a_copy_goes_on_from_any_event_as_if_it_had_heard_all_of_them() -> None:
    told = Story()
    told.answered_turn("Who?", "A fox.")
    heard = told.spoken_turn()
    told.tell(PlaybackFlushed(reason="stopped"), heard)
    told.tell(WISH)
    told.spoken_turn()
    for file in sorted(GOLDEN.glob("*.json")):  # one of each kind
        told.take(json.loads(file.read_text()), heard)
    for known in range(len(told.events) + 1):
        first = Conversation()
        for event in told.events[:known]:
            first.apply(event)
        second, before = own_copy(first), contents(first)
        for event in told.events[known:]:
            second.apply(event)
        assert contents(second) == contents(told.conversation)
        assert all(turn is second.turns[turn.turn] for turn in second.unfinished)
        assert contents(first) == before, "who took it along has changed it"


def contents(conversation: Conversation) -> dict[str, object]:
    return copy.deepcopy(vars(conversation) | {"items": vars(conversation.items)})


def with_schemas(number: int) -> list[Event]:
    """A request whose schemas are of many small objects, each as long as requests may have them."""
    dense = {"title": str(number), "enum": [{"a": 1}] * 3_000}
    offers = (FunctionOffer(name="f", parameters=dense),)
    settings = SessionSettings(
        tools=ToolSettings(functions=offers), sampling=SamplingSettings(json_schema=dense)
    )
    given = tuple(GivenMessage(role="user", content="") for _ in range(1_000))
    return [TurnRequested(kind="prompt", text="Hello?", settings=settings, given=given)]


def with_config(number: int) -> list[Event]:
    """The configuration of a Realtime session, and of a response of its own."""
    told = json.loads((GOLDEN / "realtime.configured.v1.json").read_text())["data"]["config"]
    config: Any = told | {"tools": [{"name": str(number), "parameters": {"enum": [{"a": 1}] * 3_000}}]}
    return [RealtimeConfigured(config=config), ResponseAsked(config=config), WISH]


def with_item(number: int) -> list[Event]:
    """Parts with fields that nobody reads."""
    part: Any = {"type": "input_text", "text": "", "more": [{"a": number}] * 1_000}
    return [ItemAdded(item={"type": "message", "role": "user", "content": [part] * 3}), WISH]


@pytest.mark.parametrize("asked", [with_schemas, with_config, with_item])
def test_a_turn_that_is_over_takes_no_more_memory_than_its_events(
    asked: Callable[[int], list[Event]],
) -> None:
    """A session may have 256 MB of events; as objects, JSON of many small values takes 30 times as much."""
    conversation, size = Conversation(), 0

    def tell(event: Event, turn: TurnId = NO_TURN) -> TurnId:
        nonlocal size
        seq, text = Seq(conversation.head + 1), json.dumps(payload(event), default=str)
        size += len(text)
        conversation.apply(Recorded(seq, 1_000 + seq, turn, event.type, event.v, json.loads(text)))
        return TurnId(seq)

    tell(SessionStarted(settings=SessionSettings()))
    for number in range(20):
        turn = [tell(event) for event in asked(number)][-1]
        tell(TurnStarted(epoch=1, node="a"), turn)
        tell(TurnCompleted(sentences=0, audio_ms=0), turn)
    tell(WISH)  # the latest settings are kept as objects
    assert held_by(conversation) < 2 * size


class Name(str):
    """The id of an item. Counts how often one is compared with another."""

    __slots__ = ()
    compared = 0

    def __eq__(self, other: object) -> bool:
        Name.compared += 1
        return str(self) == str(other)

    __hash__ = str.__hash__


def test_items_are_found_without_a_look_at_all_of_them() -> None:
    """A session may have hundreds of thousands: a gateway that looked at all for each would serve nobody."""
    items, names = Items(), [Name(f"item_{number}") for number in range(500)]
    content: Any = [{"type": "input_text", "text": "Hello"}]
    Name.compared = 0

    def tell(seq: int, event: Event) -> None:
        items.apply(Recorded(Seq(seq), seq, NO_TURN, event.type, event.v, payload(event)))

    for seq, name in enumerate(names, 1):
        item: Any = {"id": name, "type": "message", "role": "user", "content": content}
        data = {"item": item, "after": names[seq - 3] if seq > 2 else None, "committed": False}
        items.apply(Recorded(Seq(seq), seq, NO_TURN, "item.added", 1, data))
    assert items.before(names[-1]) == names[-3]
    for seq, name in enumerate(names[:-1], 501):
        tell(seq, ItemRemoved(item=name))
    assert list(items.order) == names[-1:]
    assert Name.compared < 20 * len(names)


HOLLOW: dict[str, dict[str, Any]] = {
    "answer.cited": {"supports": [{"number": 1, "start": 0, "end": 0, "by": "marker"}]},
    "passages.found": {
        "passages": [
            {
                **{"collection": "c", "document": "d", "title": "", "media_type": "text/plain", "page": None},
                **{"headings": [], "start": 0, "end": 1, "text": "x", "score": 1.0, "strategy": "vector"},
                "number": 1,
            }
        ]
    },
    "item.added": {"item": {"type": "message", "role": "user", "content": [{"text": ""}]}, "after": None},
}
"""Lists of one event, of what says nothing."""


@pytest.mark.parametrize("kind", HOLLOW)
def test_hollow_parts_take_no_more_memory_than_in_the_log(kind: str) -> None:
    """As objects it took up to thirty times as much: an import of 32 MB had a gigabyte in each gateway."""
    story, data = Story(), copy.deepcopy(HOLLOW[kind])
    turn = story.tell(WISH)
    holder = data.get("item", data)
    [(name, parts)] = [(name, value) for name, value in holder.items() if isinstance(value, list)]
    holder[name] = [copy.deepcopy(parts[0]) for _ in range(10_000)]
    stored = len(msgpack.packb(data))
    tracemalloc.start()
    story.conversation.apply(Recorded(Seq(turn + 1), 1, turn, kind, 1, data))
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 2 * stored + 100_000


def test_a_question_of_many_utterances_holds_their_names_once() -> None:
    items, said = Items(), {"input": "a", "at_ms": 0}
    for number in range(5_000):
        items.apply(Recorded(Seq(number + 1), 1, NO_TURN, "speech.ended", 1, said | {"utterance": number}))
    asked = {"kind": "prompt", "input": "a", "utterances": [*range(5_000)] * 2}
    items.apply(Recorded(Seq(5_001), 1, NO_TURN, "turn.requested", 1, asked))
    [names] = items.covered.values()
    assert len(names) == 5_000
    assert sys.getsizeof(names) < 50_000


def test_the_utterances_of_a_question_are_kept_with_it_alone() -> None:
    """Sets of all questions before would take gigabytes for a long chain of them."""
    items, said = Items(), {"input": "a", "utterance": 0, "at_ms": 0}
    for seq in range(1, 100, 2):
        items.apply(Recorded(Seq(seq), seq, NO_TURN, "speech.ended", 1, said | {"utterance": seq}))
        asked = {"kind": "prompt", "input": "a", "utterances": [seq], "merges": seq - 1 or None}
        items.apply(Recorded(Seq(seq + 1), seq, NO_TURN, "turn.requested", 1, asked))
    assert {turn: len(names) for turn, names in items.covered.items()} == {100: 50}


@pytest.mark.parametrize("after", ["root", "a", "b", "c", "nowhere", None])
def test_an_item_is_put_behind_another(after: str | None) -> None:
    items = Items()
    content: Any = [{"type": "input_text", "text": "Hello"}]
    for seq, name in enumerate("abcd", 1):
        item: Any = {"id": name, "type": "message", "role": "user", "content": content}
        event = ItemAdded(item=item, after=after if name == "d" else None)
        items.apply(Recorded(Seq(seq), seq, NO_TURN, event.type, event.v, payload(event)))
    places = {"root": "dabc", "a": "adbc", "b": "abdc"}
    order = places.get(after or "", "abcd")
    assert "".join(items.order) == order
    assert [items.before(name) for name in order] == [None, *order[:-1]]
    assert items.before("nowhere") is None


def held_by(root: object) -> int:
    """Bytes of the object and of all that it refers to, but for code."""
    seen: dict[int, object] = {}
    rest = [root]
    while rest:
        found = rest.pop()
        if id(found) not in seen and not isinstance(found, type | ModuleType | FunctionType):
            seen[id(found)] = found
            rest += gc.get_referents(found)
    return sum(map(sys.getsizeof, seen.values()))


def test_one_more_attempt_at_a_narration_costs_as_much_as_the_first() -> None:
    story = Story()
    turn = story.tell(WISH)
    sessions = [new_session_id() for _ in range(4)]
    for session in sessions[:2]:
        story.tell(NarrationRequested(session=session, by="user"), turn)
    earlier = story.conversation.narrations[turn].earlier
    for session in sessions[2:]:
        story.tell(NarrationRequested(session=session, by="user"), turn)
    state = story.conversation.narrations[turn]
    assert (state.session, state.attempt, list(state.earlier)) == (sessions[-1], 4, sessions[:-1])
    assert state.earlier is earlier, "an imported story may have any number of them"
