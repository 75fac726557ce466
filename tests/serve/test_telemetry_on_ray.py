"""On Ray: one trace across the processes of a turn, and log lines that say where and not what."""

import json
from pathlib import Path

import httpx
import pytest

from cluster.terminal.run_state import RunState
from pipeline.observability import span_names
from tests.serve.conftest import STORY
from tests.support.clients.native_client import ask, create, listen_until_over
from tests.support.eventually import eventually
from tests.support.servers.trace_collector import Collector, Span, tree

pytestmark = [pytest.mark.anyio, pytest.mark.serve, pytest.mark.timeout(3_000)]
MARKED = "Xylophonist"


async def story_told(url: str) -> tuple[str, int]:
    """The session and the turn in which it was asked for, with a word that is nowhere else."""
    async with httpx.AsyncClient(base_url=url, timeout=60) as http:
        session = await create(http)
        turn = await ask(http, session, prompt=f"{MARKED}, tell me a story")
    await listen_until_over(url.replace("http", "ws", 1), session, turn)
    return session, turn


async def test_the_replicas_spans_are_children_of_their_callers(url: str, collecting: Collector) -> None:
    session, turn = await story_told(url)

    def spans() -> list[Span]:
        return collecting.of(session, turn)

    def all_there() -> bool:
        found = [span.name for span in spans()]
        return (
            "turn" in found
            and "replica chat" in found
            and found.count("synthesize") == found.count("replica synthesize")
        )

    await eventually(all_there)
    assert tree(spans()) == {
        ("", "turn"),
        ("turn", "chat"),
        ("turn", "synthesize"),
        ("chat", "replica chat"),
        ("synthesize", "replica synthesize"),
    }
    parts = {span.name: span.by["rhapsode.part"] for span in spans()}
    assert (parts["turn"], parts["replica chat"], parts["replica synthesize"]) == (
        "Gateway",
        "LanguageModel",
        "TextToSpeech",
    )
    [chat], [served] = collecting.named("chat", spans()), collecting.named("replica chat", spans())
    assert served.told[span_names.QUEUED_MS] >= 0
    assert chat.start_ns <= served.start_ns <= served.end_ns <= chat.end_ns
    assert len({span.by["service.instance.id"] for span in spans()}) == 3


async def test_no_file_of_rays_repeats_what_was_said(url: str, running: RunState) -> None:
    await story_told(url)
    written = 0
    for file in (Path(running.ray_folder) / "session_latest" / "logs").rglob("*"):
        if file.is_file():
            text = file.read_text(errors="replace")
            assert MARKED not in text, file
            assert STORY[:30] not in text, file
            for line in text.splitlines():
                if line.startswith('{"time": '):
                    written += 1
                    assert json.loads(line)["replica"]
    assert written, "no line of ours was found"
