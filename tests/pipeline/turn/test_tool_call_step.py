"""A model that wants functions called: here, by the client, several at once, and once too often."""

import anyio
import pytest

from pipeline.admission.allowance import Allowance
from pipeline.engines.ports import Completion, Message, ToolCall
from pipeline.eventlog.recorder import Recorder
from pipeline.session_state.turn_state import STARTED
from pipeline.tools.remote_functions import ToolCallContext, pseudonym
from pipeline.tools.tool_registry import ToolResult
from pipeline.turn.generation import Engines
from schemas.events import SessionStarted, TurnRequested
from schemas.events.recorded import Recorded
from schemas.ids import Seq, new_session_id
from schemas.settings.limit_settings import LimitSettings
from schemas.settings.model_settings import GivenMessage
from schemas.settings.tool_settings import RegisteredFunction
from tests.pipeline.sessions.test_session_owner import until_over
from tests.pipeline.turn.test_turn import Voice
from tests.support.asked_turns import (
    TURN,
    Author,
    call,
    events_of,
    of_type,
    offered,
    owning,
    registered,
    tool_registry,
)
from tests.support.eventlog.memory_log import MemoryEventLog
from tests.support.memory_meter import MemoryMeter

pytestmark = pytest.mark.anyio
HERE = "tests.support.operator_functions"
CALLED = Completion("tool_calls", 10, 2)
DONE = Completion("stop", 20, 5)
KIEL = '{"city": "Kiel"}'
BOTH = {
    "weather": RegisteredFunction(entry_point=f"{HERE}:weather"),
    "tides": RegisteredFunction(entry_point=f"{HERE}:tides"),
}


SLOW = BOTH | {"slow": RegisteredFunction(entry_point=f"{HERE}:never", asynchronous=True)}


def text_of(events: list[Recorded]) -> str:
    return "".join(event.data["text"] for event in of_type(events, "text.delta"))


async def test_a_function_is_called_and_the_model_goes_on_with_its_result() -> None:
    model = Author(["Let me see. ", call("weather", KIEL), CALLED], ["Seven degrees.", DONE])
    events = await events_of(model, registered("weather"), functions=tool_registry(**BOTH))
    assert text_of(events) == "Let me see. Seven degrees."
    [called] = of_type(events, "tool.called")
    assert (called.data["place"], called.data["at"], called.data["arguments"]) == ("server", 12, KIEL)
    [completed] = of_type(events, "tool.completed")
    assert completed.data["output"] == '{"city": "Kiel", "celsius": [7]}'
    assert model.asked[1].messages[-2:] == (
        Message("assistant", "Let me see. ", (ToolCall("call_weather", "weather", KIEL),)),
        Message("tool", completed.data["output"], call="call_weather"),
    )
    whole = of_type(events, "text.completed")[0].data
    assert (whole["finish"], whole["tokens_in"], whole["tokens_out"]) == ("stop", 30, 7)
    assert events[-1].type == "turn.completed"


async def test_the_model_is_offered_what_the_session_allows_and_nothing_else() -> None:
    model = Author(["Hello.", DONE])
    await events_of(model, registered("tides"), functions=tool_registry(**BOTH))
    assert [function.name for function in model.asked[0].functions] == ["tides"]


async def test_several_calls_run_side_by_side() -> None:
    waiting = {"first": anyio.Event(), "second": anyio.Event()}

    class Meeting(type(tool_registry())):  # type: ignore[misc]
        async def call(self, name: str, *rest: object) -> object:
            mine, other = ("first", "second") if name == "weather" else ("second", "first")
            waiting[mine].set()
            await waiting[other].wait()
            return await super().call(name, *rest)

    functions = Meeting(tool_registry(**BOTH).settings)
    model = Author([call("weather", KIEL), call("tides", '{"harbour": "Husum"}'), CALLED], ["Fine.", DONE])
    with anyio.fail_after(10):
        events = await events_of(model, registered("weather", "tides"), functions=functions)
    assert {event.data["call"] for event in of_type(events, "tool.completed")} == {
        "call_weather",
        "call_tides",
    }
    assert {event.data["round"] for event in of_type(events, "tool.called")} == {0}
    assert [m.call for m in model.asked[1].messages if m.role == "tool"] == ["call_weather", "call_tides"]


async def test_a_clients_function_ends_the_turn_with_the_call() -> None:
    model = Author(["One moment. ", call("open_door", '{"door": 1}'), CALLED])
    events = await events_of(model, offered("open_door"))
    assert [event.type for event in events if not event.type.startswith("sentence")] == [
        "turn.started",
        "text.delta",
        "tool.called",
        "text.completed",
        "turn.completed",
    ]
    assert of_type(events, "tool.called")[0].data["place"] == "client"
    assert of_type(events, "text.completed")[0].data["finish"] == "tool_calls"


async def test_a_conversation_that_the_client_keeps_is_told_as_it_is() -> None:
    model = Author(["It is open.", DONE])
    given = (
        GivenMessage(role="system", content="You are a door."),
        GivenMessage(role="user", content="Open!"),
        GivenMessage.model_validate(
            {"role": "assistant", "calls": [{"call": "c1", "name": "open_door", "arguments": "{}"}]}
        ),
        GivenMessage(role="tool", content="done", call="c1"),
    )
    await events_of(model, offered("open_door"), given=given)
    assert model.asked[0].messages == (
        Message("system", "You are a door."),
        Message("user", "Open!"),
        Message("assistant", "", (ToolCall("c1", "open_door", "{}"),)),
        Message("tool", "done", call="c1"),
    )


async def test_a_model_that_wants_calls_for_ever_has_to_answer_in_the_end() -> None:
    rounds = [[call("weather", KIEL, id=f"c{n}"), CALLED] for n in range(2)]
    model = Author(*rounds, ["Enough.", DONE])
    events = await events_of(model, registered("weather"), functions=tool_registry(**BOTH))
    assert [request.choice for request in model.asked] == ["auto", "auto", "none"]
    assert text_of(events) == "Enough."


async def test_a_choice_that_was_forced_is_forced_once() -> None:
    settings = registered("weather")
    forced = settings.model_copy(update={"tools": settings.tools.model_copy(update={"choice": "required"})})
    model = Author([call("weather", KIEL), CALLED], ["Seven.", DONE])
    await events_of(model, forced, functions=tool_registry(**BOTH))
    assert [request.choice for request in model.asked] == ["required", "auto"]
    telling = Author(["Seven.", DONE])
    await events_of(telling, forced, functions=tool_registry(**BOTH), result_of=1)
    assert [request.choice for request in telling.asked] == ["auto"]


@pytest.mark.parametrize(
    ("wish", "code"),
    [
        (call("moon"), "tool.unknown"),
        (call("weather", "nonsense"), "tool.arguments"),
        (call("weather", '"' + "x" * 20_000 + '"'), "tool.arguments"),
        (ToolCall("\u2603 two\nlines", "weather" * 40, "{}"), "tool.unknown"),
    ],
)
async def test_a_call_that_fails_is_told_to_the_model_which_goes_on(wish: ToolCall, code: str) -> None:
    model = Author([wish, CALLED], ["Then not.", DONE])
    events = await events_of(model, registered("weather"), functions=tool_registry(**BOTH))
    assert [event.data["code"] for event in of_type(events, "tool.failed")] == [code]
    assert model.asked[1].messages[-1].content.startswith("error: ")
    assert (text_of(events), events[-1].type) == ("Then not.", "turn.completed")


async def test_a_server_that_calls_although_it_may_not_is_not_obeyed() -> None:
    stubborn = Author(*[[call("weather", KIEL, id=f"c{n}"), CALLED] for n in range(9)])
    events = await events_of(stubborn, registered("weather"), functions=tool_registry(**BOTH))
    assert len(of_type(events, "tool.completed")) == 2
    assert stubborn.asked[-1].functions == ()
    assert events[-1].type == "turn.completed"


async def test_a_choice_of_none_is_kept_to() -> None:
    settings = registered("weather")
    never = settings.model_copy(update={"tools": settings.tools.model_copy(update={"choice": "none"})})
    events = await events_of(
        Author(["No. ", call("weather", KIEL), CALLED]), never, functions=tool_registry(**BOTH)
    )
    assert not of_type(events, "tool.called")


async def test_the_turn_goes_on_after_any_error_of_a_function() -> None:
    functions = {"shouting": RegisteredFunction(entry_point=f"{HERE}:shouting")}
    model = Author([call("shouting"), CALLED], ["Then not.", DONE])
    events = await events_of(model, registered("shouting"), functions=tool_registry(**functions))
    [failed] = of_type(events, "tool.failed")
    assert len(failed.data["message"]) == 2_000
    assert (text_of(events), events[-1].type) == ("Then not.", "turn.completed")


async def test_halves_of_characters_that_a_model_writes_are_no_trouble() -> None:
    model = Author([call("weather", '{"city": "\ud83d"}'), CALLED], ["Fine.", DONE])
    events = await events_of(model, registered("weather"), functions=tool_registry(**BOTH))
    assert of_type(events, "tool.called")[0].data["arguments"] == '{"city": "\ufffd"}'
    assert events[-1].type == "turn.completed"


async def test_calls_beyond_the_limit_are_not_made() -> None:
    wishes = [call("weather", KIEL, id=f"c{n}") for n in range(20)]
    events = await events_of(
        Author([*wishes, CALLED], ["Ok.", DONE]), registered("weather"), functions=tool_registry(**BOTH)
    )
    assert len(of_type(events, "tool.completed")) == 16
    assert {event.data["code"] for event in of_type(events, "tool.failed")} == {"tool.too_many"}


async def test_ids_that_the_model_uses_twice_are_told_apart() -> None:
    wishes = [call("weather", KIEL, id="same"), call("weather", KIEL, id="same")]
    events = await events_of(
        Author([*wishes, CALLED], ["Ok.", DONE]), registered("weather"), functions=tool_registry(**BOTH)
    )
    assert [event.data["call"] for event in of_type(events, "tool.called")] == ["same", "call_0_1"]


async def test_a_word_is_said_and_not_shown_while_a_call_takes_long() -> None:
    functions = {"slow": RegisteredFunction(entry_point=f"{HERE}:never", timeout_s=0.1)}
    model = Author(["Let me look. ", call("slow"), CALLED], ["There is nothing to be seen.", DONE])
    settings = registered("slow").model_copy(update={"speak": True})
    voice = Voice()
    events = await events_of(model, settings, functions=tool_registry(0, **functions), voice=voice)
    ready = [(f.data["spoken"], f.data["start"], f.data["end"]) for f in of_type(events, "sentence.ready")]
    assert ready == [
        ("Let me look.", 0, 13),
        ("One moment, please.", 13, 13),
        ("There is nothing to be seen.", 13, 41),
    ]
    assert voice.begun == [spoken for spoken, _, _ in ready]
    assert text_of(events) == "Let me look. There is nothing to be seen."
    assert len(of_type(events, "sentence.completed")) == 3


async def test_an_answer_does_not_wait_for_an_asynchronous_function() -> None:
    model = Author([call("weather", KIEL), call("slow"), CALLED], ["Seven, and the rest comes later.", DONE])
    events = await events_of(model, registered("weather", "slow"), functions=tool_registry(**SLOW))
    assert [event.data["call"] for event in of_type(events, "tool.started")] == ["call_slow"]
    assert [event.data["call"] for event in of_type(events, "tool.completed")] == ["call_weather"]
    assert [message.content for message in model.asked[1].messages if message.call == "call_slow"] == [
        STARTED
    ]
    assert events[-1].type == "turn.completed"


async def test_asynchronous_functions_of_one_principal_are_bounded_until_they_return() -> None:
    allowance = Allowance(MemoryMeter(lambda: 0), LimitSettings())
    for _ in range(31):
        await allowance.called("ann")
    slow = tool_registry(charge=allowance.called, **SLOW)
    model = Author([call("slow", id="one"), call("slow", id="more"), CALLED], ["Later.", DONE])
    events = await events_of(model, registered("slow"), functions=slow, principal="ann", by="ann")
    assert [event.data["call"] for event in of_type(events, "tool.started")] == ["one"]
    [refused] = of_type(events, "tool.failed")
    assert (refused.data["call"], refused.data["code"]) == ("more", "tool.too_many")
    assert "32 asynchronous functions" in model.asked[1].messages[-1].content
    assert events[-1].type == "turn.completed"
    await allowance.called("bob")
    await allowance.told("ann", "ann", 1, 1)
    await allowance.called("ann")


async def test_a_turn_that_tells_a_result_waits_for_all_functions() -> None:
    """Else turns could ask for turns for ever."""
    slow = {"slow": RegisteredFunction(entry_point=f"{HERE}:tides", asynchronous=True)}
    model = Author([call("slow", '{"harbour": "Husum"}'), CALLED], ["High at four.", DONE])
    events = await events_of(model, registered("slow"), functions=tool_registry(**slow), result_of=1)
    assert not of_type(events, "tool.started")
    assert of_type(events, "tool.completed")[0].data["output"] == "Husum: 04:12 and 16:40"


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_a_turn_with_calls_goes_on_after_any_event_of_an_owner_that_died(asynchronous: bool) -> None:
    def author() -> Author:
        return Author(["Let me see. ", call("weather", KIEL), CALLED], ["Seven degrees.", DONE])

    both = BOTH | {"weather": BOTH["weather"].model_copy(update={"asynchronous": asynchronous})}
    over = "tool.started" if asynchronous else "tool.completed"
    settings = registered("weather").model_copy(update={"speak": True})
    whole = await events_of(author(), settings, functions=tool_registry(**both))
    for cut in range(1, len(whole)):
        log, session = MemoryEventLog(), new_session_id()
        async with Recorder(log) as recorder:
            await recorder.post(
                session,
                SessionStarted(settings=settings),
                TurnRequested(kind="prompt", text="How warm?", settings=settings),
                mode="create",
            )
            old = recorder.open(session, producer="gone", epoch=1)
            for event in whole[:cut]:
                audio = b"\x00\x01x" if event.type == "audio.chunk" else b""
                await old.commit(event.event(), turn=event.turn, audio=audio)
            models = Engines(author(), Voice(), None, tool_registry(**both))
            async with owning(log, recorder, models, "next") as owners:
                owners.wake(session, Seq(TURN))
                await until_over(log, session, "turn.completed")
        events = await log.read(session, Seq(2), limit=5_000)
        assert text_of(events) == "Let me see. Seven degrees.", cut
        assert len(of_type(events, "tool.called")) == 1, cut
        assert [event.type for event in of_type(events, "tool.started", "tool.completed")] == [over], cut
        assert [event.type for event in events if event.type == "turn.completed"] == ["turn.completed"]
        spoken = [event.data["spoken"] for event in of_type(events, "sentence.ready")]
        assert spoken == ["Let me see.", "Seven degrees."], cut


@pytest.mark.parametrize(
    ("owner", "by", "asked"), [("anna", "", "anna"), ("anna", "bob", "bob"), ("", "somebody", "")]
)
async def test_a_function_learns_who_has_asked(owner: str, by: str, asked: str) -> None:
    """A guest of a thread, or its owner; on an open server nobody vouches for a name."""
    told: list[ToolCallContext] = []

    class Listening(type(tool_registry())):  # type: ignore[misc]
        async def call(self, name: str, call: str, arguments: str, about: ToolCallContext) -> ToolResult:
            told.append(about)
            return ToolResult("7", cut=False)

    model = Author([call("weather", KIEL), CALLED], ["Seven.", DONE])
    functions = Listening(tool_registry(**BOTH).settings)
    await events_of(model, registered("weather"), functions=functions, principal=owner, by=by)
    assert [about.principal for about in told] == [pseudonym(asked)]
