"""Functions of the client: called by the model, answered by the client, gone on with."""

import json

import pytest

from tests.deployments.realtime.conftest import ANSWER
from tests.deployments.realtime.realtime_client import Client, Event, client
from tests.deployments.realtime.realtime_sound import silence, speech
from tests.support.running_app import RunningApp

pytestmark = pytest.mark.anyio
WEATHER = {
    "type": "function",
    "name": "weather",
    "description": "How the weather is in a city.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}


async def told(caller: Client, call: str, output: str) -> Event:
    item = {"type": "function_call_output", "call_id": call, "output": output}
    answer: Event = await caller.answered(
        "conversation.item.create", item=item, answer="conversation.item.done"
    )
    return answer


async def test_the_model_calls_and_goes_on_with_the_result(app: RunningApp) -> None:
    async with client(app) as caller:
        await caller.update(tools=[WEATHER], output_modalities=["text"])
        await caller.say("How is the weather?")
        since = len(caller.events)
        done = await caller.respond()
        kinds = caller.types[since:]
        assert kinds == [
            "response.created",
            "response.output_item.added",
            "conversation.item.added",
            "response.function_call_arguments.delta",
            "response.function_call_arguments.done",
            "conversation.item.done",
            "response.output_item.done",
            "response.done",
        ]
        [call] = done["response"]["output"]
        assert (call["type"], call["name"], call["status"]) == ("function_call", "weather", "completed")
        assert json.loads(call["arguments"]) == {"city": "Kiel"}
        result = await told(caller, call["call_id"], "\x1b[34mIt rains.\x1b[0m")  # a terminal's colours
        assert result["item"]["output"] == " [34mIt rains. [0m"
        assert result["previous_item_id"] == call["id"]
        answered = await caller.respond()
    assert answered["response"]["output"][0]["content"][0]["text"] == ANSWER


async def test_the_conversation_goes_on_until_the_client_has_the_result(app: RunningApp) -> None:
    async with client(app) as caller:
        await caller.update(tools=[WEATHER], output_modalities=["text"])
        await caller.say("How is the weather?")
        [call] = (await caller.respond())["response"]["output"]
        await caller.say("An echo meanwhile, please.")
        meanwhile = await caller.respond()
        assert meanwhile["response"]["output"][0]["content"][0]["text"] == "You said so."
        result = await told(caller, call["call_id"], "It rains.")
        assert result["item"]["output"] == "It rains."
        answered = await caller.respond()
    assert answered["response"]["status"] == "completed"
    assert answered["response"]["output"][0]["type"] == "message"


async def test_a_spoken_question_may_lead_to_a_call(app: RunningApp) -> None:
    async with client(app) as caller:
        await caller.update(
            tools=[WEATHER],
            tool_choice={"type": "function", "name": "weather"},
            instructions="Answer in one sentence.",
        )
        await caller.say("How is the weather?")
        await caller.speak(silence(300) + speech() + silence(1_500))
        done = await caller.event("response.done")
        assert done["response"]["status"] == "completed"


async def test_a_result_without_a_call_is_refused(app: RunningApp) -> None:
    async with client(app) as caller:
        refused = await told(caller, "call_unknown", "It rains.")
        assert refused["error"]["param"] == "item.call_id"


async def test_calls_that_clients_write_themselves_may_be_answered(app: RunningApp) -> None:
    async with client(app) as caller:
        item = {"type": "function_call", "name": "weather", "arguments": "{}", "call_id": "call_mine"}
        await caller.answered("conversation.item.create", item=item, answer="conversation.item.done")
        result = await told(caller, "call_mine", "It rains.")
        assert result["item"]["output"] == "It rains."
        await caller.say("And now?")
        assert (await caller.respond())["response"]["status"] == "completed"
