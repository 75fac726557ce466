"""A gateway is killed in mid-turn: its follower goes on in the same trace. No process writes a word said."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from pipeline.observability import span_names, tracer
from tests.support.clients.native_client import Heard, ask, create, frames, listen_until_over, open_stream
from tests.support.eventually import eventually
from tests.support.fixtures.tracing_fixtures import traced
from tests.support.gateway_processes import Gateways
from tests.support.running_app import scripted_settings
from tests.support.servers.trace_collector import Collector

pytestmark = pytest.mark.anyio

MARKED = "Xylophonist"
STORY = f"The {MARKED} lit the lamp, and the fox watched the sea until the morning came. " * 5


@pytest.fixture
def two(tmp_path: Path, collecting: Collector, quickly: None) -> Iterator[Gateways]:
    settings = scripted_settings(
        tmp_path,
        llm={"reply": STORY, "delta_chars": 4, "per_delta_ms": 60, "fail_on": "fail"},
        tts={"fail_on": "wolf"},
        stt={"texts": [f"{MARKED} please."]},
        tracing=traced(collecting.url),
        logging={"format": "json", "level": "INFO"},
        tools={"functions": {"broken": {"entry_point": "tests.support.operator_functions:broken"}}},
    )
    with Gateways(settings) as gateways:
        yield gateways


def lines(home: Path) -> list[dict[str, Any]]:
    """Log lines of the gateways, each an object."""
    return [json.loads(line) for line in (home / "gateways.txt").read_text().splitlines()]


async def test_the_follower_goes_on_in_the_same_trace_and_no_process_writes_what_was_said(
    two: Gateways, tmp_path: Path, collecting: Collector
) -> None:
    first, second = two.start(2)
    async with httpx.AsyncClient(base_url=first.url, timeout=60) as http:
        session, heard = await create(http), Heard()
        turn = await ask(http, session, prompt=f"{MARKED}, tell me a story")
    begun = tracer.turn_span_id(session, turn)
    async with open_stream(second.ws_url, session, audio="opus") as socket:
        async for event, sound in frames(socket):
            if "data" in event:
                heard.take(event, sound)
            if event["type"] == "sentence.completed":
                break
    await eventually(lambda: collecting.named("synthesize", collecting.of(session, turn)))
    two.kill(first)  # when it has told of a sentence: what it had not sent yet dies with it
    await listen_until_over(second.ws_url, session, turn, heard, audio="opus")
    assert heard.text(turn) == STORY
    spans = await collecting.trace(session, turn)
    [follower] = collecting.named("turn", spans)  # that of the first never ended
    [resumed] = heard.of("turn.resumed", turn)
    epoch = resumed["data"]["epoch"]
    assert follower.id == tracer.turn_span_id(session, turn, epoch)
    assert follower.told[span_names.RESUMED] is True
    assert follower.told[span_names.EPOCH] == epoch
    assert follower.links == [(tracer.trace_id(session, turn), begun, {span_names.LINK: "takeover"})]
    parents = {span.parent: span.by["service.instance.id"] for span in spans if span.name == "synthesize"}
    assert parents.keys() == {begun, follower.id}
    assert len(set(parents.values())) == 2
    taken = [line for line in lines(tmp_path) if line["message"].endswith("is taken over")]
    assert [line["session"] for line in taken] == [session]
    async with httpx.AsyncClient(base_url=second.url, timeout=60) as http:
        for wish in (
            {"prompt": f"{MARKED}, fail!"},
            {"text": f"A {MARKED} and a wolf. And so on it goes."},
        ):
            turn = await ask(http, session, **wish)
            await listen_until_over(second.ws_url, session, turn, heard)
        for wrong in ({"prompt": [MARKED]}, {"prompt": MARKED, "settings": {"voice": MARKED}}):
            assert (await http.post(f"/v1/sessions/{session}/turns", json=wrong)).status_code == 422
    written = (tmp_path / "gateways.txt").read_text()
    assert MARKED not in written
    for line in lines(tmp_path):
        assert {"time", "level", "logger", "message", "replica"} <= line.keys()
