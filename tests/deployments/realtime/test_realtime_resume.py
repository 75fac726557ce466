"""Coming back: nothing is lost and nothing doubled, wherever the connection was cut; two hear the same."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.deployments.realtime.conftest import ANSWER, SLOWLY
from tests.deployments.realtime.realtime_client import Client, Event, client, plain
from tests.deployments.realtime.realtime_sound import silence, speech
from tests.support.eventually import eventually
from tests.support.gateway_processes import Gateways
from tests.support.running_app import RunningApp, scripted_settings

pytestmark = pytest.mark.anyio


async def a_conversation(caller: Client) -> None:
    """Configured, spoken to, written to, interrupted and tidied up."""
    await caller.update(audio={"input": {"transcription": {}}})
    await caller.speak(silence(300) + speech() + silence(1_500))
    await caller.event("response.done")
    asked = await caller.say("slowly")
    await caller.send("response.create")
    await caller.event("response.output_audio.delta", count=2)
    await caller.send("response.cancel")
    await caller.event("response.done", count=2)
    await caller.answered(
        "conversation.item.delete", item_id=asked["item"]["id"], answer="conversation.item.deleted"
    )


async def the_rest(app: RunningApp, session: str, after: int, last: Event) -> list[Event]:
    async with client(app, session_id=session, starting_after=after) as again:
        await again.until(lambda event: event["event_id"] == last["event_id"])
        return plain(again.events)


async def test_a_client_that_comes_back_after_any_event_hears_exactly_the_rest(app: RunningApp) -> None:
    async with client(app) as caller:
        await a_conversation(caller)
        session, whole = caller.session["id"], plain(caller.events)
    numbers = [event["sequence_number"] for event in whole]
    assert numbers == sorted(set(numbers))
    for place in range(0, len(whole) - 1, 7):
        assert await the_rest(app, session, numbers[place], whole[-1]) == whole[place + 1 :]


async def test_a_connection_that_breaks_again_and_again_loses_and_doubles_nothing(app: RunningApp) -> None:
    async with client(app) as caller:
        session, after = caller.session["id"], caller.events[0]["sequence_number"]
        await caller.say("slowly")
        await caller.send("response.create")
        await caller.event("response.created")
    heard: list[Event] = []
    while not heard or heard[-1]["type"] != "response.done":
        async with client(app, session_id=session, starting_after=after) as again:
            await again.until(lambda _, again=again: len(plain(again.events)) >= 25 or _over(again))
            again.cut()
            heard += plain(again.events)
            after = heard[-1]["sequence_number"]
    async with client(app, session_id=session, starting_after=0) as afterwards:
        await afterwards.event("response.done")
        assert plain(afterwards.events) == heard
        assert afterwards.said() == SLOWLY


def _over(caller: Client) -> bool:
    return "response.done" in caller.types


async def test_two_connections_of_a_session_hear_the_same(app: RunningApp) -> None:
    async with client(app) as one, client(app, session_id=one.session["id"]) as two:
        await two.say("Who comes by?")
        await one.respond()
        await two.event("response.done")
        assert plain(one.events) == plain(two.events)
        assert two.said() == ANSWER


async def test_g711_goes_on_inside_a_sentence_as_if_nothing_had_been(app: RunningApp) -> None:
    async with client(app) as caller:
        await caller.update(audio={"output": {"format": {"type": "audio/pcmu"}}})
        await caller.say("Who comes by?")
        await caller.respond()
        session, whole = caller.session["id"], plain(caller.events)
    sounds = [place for place, event in enumerate(whole) if event["type"] == "response.output_audio.delta"]
    for place in sounds[:4]:
        rest = await the_rest(app, session, whole[place]["sequence_number"], whole[-1])
        assert rest == whole[place + 1 :]


async def test_an_ordinary_session_is_heard_and_spoken_to_as_well(app: RunningApp) -> None:
    async with httpx.AsyncClient(base_url=app.url, timeout=30) as http:
        session = (await http.post("/v1/sessions", json={})).json()["session_id"]
        async with client(app, session_id=session) as caller:
            await http.post(f"/v1/sessions/{session}/turns", json={"prompt": "Who comes by?"})
            done = await caller.event("response.done")
            assert done["response"]["status"] == "completed"
            assert caller.told("conversation.item.added")[0]["item"]["content"][0]["text"] == "Who comes by?"
            assert caller.said() == ANSWER


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"session_id": "sess_x"}, "session.not_found"),
        ({"starting_after": 7}, "invalid_value"),
        ({"session_id": "{known}", "starting_after": 10**9}, "invalid_value"),
        ({"session_id": "{known}", "starting_after": "x"}, "invalid_value"),
        ({"session_id": "{known}", "starting_after": -1}, "invalid_value"),
        ({"call_id": "rtc_1"}, "session.not_found"),
    ],
)
async def test_a_wrong_wish_is_refused_with_a_reason(
    app: RunningApp, query: dict[str, Any], code: str
) -> None:
    async with client(app) as known:
        wish = {
            name: value.format(known=known.session["id"]) if isinstance(value, str) else value
            for name, value in query.items()
        }
        async with client(app, **wish) as caller:
            assert caller.events[0]["type"] == "error"
            assert caller.events[0]["error"]["code"] == code
            assert await caller.dismissed() in (4400, 4404)


async def answering(*apps: RunningApp) -> None:
    """Return when all of them do: a port may be bound a moment after its process is ready."""
    async with httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(retries=10), timeout=30) as http:
        for app in apps:
            assert (await http.get(f"{app.url}/v1/health")).status_code == 200


async def test_another_replica_goes_on_when_one_is_killed(tmp_path: Path) -> None:
    settings = scripted_settings(
        tmp_path, llm={"reply": SLOWLY, "delta_chars": 6, "per_delta_ms": 40}, limits={"heartbeat_s": 0.2}
    )
    with Gateways(settings) as gateways:
        first, second = gateways.start(2)
        await answering(first, second)
        async with client(first) as caller:
            session = caller.session["id"]
            await caller.say("Tell me")
            await caller.send("response.create")
            await caller.event("response.output_audio.delta", count=3)
            gateways.kill(first)
            await caller.dismissed()
            before = plain(caller.events)
            assert not _over(caller), "the answer was over before its gateway was killed"
        after = before[-1]["sequence_number"]
        async with client(second, session_id=session, starting_after=after) as again:
            done = await again.event("response.done")
            heard = [*before, *plain(again.events)]
        assert done["response"]["status"] == "completed"
        async with client(second, session_id=session, starting_after=0) as afterwards:
            await afterwards.event("response.done")
            assert plain(afterwards.events) == heard
            assert afterwards.said() == SLOWLY


async def test_a_client_that_listens_hears_that_the_session_is_gone(app: RunningApp) -> None:
    async with client(app) as caller, httpx.AsyncClient(base_url=app.url, timeout=30) as http:
        name = caller.session["id"].removeprefix("sess_")
        await http.delete(f"/v1/sessions/{name}")
        assert await caller.dismissed() in (1000, 4410)
        async with client(app, session_id=name) as late:
            assert late.events[0]["error"]["code"] in ("session.gone", "session.not_found")


async def test_a_client_that_leaves_leaves_nothing_behind(app: RunningApp) -> None:
    assert app.services is not None
    audio_inputs = app.services.audio_inputs
    async with client(app) as caller:
        await caller.speak(silence(300) + speech())
        await caller.event("input_audio_buffer.speech_started")
        session = caller.session["id"]
        caller.cut()
    await eventually(lambda: audio_inputs.listening == 0)
    async with client(app, session_id=session, starting_after=0) as again:
        await again.event("input_audio_buffer.committed")
        assert (await again.event("response.done"))["response"]["status"] == "completed"


async def test_a_new_configuration_is_not_for_the_response_that_runs(app: RunningApp) -> None:
    async with client(app) as caller:
        await caller.say("slowly")
        await caller.send("response.create")
        await caller.event("response.output_audio.delta")
        await caller.update(audio={"output": {"format": {"type": "audio/pcmu"}}})
        done = await caller.event("response.done")
    assert done["response"]["audio"]["output"]["format"]["type"] == "audio/pcm"
    later = caller.events[caller.types.index("session.updated") + 1 :]
    lengths = [len(event["delta"]) for event in later if event["type"] == "response.output_audio.delta"]
    assert max(lengths) > 5_000  # of G.711 the largest would have 2,560
