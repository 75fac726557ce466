"""A caller's `traceparent` is continued: its trace has our turn, over HTTP and over WebSockets."""

import json

import httpx
import pytest
from websockets.asyncio.client import connect

from pipeline.observability import span_names, tracer
from pipeline.observability.tracer import CALLER, TurnTrace, called_with
from tests.support.clients.native_client import create, listen_until_over
from tests.support.eventually import eventually
from tests.support.running_app import RunningApp
from tests.support.servers.trace_collector import Collector, Span, tree

pytestmark = pytest.mark.anyio
SPAN = 0xB7AD6B7169203331


def header(trace: int, flags: str = "01") -> dict[str, str]:
    return {"traceparent": f"00-{trace:032x}-{SPAN:016x}-{flags}"}


async def in_trace(collecting: Collector, trace: int) -> list[Span]:
    """All of a trace that a turn has come to its end in."""

    def found() -> list[Span]:
        return [span for span in collecting.spans if span.trace == trace]

    await eventually(lambda: collecting.named("turn", found()))
    return found()


async def test_a_turn_asked_for_over_http_is_in_its_callers_trace(
    app: RunningApp, http: httpx.AsyncClient, collecting: Collector
) -> None:
    session, trace = await create(http), 0x0AF7651916CD43DD8448EB211C80319C
    path = f"/v1/sessions/{session}/turns"
    turn = (await http.post(path, json={"prompt": "A story"}, headers=header(trace))).json()["turn"]
    heard = await listen_until_over(app.ws_url, session, turn)
    spans = await in_trace(collecting, trace)
    assert tree(spans) == {("", "turn"), ("turn", "chat"), ("turn", "synthesize")}
    [root] = collecting.named("turn", spans)
    assert (root.parent, root.id) == (SPAN, tracer.turn_span_id(session, turn))
    assert heard.of("turn.requested")[0]["data"]["traceparent"] == header(trace)["traceparent"]
    assert not collecting.of(session, turn)
    [chat] = collecting.named("chat", spans)
    assert (chat.told[span_names.REQUEST_MODEL], chat.told[span_names.RESPONSE_MODEL]) == (
        "scripted",
        "scripted",
    )
    await eventually(
        lambda: (trace, root.id) in [link[:2] for one in collecting.named("listen") for link in one.links]
    )


async def test_openais_route_continues_it_as_well(http: httpx.AsyncClient, collecting: Collector) -> None:
    trace = 0x1AF7651916CD43DD8448EB211C80319C
    body = {"model": "scripted", "messages": [{"role": "user", "content": "Hello"}]}
    answer = await http.post("/v1/chat/completions", json=body, headers=header(trace))
    assert answer.status_code == 200, answer.text
    [root] = collecting.named("turn", await in_trace(collecting, trace))
    assert root.parent == SPAN


async def test_a_question_over_a_websocket_is_in_the_trace_of_its_handshake(
    app: RunningApp, collecting: Collector
) -> None:
    trace = 0x2AF7651916CD43DD8448EB211C80319C
    address = f"{app.ws_url}/v1/realtime?model=gpt-realtime"
    said = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hello"}]}
    async with connect(address, additional_headers=header(trace), proxy=None) as socket:
        for event in ({"type": "conversation.item.create", "item": said}, {"type": "response.create"}):
            await socket.send(json.dumps(event))
        async for message in socket:
            if json.loads(message)["type"] == "response.done":
                break
    [root] = collecting.named("turn", await in_trace(collecting, trace))
    assert root.parent == SPAN


@pytest.mark.parametrize(
    "given",
    [
        "",
        "nonsense",
        f"00-{0:032x}-{SPAN:016x}-01",
        f"00-{5:032x}-{0:016x}-01",
        f"ff-{5:032x}-{SPAN:016x}-01",
        f"00-{5:032x}-{SPAN:016x}-01" + "-x" * 5_000,
    ],
)
async def test_a_malformed_traceparent_is_not_kept(http: httpx.AsyncClient, given: str) -> None:
    session = await create(http)
    path = f"/v1/sessions/{session}/turns"
    answer = await http.post(path, json={"text": "Hello."}, headers={"traceparent": given})
    assert answer.status_code == 202
    with called_with(given):
        assert CALLER.get() == ""


def test_later_versions_and_other_flags_are_kept_in_our_form() -> None:
    with called_with(f"01-{5:032x}-{SPAN:016x}-03-later"):
        assert CALLER.get() == f"00-{5:032x}-{SPAN:016x}-01"
    assert CALLER.get() == ""


class _Never:
    def samples(self, trace: int) -> bool:
        return False


def test_a_caller_who_records_is_followed_and_one_who_does_not_leaves_it_to_the_ratio() -> None:
    recorded = [
        TurnTrace.of("a", 1, header(7, flags)["traceparent"]).is_recorded(_Never())  # type: ignore[arg-type]
        for flags in ("01", "00")
    ]
    assert recorded == [True, False]


def test_an_owner_that_goes_on_with_the_turn_stays_in_the_callers_trace() -> None:
    trace = TurnTrace.of("a", 1, header(7)["traceparent"])
    assert (trace.span(3).trace_id, trace.span(3).span_id) == (7, tracer.turn_span_id("a", 1, 3))
    assert trace.link("takeover").context == trace.span()
    assert trace.trace_context().trace == 7
    assert TurnTrace.of("a", 1).span().trace_id == tracer.trace_id("a", 1)
