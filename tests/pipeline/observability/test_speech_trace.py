"""A spoken question: how it became text is a part of its turn, and has a trace of its own before."""

import pytest

from pipeline.observability import span_names, tracer
from tests.support.clients.native_speaker import austen, calling, new_session, silence
from tests.support.eventually import eventually
from tests.support.running_app import RunningApp
from tests.support.servers.trace_collector import Collector, tree

pytestmark = pytest.mark.anyio


async def test_the_way_from_speech_to_text_is_in_the_turns_trace(
    app: RunningApp, collecting: Collector
) -> None:
    session = await new_session(app)
    async with calling(app, session) as caller:
        await caller.open()
        await caller.speak(austen("0880") + silence(1_500))
        asked = await caller.event("turn.requested")
        final = await caller.event("transcript.final")
        await caller.event("turn.completed")
    turn = asked["seq"]
    spans = await collecting.trace(session, turn)
    assert tree(spans) == {("", "turn"), ("turn", "transcribe"), ("turn", "chat"), ("turn", "synthesize")}
    [heard] = collecting.named("transcribe", spans)
    assert heard.parent == tracer.turn_span_id(session, turn)
    assert heard.told[span_names.MODE] == "realtime"
    assert heard.told[span_names.AUDIO_MS] == final["data"]["end_ms"] - final["data"]["start_ms"]
    assert span_names.TRANSCRIPT not in heard.told
    assert (heard.end_ns - heard.start_ns) / 1e6 == pytest.approx(final["data"]["after_ms"], abs=0.1)
    [(trace, span, why)] = heard.links
    await eventually(lambda: any(one.id == span for one in collecting.spans))
    [utterance] = [one for one in collecting.spans if one.id == span]
    assert (utterance.name, utterance.trace, why) == ("utterance", trace, {span_names.LINK: "utterance"})
