"""A turn that somebody elsewhere speaks, through the whole gateway."""

from collections.abc import Iterator

import httpx
import pytest

from tests.support.clients.native_client import ask, create, listen_until_over
from tests.support.eventually import eventually
from tests.support.running_app import RunningApp, running_app, scripted_settings
from tests.support.servers.speech_server import FakeSpeechServer

pytestmark = pytest.mark.anyio
TEXT = "The keeper lit the lamp and went upstairs. The red fox sat down by the fire at once."


@pytest.fixture(scope="module")
def app(running_remote: FakeSpeechServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    settings = scripted_settings(
        tmp_path_factory.mktemp("providers"),
        text_to_speech={"providers": {"cloud": running_remote.given()}, "fallback": ["local"]},
    )
    with running_app(settings) as running:
        yield running


CLOUD = {"tts_provider": "cloud", "voice": "alto", "tts_extra": {"exaggeration": 0.7}}


async def test_the_chosen_provider_speaks_with_the_users_parameters(
    app: RunningApp, http: httpx.AsyncClient, remote: FakeSpeechServer
) -> None:
    session = await create(http)
    turn = await ask(http, session, text=TEXT, settings=CLOUD)
    heard = await listen_until_over(app.ws_url, session, turn, audio="opus")
    assert heard.types(turn)[-1] == "turn.completed"
    assert len(remote.requests) == len(heard.of("sentence.completed", turn)) == 2
    assert {(asked["voice"], asked["exaggeration"]) for asked in remote.requests} == {("alto", 0.7)}


async def test_a_provider_that_is_out_of_order_costs_no_sentence(
    app: RunningApp, http: httpx.AsyncClient, remote: FakeSpeechServer
) -> None:
    remote.refusals = [(500, {})]
    session = await create(http)
    turn = await ask(http, session, text=TEXT, settings=CLOUD)
    heard = await listen_until_over(app.ws_url, session, turn, audio="opus")
    assert len(heard.of("sentence.completed", turn)) == 2
    assert app.engines["text_to_speech"].calls == 1


async def test_voices_are_listed_by_who_has_them(http: httpx.AsyncClient) -> None:
    listed = (await http.get("/v1/voices")).json()
    assert listed == {
        "voices": ["joe", "alto"],
        "providers": {"local": ["joe", "alto"], "cloud": ["alto", "joe"]},
        "languages": {"local": {"joe": ["*"], "alto": ["*"]}, "cloud": {"alto": [], "joe": []}},
    }


async def test_a_voice_must_be_one_of_the_chosen_provider(
    http: httpx.AsyncClient, remote: FakeSpeechServer
) -> None:
    session = await create(http)
    wrong = {"text": TEXT, "settings": CLOUD | {"voice": "nobody"}}
    answer = await http.post(f"/v1/sessions/{session}/turns", json=wrong)
    assert (answer.status_code, answer.json()["code"]) == (422, "voice.unknown")


async def test_stopping_hangs_up(app: RunningApp, http: httpx.AsyncClient, remote: FakeSpeechServer) -> None:
    remote.chunks, remote.stalls = 2, True
    session = await create(http)
    await ask(http, session, text=TEXT, settings=CLOUD)
    await eventually(lambda: remote.speaking > 0)
    assert (await http.post(f"/v1/sessions/{session}/control", json={"action": "stop"})).is_success
    await eventually(lambda: remote.speaking == 0)
