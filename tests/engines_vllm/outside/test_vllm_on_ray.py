"""vLLM in the application: a turn, an adapter by name, a stopped turn, and engines and replicas that die."""

from contextlib import aclosing, suppress

import httpx
import pytest
import ray

from rhapsode.testing.language_model_contract import answer, asking
from schemas.errors import EngineDead, EngineError
from tests.engines_vllm.outside.conftest import Application, alive, engine_processes, replica_process
from tests.support.clients.native_client import Heard, ask, create, frames, listen_until_over, open_stream
from tests.support.eventually import eventually

pytestmark = [pytest.mark.anyio, pytest.mark.serve, pytest.mark.timeout(300)]

BRIEF = {"max_tokens": 24, "temperature": 0.0}
FOUR_HUNDRED_NUMBERS = {
    "type": "array",
    "items": {"type": "integer", "minimum": 0, "maximum": 9},
    "minItems": 400,
    "maxItems": 400,
}
"""An answer that no model can cut short."""


@pytest.fixture
def http(application: Application) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=application.url, timeout=60)


@pytest.fixture
def ws(application: Application) -> str:
    return application.url.replace("http", "ws", 1)


async def answered_again(application: Application) -> None:
    """Return when the model answers; until then it says that it is not there."""
    while True:
        with suppress(EngineError):
            await answer(application.model, asking("Are you there?", max_tokens=4))
            return


def metrics_of_ray() -> str:
    """Metrics of this node, as Prometheus reads them."""
    (node,) = ray.nodes()
    return httpx.get(f"http://127.0.0.1:{node['MetricsExportPort']}/metrics").text


async def test_a_turn_is_written_and_spoken(http: httpx.AsyncClient, ws: str) -> None:
    session = await create(http, settings=BRIEF)
    turn = await ask(http, session, prompt="What is the capital of France?")
    heard = await listen_until_over(ws, session, turn, audio="opus")
    assert heard.types(turn)[-1] == "turn.completed"
    assert len(heard.text(turn).split()) > 5
    ready = heard.of("sentence.ready", turn)
    assert heard.text(turn)[: ready[-1]["data"]["end"]].strip() == heard.text(turn).strip()
    assert heard.sound(turn)
    assert len(heard.of("text.delta", turn)) > 1


async def test_an_adapter_is_a_model_to_sessions_and_to_openais_clients(http: httpx.AsyncClient) -> None:
    listed = (await http.get("/v1/models")).json()["data"]
    assert {"smollm2-135m-instruct", "pirate"} <= {model["id"] for model in listed}
    said = {}
    for name in ("smollm2-135m-instruct", "pirate"):
        question = {"model": name, "messages": [{"role": "user", "content": "Tell me about foxes."}]}
        made = await http.post("/v1/chat/completions", json={**question, **BRIEF})
        assert made.status_code == 200, made.text
        assert made.json()["model"] == name
        said[name] = made.json()["choices"][0]["message"]["content"]
    assert said["pirate"] != said["smollm2-135m-instruct"]
    refused = await http.post("/v1/sessions", json={"settings": {"llm_model": "captain"}})
    assert (refused.status_code, refused.json()["code"]) == (422, "model.unknown")
    assert await create(http, settings={"llm_model": "pirate"})


async def test_a_stopped_turn_is_aborted_in_the_engine(
    application: Application, http: httpx.AsyncClient, ws: str
) -> None:
    long = {"max_tokens": 2_000, "speak": False, "sampling": {"json_schema": FOUR_HUNDRED_NUMBERS}}
    session = await create(http, settings=long)
    assert await application.open_streams() == 0  # the way to the engine is found before the words begin
    heard = Heard()
    async with open_stream(ws, session) as socket, aclosing(frames(socket)) as coming:
        await socket.send('{"type": "turn.request", "prompt": "Say numbers."}')
        async for event, sound in coming:
            if "data" not in event:
                continue
            heard.take(event, sound)
            if event["type"] == "text.delta" and len(heard.of("text.delta")) == 3:
                assert await application.open_streams() == 1
                await socket.send('{"type": "control", "action": "stop"}')
            if event["type"] == "turn.stopped":
                break
    while await application.open_streams():
        pass
    assert "turn.completed" not in heard.types()


async def test_the_figures_of_the_engine_come_out_of_ray(application: Application) -> None:
    await answer(application.model, asking("Tell me about foxes."))
    await eventually(lambda: "ray_vllm_prefix_cache_queries" in metrics_of_ray())


async def test_a_dead_engine_is_replaced_with_its_replica(application: Application) -> None:
    before = replica_process().pid
    for process in engine_processes():
        process.kill()
    with pytest.raises(EngineDead):
        await answer(application.model, asking("Are you there?"))
    await answered_again(application)
    assert replica_process().pid != before


async def test_a_turn_goes_on_when_its_replica_is_killed_and_the_engine_ends_with_it(
    application: Application, http: httpx.AsyncClient, ws: str
) -> None:
    session = await create(http, settings={"max_tokens": 200, "speak": False})
    turn = await ask(http, session, prompt="Tell me a long story of the sea.")
    heard, killed = Heard(), engine_processes()
    async with open_stream(ws, session) as socket, aclosing(frames(socket)) as coming:
        async for event, sound in coming:
            if "data" not in event:
                continue
            heard.take(event, sound)
            if len(heard.of("text.delta", turn)) == 3:
                replica_process().kill()
            if heard.is_over(turn):
                break
    assert heard.types(turn)[-1] == "turn.completed"
    assert len(heard.of("text.delta", turn)) > 4
    await eventually(lambda: not alive(killed))
