"""A collector gets one trace of a turn, its parts in their places, and no word of its text."""

import httpx
import pytest

from pipeline.engines.ports import Completion
from pipeline.observability import span_names, tracer
from pipeline.observability.trace_export import open_tracing
from schemas.settings import SessionSettings
from schemas.settings.telemetry_settings import TracingSettings
from schemas.settings.tool_settings import RegisteredFunction
from schemas.version import BUILD
from tests.support.asked_turns import COLLECTION, Author, Shelf, call, events_of, registered, tool_registry
from tests.support.clients.native_client import ask, create, listen_until_over
from tests.support.eventually import eventually
from tests.support.fixtures.tracing_fixtures import STORY
from tests.support.running_app import RunningApp
from tests.support.servers.trace_collector import Collector, Span, tree

pytestmark = pytest.mark.anyio


async def turn_of(
    app: RunningApp, http: httpx.AsyncClient, found: Collector, prompt: str, **settings: object
) -> tuple[str, int, list[Span]]:
    session = await create(http, settings=settings)
    turn = await ask(http, session, prompt=prompt)
    await listen_until_over(app.ws_url, session, turn)
    return session, turn, await found.trace(session, turn)


async def test_a_turn_is_one_trace_whose_ids_follow_from_it(
    app: RunningApp, http: httpx.AsyncClient, collecting: Collector
) -> None:
    session, turn, spans = await turn_of(app, http, collecting, "A story, please.")
    assert tree(spans) == {("", "turn"), ("turn", "chat"), ("turn", "synthesize")}
    [root] = collecting.named("turn", spans)
    assert root.id == tracer.turn_span_id(session, turn)
    assert root.told[span_names.CONVERSATION] == session
    assert root.told[span_names.TURN_OUTCOME] == "turn.completed"
    assert root.told[span_names.SENTENCES] == len(collecting.named("synthesize", spans))
    assert root.told[span_names.AUDIO_MS] == sum(
        one.told[span_names.AUDIO_MS] for one in collecting.named("synthesize", spans)
    )
    assert {span_names.BEGUN, span_names.FIRST_AUDIO, span_names.RECORDED} <= root.events.keys()
    [chat] = collecting.named("chat", spans)
    assert chat.told[span_names.OPERATION] == "chat"
    assert chat.told[span_names.PROVIDER] == "local"
    assert chat.told[span_names.FINISH_REASONS] == ["stop"]
    assert chat.told[span_names.OUTPUT_TOKENS] == -(-len(STORY) // 6)
    assert 0 < chat.told[span_names.TIME_TO_FIRST_CHUNK] < (chat.end_ns - chat.start_ns) / 1e9
    assert span_names.FIRST_DELTA in chat.events
    assert all(root.start_ns <= span.start_ns <= span.end_ns <= root.end_ns for span in spans)
    assert (
        root.by | {"service.name": "rhapsode", "rhapsode.part": "Gateway", "service.version": BUILD}
        == root.by
    )
    assert "open sesame" in {headers.get("x-key") for headers in collecting.headers}


async def test_functions_are_spans_and_one_that_fails_fails_its_span_only(
    app: RunningApp, http: httpx.AsyncClient, collecting: Collector
) -> None:
    tools = {"registered": ["tides", "broken"]}
    _, _, spans = await turn_of(app, http, collecting, "When is the tide?", tools=tools, speak=False)
    assert tree(spans) == {("", "turn"), ("turn", "chat"), ("turn", "execute_tool tides")}
    [tides] = collecting.named("execute_tool tides", spans)
    assert (tides.told[span_names.OPERATION], tides.told[span_names.TOOL_NAME]) == ("execute_tool", "tides")
    assert tides.error == ""
    first, second = sorted(collecting.named("chat", spans), key=lambda span: span.start_ns)
    assert (first.told[span_names.FINISH_REASONS], second.told[span_names.FINISH_REASONS]) == (
        ["tool_calls"],
        ["stop"],
    )
    assert first.end_ns <= tides.start_ns <= tides.end_ns <= second.start_ns
    _, _, spans = await turn_of(app, http, collecting, "Please mend it.", tools=tools, speak=False)
    [broken] = collecting.named("execute_tool broken", spans)
    assert broken.told[span_names.ERROR_TYPE] == broken.error == "tool.failed"
    [root] = collecting.named("turn", spans)
    assert (root.error, root.told[span_names.TURN_OUTCOME]) == ("", "turn.completed")


async def test_a_failed_step_says_so_by_its_code(
    app: RunningApp, http: httpx.AsyncClient, collecting: Collector
) -> None:
    _, _, spans = await turn_of(app, http, collecting, "Please fail.")
    [root], [chat] = collecting.named("turn", spans), collecting.named("chat", spans)
    assert chat.error == root.error == root.told[span_names.ERROR_TYPE] == "engine.failed"
    assert root.told[span_names.TURN_OUTCOME] == "turn.failed"
    session = await create(http)
    turn = await ask(
        http, session, text="The first sentence is fine. The wolf does not come. Nor does the end."
    )
    await listen_until_over(app.ws_url, session, turn)
    spans = await collecting.trace(session, turn)
    voices = sorted(collecting.named("synthesize", spans), key=lambda span: span.told[span_names.SENTENCE])
    assert [voice.error for voice in voices] == ["", "engine.failed", ""]
    [root] = collecting.named("turn", spans)
    assert (root.error, root.told[span_names.TURN_KIND]) == ("", "text")


async def test_a_client_that_listens_is_linked_to_what_is_heard(
    app: RunningApp, http: httpx.AsyncClient, collecting: Collector
) -> None:
    session, turn, _ = await turn_of(app, http, collecting, "A story, please.")
    await listen_until_over(app.ws_url, session, turn)

    def listeners() -> list[Span]:
        found = collecting.named("listen")
        return [one for one in found if one.told[span_names.CONVERSATION] == session]

    await eventually(lambda: len(listeners()) == 2)
    live, again = sorted(listeners(), key=lambda span: span.start_ns)
    target = (tracer.trace_id(session, turn), tracer.turn_span_id(session, turn))
    for listener in (live, again):
        assert [link[:2] for link in listener.links] == [target]
        assert listener.trace != target[0]
    assert [link[2] for link in again.links] == [{span_names.LINK: "replay"}]


async def test_looking_up_is_a_span_before_the_first_word(collecting: Collector, quickly: None) -> None:
    looking = SessionSettings(collections=(COLLECTION,), speak=False)
    answer = Author(("It was lit in 1854 [1].", Completion("stop", 20, 5)))
    settings = TracingSettings(enabled=True, endpoint=collecting.url)
    async with open_tracing(settings, part="test", instance="found") as tracing:
        await events_of(answer, looking, finder=Shelf("It was lit in 1854."), tracing=tracing)
    async with open_tracing(settings, part="test", instance="failed") as tracing:
        await events_of(answer, looking, tracing=tracing)
    found, failed = (
        [one for one in collecting.spans if one.by["service.instance.id"] == name]
        for name in ("found", "failed")
    )
    assert tree(found) == tree(failed) == {("", "turn"), ("turn", "chat"), ("turn", "retrieve")}
    [looked] = collecting.named("retrieve", found)
    assert (looked.told[span_names.OPERATION], looked.told[span_names.PASSAGES]) == ("retrieval", 1)
    [looked] = collecting.named("retrieve", failed)
    assert looked.error == looked.told[span_names.ERROR_TYPE] == "retrieval.unavailable"


@pytest.mark.parametrize("content", [False, True])
async def test_words_are_told_only_where_the_operator_wants_them(
    collecting: Collector, quickly: None, content: bool
) -> None:
    settings = TracingSettings(enabled=True, endpoint=collecting.url, content=content)
    calling = Author([call("tides", '{"harbour": "Quagga"}')], ("Zebu.", Completion("stop")))
    wish = registered("tides").model_copy(update={"speak": True, "collections": (COLLECTION,)})
    tools = tool_registry(tides=RegisteredFunction(entry_point="tests.support.operator_functions:tides"))
    async with open_tracing(settings, part="test", instance=f"content {content}") as tracing:
        await events_of(calling, wish, functions=tools, finder=Shelf("Okapi."), text="Gnu?", tracing=tracing)
    spans = [one for one in collecting.spans if one.by["service.instance.id"] == f"content {content}"]
    assert {"turn", "retrieve", "chat", "execute_tool tides", "synthesize"} == {one.name for one in spans}
    told = " ".join(f"{value}" for one in spans for value in (*one.told.values(), one.events, one.error))
    words = {"Gnu", "Quagga", "Zebu", "Okapi"}
    assert {word for word in words if word in told} == (words if content else set())
    said = {name for one in spans for name in one.told}
    assert bool(said & span_names.PERSONAL) == content


async def test_half_of_the_turns_are_traced_and_every_process_says_the_same_of_each(
    collecting: Collector, quickly: None
) -> None:
    settings = TracingSettings(enabled=True, endpoint=collecting.url, sample_ratio=0.5)
    author = Author(("Yes.", Completion("stop")))
    async with open_tracing(settings, part="test", instance="half") as tracing:
        for _ in range(12):
            await events_of(author, SessionSettings(speak=False), tracing=tracing)
    half = {one.trace for one in collecting.spans if one.by["service.instance.id"] == "half"}
    assert len(half) < 12
    assert all(tracer.is_sampled(trace, 0.5) for trace in half)
