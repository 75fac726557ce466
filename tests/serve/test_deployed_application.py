"""The deployed application: streaming across handles, cancelling, and what a killed replica costs."""

from pathlib import Path
from typing import Any

import anyio
import httpx
import psutil
import pytest
from websockets.exceptions import WebSocketException

from cluster.terminal.run_state import RunState
from deployments.replicas.replica_counts import RESTING
from schemas.events import TERMINAL
from tests.serve.conftest import HANG, STORY, replicas
from tests.support.clients.native_client import Heard, ask, create, frames, listen_until_over, open_stream
from tests.support.clients.openai_requests import spoken

pytestmark = [pytest.mark.anyio, pytest.mark.serve, pytest.mark.timeout(3_000)]


def owner_of(heard: Heard, turn: int) -> int:
    """The process that runs the turn."""
    return int(heard.of("turn.started", turn)[0]["data"]["node"].split(".")[0])


def starts(lengths: list[int]) -> list[int]:
    return [sum(lengths[:number]) for number in range(len(lengths))]


def ws(url: str) -> str:
    return url.replace("http", "ws", 1)


@pytest.fixture
async def http(url: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=url, timeout=60)


async def test_every_part_is_healthy_and_the_page_is_served(url: str, http: httpx.AsyncClient) -> None:
    health = (await http.get("/v1/health")).json()
    assert health.pop("version")
    assert health == {
        "status": "ok",
        "log": "ok",
        "language_model": "ok",
        "text_to_speech": "ok",
        "speech_to_text": "ok",
        "quality_speech_to_text": RESTING,
        "retrieval": RESTING,
    }
    assert not replicas("QualitySpeechToText") + replicas("Librarian")
    assert "<title>" in (await http.get("/")).text


async def test_a_part_that_nobody_uses_starts_with_its_first_request(http: httpx.AsyncClient) -> None:
    recording = {"file": ("card.wav", spoken(), "audio/wav")}
    answer = await http.post("/v1/audio/transcriptions", files=recording, data={"model": "whisper-1"})
    assert answer.status_code == 200, answer.text
    [_] = replicas("QualitySpeechToText")
    assert (await http.get("/v1/health")).json()["quality_speech_to_text"] == "ok"


async def test_a_turn_streams_across_the_deployments(url: str, http: httpx.AsyncClient) -> None:
    session = await create(http)
    turn = await ask(http, session, prompt="Tell me a story")
    heard = await listen_until_over(ws(url), session, turn, audio="opus")
    assert heard.text(turn) == STORY
    types = heard.types(turn)
    assert types[-1] == "turn.completed"
    assert types.index("audio.chunk") < len(types) - 1 - types[::-1].index("text.delta")


async def test_results_of_engines_come_past_serve(
    running: RunState, url: str, http: httpx.AsyncClient
) -> None:
    session = await create(http)
    await listen_until_over(ws(url), session, await ask(http, session, prompt="Tell me a story"))
    listening = {port_of(one.laddr) for gateway in replicas("Gateway") for one in sockets(gateway, "LISTEN")}
    for engine in ("LanguageModel", "TextToSpeech"):
        [replica] = replicas(engine)
        assert listening & {port_of(one.raddr) for one in sockets(replica, "ESTABLISHED")}, engine
    assert not complaints(Path(running.ray_folder), "cannot be reached past Serve")


def sockets(process: psutil.Process, status: str) -> list[Any]:
    return [one for one in process.net_connections("tcp") if one.status == status]


def complaints(folder: Path, words: str) -> list[Path]:
    return [told for told in folder.rglob("*.err") if words in told.read_text(errors="replace")]


def port_of(address: Any) -> int:
    return int(address[1]) if address else 0


async def test_documents_are_read_and_searched_beside_the_gateways(http: httpx.AsyncClient) -> None:
    made = await http.post("/v1/collections", json={"name": "bees"})
    path = f"/v1/collections/{made.json()['id']}"
    added = await http.post(f"{path}/documents", files={"file": ("bees.txt", b"Bees dance. " * 100)})
    assert added.status_code == 201, added.text
    assert added.json()["name"] == "bees.txt"
    found = await http.post(f"{path}/search", json={"question": "Who dances?", "top_k": 1})
    assert [passage["document"] for passage in found.json()["passages"]] == [added.json()["id"]]
    not_a_pdf = {"file": ("bees.pdf", b"%PDF-1.4")}
    large = await http.post(f"{path}/documents", files={"file": ("bees.pdf", b"%PDF-1.4" + bytes(8_000_000))})
    assert large.json()["code"] == "document.unreadable", "more than a message of Serve's gRPC has"
    [retrieval] = replicas("Librarian")
    retrieval.kill()
    while (await http.post(f"{path}/search", json={"question": "Who dances?"})).status_code != 200:
        assert (await http.get("/v1/health")).status_code in (200, 503)
    # The other gateway may hear later of the replica that came.
    while (refused := await http.post(f"{path}/documents", files=not_a_pdf)).status_code == 503:
        assert refused.json()["code"] == "retrieval.unavailable"
    assert refused.json()["code"] == "document.unreadable"


async def test_stop_ends_the_turn_across_the_deployments(url: str, http: httpx.AsyncClient) -> None:
    session = await create(http)
    async with open_stream(ws(url), session, audio="opus") as socket:
        await socket.send('{"type": "turn.request", "prompt": "Tell me a story"}')
        heard = Heard()
        async for event, sound in frames(socket):
            if "data" in event:
                heard.take(event, sound)
                if event["type"] == "audio.chunk":
                    await socket.send('{"type": "control", "action": "stop"}')
                if event["type"] in TERMINAL:
                    break
    assert heard.types(2)[-1] == "turn.stopped"
    assert heard.text(2) != STORY


async def test_a_killed_voice_replica_is_followed_by_the_next_in_the_middle_of_a_sentence(
    url: str, http: httpx.AsyncClient
) -> None:
    session, heard = await create(http), Heard()
    turn = await ask(http, session, prompt="Tell me a story")
    async with open_stream(ws(url), session, audio="opus") as socket:
        killed = False
        async for event, sound in frames(socket):
            if "data" in event:
                heard.take(event, sound)
            if event["type"] == "audio.chunk" and not killed:
                killed = True
                [voice] = replicas("TextToSpeech")
                voice.kill()
            if heard.is_over(turn):
                break
    assert heard.text(turn) == STORY
    assert heard.types(turn)[-1] == "turn.completed"
    assert len(heard.of("sentence.completed", turn)) == len(heard.of("sentence.ready", turn))
    assert heard.of("sentence.failed", turn) == []


async def test_a_language_model_that_hangs_is_replaced_and_its_turn_goes_on_in_the_next(
    url: str, http: httpx.AsyncClient, environment: dict[str, str]
) -> None:
    """Its thread never ends, and nothing of it dies by itself: health knows, and Serve sees to it."""
    session, heard = await create(http), Heard()
    hang = Path(environment["RHAPSODE_HOME"]).with_name(HANG)
    [before] = replicas("LanguageModel")
    hang.touch()
    turn = await ask(http, session, prompt="Tell me a story")

    async def told() -> str:
        return str((await http.get("/v1/health")).json()["language_model"])

    while "has not moved" not in await told():  # noqa: ASYNC110 - of health there are no events
        await anyio.sleep(0.2)
    await listen_until_over(ws(url), session, turn, heard)
    assert heard.text(turn) == STORY
    assert heard.types(turn)[-1] == "turn.completed"
    assert not hang.exists()
    [after] = replicas("LanguageModel")
    assert after.pid != before.pid
    assert await told() == "ok"


async def test_a_killed_gateway_is_followed_by_the_other_and_nobody_misses_a_word(
    url: str, http: httpx.AsyncClient
) -> None:
    session, heard = await create(http), Heard()
    turn = await ask(http, session, prompt="Tell me a story")
    async with open_stream(ws(url), session, audio="opus") as socket:
        async for event, sound in frames(socket):
            if "data" in event:
                heard.take(event, sound)
            if event["type"] == "audio.chunk":
                break
        psutil.Process(owner_of(heard, turn)).kill()
    while not heard.is_over(turn):
        try:
            await listen_until_over(ws(url), session, turn, heard, audio="opus")
        except (OSError, WebSocketException):
            continue  # the port comes back with the next replica
    assert heard.text(turn) == STORY
    [resumed] = heard.of("turn.resumed", turn)
    assert resumed["data"]["node"] != heard.of("turn.started", turn)[0]["data"]["node"]
    chunks = heard.of("audio.chunk", turn)
    assert [chunk["data"]["at_ms"] for chunk in chunks] == starts([chunk["data"]["ms"] for chunk in chunks])
    assert len(heard.of("sentence.completed", turn)) == len(heard.of("sentence.ready", turn))
    again = await ask(http, session, prompt="Tell me a story")
    heard = await listen_until_over(ws(url), session, again, heard, audio="opus")
    assert heard.types(again)[-1] == "turn.completed"
