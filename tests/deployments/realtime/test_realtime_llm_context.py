"""The model's context is exactly the conversation that its clients have made."""

from collections.abc import Iterator
from typing import Any

import anyio
import httpx
import pytest

from deployments.faces.realtime import realtime_commands
from tests.deployments.realtime.realtime_client import Client, client
from tests.deployments.realtime.realtime_sound import silence, speech
from tests.support.clients.native_client import ask
from tests.support.running_app import RunningApp, running_app, scripted_settings
from tests.support.servers.chat_server import ANSWER, FakeChatServer

pytestmark = pytest.mark.anyio
HEARD = "Please tell me a story."
Message = dict[str, Any]


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory, running_elsewhere: FakeChatServer) -> Iterator[RunningApp]:
    """It asks a server elsewhere, which remembers what it was told."""
    settings = scripted_settings(
        tmp_path_factory.mktemp("told"),
        language_model={"providers": {"elsewhere": running_elsewhere.given()}},
        session={"llm_provider": "elsewhere"},
        stt={"texts": [HEARD]},
    )
    with running_app(settings) as running:
        yield running


def told(remote: FakeChatServer) -> list[tuple[str, str]]:
    """Of the latest question."""
    messages: list[Message] = remote.requests[-1]["messages"]
    return [(message["role"], message.get("content") or "") for message in messages]


async def put(caller: Client, role: str, text: str, **more: Any) -> str:
    kind = "output_text" if role == "assistant" else "input_text"
    item = {"type": "message", "role": role, "content": [{"type": kind, "text": text}]}
    done = await caller.answered(
        "conversation.item.create", item=item, answer="conversation.item.done", **more
    )
    name: str = done["item"]["id"]
    return name


async def test_the_items_of_a_conversation_have_a_size_and_deleting_some_makes_room(
    app: RunningApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(realtime_commands, "_CHARS", 1_000)
    async with client(app) as caller:
        first = await put(caller, "user", "x" * 600)
        content = [{"type": "input_text", "text": "y" * 500}]
        item = {"type": "message", "role": "user", "content": content}
        refused = await caller.answered(
            "conversation.item.create", item=item, answer="conversation.item.done"
        )
        assert refused["type"] == "error"
        assert refused["error"]["param"] == "item"
        await caller.answered("conversation.item.delete", item_id=first, answer="conversation.item.deleted")
        assert await put(caller, "user", "y" * 500)


async def test_items_are_told_in_their_order_and_deleted_ones_are_not(
    app: RunningApp, elsewhere: FakeChatServer
) -> None:
    async with client(app) as caller:
        await caller.update(output_modalities=["text"], instructions="Be brief.")
        first = await put(caller, "user", "I am Anna.")
        await put(caller, "assistant", "Good evening, Anna.")
        gone = await put(caller, "user", "My number is 1234.")
        await put(caller, "system", "She is a guest.", previous_item_id="root")
        await put(caller, "user", "I like foxes.", previous_item_id=first)
        await caller.answered("conversation.item.delete", item_id=gone, answer="conversation.item.deleted")
        await put(caller, "user", "Who comes by?")
        await caller.respond()
    assert told(elsewhere) == [
        ("system", "Be brief."),
        ("system", "She is a guest."),
        ("user", "I am Anna."),
        ("user", "I like foxes."),
        ("assistant", "Good evening, Anna."),
        ("user", "Who comes by?"),
    ]


async def test_a_turn_that_another_has_replaced_is_not_told(
    app: RunningApp, elsewhere: FakeChatServer
) -> None:
    async with client(app) as caller, httpx.AsyncClient(base_url=app.url, timeout=30) as http:
        session = caller.session["id"].removeprefix("sess_")
        first = await ask(http, session, prompt="Who comes by?")
        await caller.event("response.done")
        await ask(http, session, prompt="Who else comes by?", replaces=first)
        await caller.event("response.done", count=2)
        await caller.say("What colour?")
        await caller.respond()
    questions = [text for role, text in told(elsewhere) if role == "user"]
    assert questions == ["Who else comes by?", "What colour?"]
    assert len(told(elsewhere)) == 4


async def test_an_answer_that_was_truncated_is_told_as_far_as_it_was_heard(
    app: RunningApp, elsewhere: FakeChatServer
) -> None:
    async with client(app) as caller:
        await caller.say("Who comes by?")
        done = await caller.respond()
        item = done["response"]["output"][0]["id"]
        heard_ms = len(caller.sound()) // 48
        await caller.answered(
            "conversation.item.truncate",
            item_id=item,
            content_index=0,
            audio_end_ms=heard_ms // 2,
            answer="conversation.item.truncated",
        )
        await caller.say("What colour?")
        await caller.respond()
        _, _, (role, answer), _ = told(elsewhere)
        assert role == "assistant"
        assert answer.endswith(" —")
        assert ANSWER.startswith(answer.removesuffix(" —"))
        too_long = await caller.answered(
            "conversation.item.truncate",
            item_id=item,
            content_index=0,
            audio_end_ms=heard_ms + 1,
            answer="conversation.item.truncated",
        )
    assert "already shorter" in too_long["error"]["message"]


async def test_a_spoken_question_knows_what_was_written_before_and_is_told_once(
    app: RunningApp, elsewhere: FakeChatServer
) -> None:
    async with client(app) as caller:
        await caller.update(instructions="Be brief.")
        await put(caller, "user", "I am Anna.")
        await put(caller, "assistant", "Good evening, Anna.")
        await caller.speak(silence(300) + speech() + silence(1_500))
        await caller.event("response.done")
        assert told(elsewhere) == [
            ("system", "Be brief."),
            ("user", "I am Anna."),
            ("assistant", "Good evening, Anna."),
            ("user", HEARD),
        ]
        await caller.say("And then?")
        await caller.respond()
    assert told(elsewhere)[3:] == [("user", HEARD), ("assistant", ANSWER), ("user", "And then?")]


async def test_calls_are_told_with_their_results_and_not_before(
    app: RunningApp, elsewhere: FakeChatServer
) -> None:
    async with client(app) as caller:
        await caller.say("How is the weather?")
        call = {"type": "function_call", "name": "weather", "arguments": "{}", "call_id": "call_1"}
        await caller.answered("conversation.item.create", item=call, answer="conversation.item.done")
        await caller.respond()
        assert "tool_calls" not in str(elsewhere.requests[-1]["messages"])
        output = {"type": "function_call_output", "call_id": "call_1", "output": "It rains."}
        await caller.answered("conversation.item.create", item=output, answer="conversation.item.done")
        await caller.respond()
    messages: list[Message] = elsewhere.requests[-1]["messages"]
    asked = next(place for place, message in enumerate(messages) if message.get("tool_calls"))
    assert messages[asked]["tool_calls"][0]["id"] == "call_1"
    assert (messages[asked + 1]["role"], messages[asked + 1]["content"]) == ("tool", "It rains.")


async def test_a_response_beside_the_conversation_knows_its_own_input_only(
    app: RunningApp, elsewhere: FakeChatServer
) -> None:
    async with client(app) as caller:
        asked = await put(caller, "user", "I am Anna.")
        beside = {
            "type": "message",
            "role": "user",
            "content": [{"type": "input_text", "text": "Find a title."}],
        }
        done = await caller.respond(
            conversation="none",
            input=[{"type": "item_reference", "id": asked}, beside],
            instructions="One word.",
            metadata={"topic": "title"},
            output_modalities=["text"],
        )
        assert told(elsewhere) == [
            ("system", "One word."),
            ("user", "I am Anna."),
            ("user", "Find a title."),
        ]
        response = done["response"]
        assert (response["conversation_id"], response["metadata"]) == (None, {"topic": "title"})
        assert response["output"][0]["content"] == [{"type": "output_text", "text": ANSWER}]
        assert len(caller.told("conversation.item.added")) == 1
        await caller.say("Who comes by?")
        await caller.respond()
    assert [text for role, text in told(elsewhere) if role != "system"] == ["I am Anna.", "Who comes by?"]


async def test_sessions_know_nothing_of_each_other(app: RunningApp, elsewhere: FakeChatServer) -> None:
    names = [f"secret number {number}" for number in range(6)]

    async def converse(name: str) -> None:
        async with client(app) as caller:
            await caller.update(instructions=f"You keep the {name}.", output_modalities=["text"])
            for question in range(3):
                await caller.say(f"{name}, question {question}")
                await caller.respond()
            everything = str(caller.events)
            assert name in everything
            assert not any(other in everything for other in names if other != name)

    async with anyio.create_task_group() as callers:
        for name in names:
            callers.start_soon(converse, name)
    for request in elsewhere.requests:
        assert sum(name in str(request) for name in names) == 1
