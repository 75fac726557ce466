"""Seed 003 at length: a hundred pages, narrated with bounded memory, cancelled, gone on with after a kill."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from loadtests.servers.fork_server import end, fork
from loadtests.servers.gateway_system import reserve_port
from pipeline.eventlog.redis.embedded import embedded_server
from schemas.settings import AppSettings
from tests.seeds.people import Message, Person, messages, of, until
from tests.support.eventually import eventually
from tests.support.running_app import RunningApp, running_app, scripted_settings

pytestmark = pytest.mark.anyio
SENTENCE = (
    "The keeper climbed the stairs of the lighthouse slowly, and counted every one of them, and lit the lamp "
    "of the tower for the ships that were far out at sea, as on every evening, for the time number {number}. "
)
CHAPTER = "".join(SENTENCE.format(number=number) + "\n\n" * (number % 9 == 8) for number in range(1_480))
GROWTH_MB = 120
"""Of the gateway while it narrates; the text alone is in it a few times, and every word's time once."""


@dataclass
class Gateway:
    """A gateway in a process of its own, which can be killed."""

    app: RunningApp
    file: Path
    process: ForkServerProcess

    @property
    def rss_mb(self) -> int:
        return int(psutil.Process(self.process.pid).memory_info().rss >> 20)

    def kill(self) -> None:
        """And start another one in its place."""
        end(self.process)
        self.process = start(self.file)

    async def ready(self) -> None:
        async def up() -> bool:
            try:
                async with httpx.AsyncClient(base_url=self.app.url, timeout=30) as http:
                    return (await http.get("/v1/health")).is_success
            except httpx.TransportError:
                return False

        await until(up)


def quick(home: Path, **changes: Any) -> AppSettings:
    """Little sound, and many sentences at a time."""
    return scripted_settings(home, tts={"ms_per_char": 0.5}, limits={"sentences_ahead": 8}, **changes)


def start(file: Path) -> ForkServerProcess:
    return fork("loadtests.servers.scripted_gateway", str(file))


@contextmanager
def gateway(home: Path) -> Iterator[Gateway]:
    with reserve_port() as reserved:
        port = reserved.getsockname()[1]
        settings = quick(home, gateway={"direct_port": port})
        file = home / "settings.json"
        file.write_text(settings.model_dump_json())
        running = Gateway(RunningApp(f"http://127.0.0.1:{port}", settings), file, start(file))
        try:
            yield running
        finally:
            end(running.process)
            embedded_server.stop(home)


async def begun(person: Person) -> Message:
    await person.prefer(min_sentence_length=280)  # about a thousand chunks
    answer = await person.http.post("/api/tts/generate", json={"text": CHAPTER, "title": "Chapter One"})
    assert answer.status_code == 202, answer.text
    return dict(answer.json())


@pytest.mark.long
async def test_a_chapter_of_a_hundred_pages_survives_its_gateway_to_the_end(tmp_path: Path) -> None:
    assert 295_000 < len(CHAPTER) < 310_000
    with gateway(tmp_path) as running:
        await running.ready()
        async with Person.of(running.app, "", "") as person:
            answer = await begun(person)
            path = f"/ws/tts/{answer['session_id']}"
            got = await messages(person, path, until=lambda part: len(of(part, "chunk_ready")) == 100)
            running.kill()
            await running.ready()
            before = running.rss_mb
            after = of(got, "chunk_ready")[-1]["chunk_number"]
            got += await messages(person, f"{path}?after={after}")
            grown = running.rss_mb - before
    chunks = of(got, "chunk_ready")
    assert [chunk["chunk_number"] for chunk in chunks] == list(range(len(chunks)))
    assert " ".join(chunk["text"] for chunk in chunks) == CHAPTER.replace("\n\n", "").strip()
    assert (got[-1]["type"], got[-1]["total_chunks"]) == ("complete", len(chunks))
    assert answer["total_chunks"] > 500
    assert chunks[200]["total_chunks"] == pytest.approx(len(chunks), rel=0.02)
    assert grown < GROWTH_MB


async def test_a_chapter_can_be_cancelled_in_the_middle(tmp_path: Path) -> None:
    with running_app(quick(tmp_path)) as app:
        async with Person.of(app, "", "") as person:
            session = (await begun(person))["session_id"]
            await messages(
                person, f"/ws/tts/{session}", until=lambda part: len(of(part, "chunk_ready")) == 20
            )
            assert (await person.http.delete(f"/api/tts/generate/{session}")).status_code == 202
            end = (await messages(person, f"/ws/tts/{session}?after=100000"))[-1]
            made = end["total_chunks"]
            assert (end["type"], end["stopped"]) == ("complete", True)
            assert 20 <= made < 1_000
            last = await person.http.get(f"/api/tts/audio/{session}/chunk/{made - 1}")
            assert last.status_code == 200
            await eventually(lambda: app.engines["text_to_speech"].open_streams == 0)
