"""A user's settings of who speaks, through the stories and narration faces."""

from collections.abc import AsyncGenerator, Iterator
from pathlib import Path

import pytest

from tests.seeds.people import Person, messages, of
from tests.support.running_app import RunningApp, running_app, scripted_settings
from tests.support.servers.speech_server import FakeSpeechServer

pytestmark = pytest.mark.anyio
TEXT = "The keeper lit the lamp and went upstairs. The red fox sat down by the fire at once."
CLOUD = {
    "tts_provider": "cloud",
    "default_voice": "joe",
    "speech_speed": 1.5,
    "tts_extra_params": {"exaggeration": 0.7, "seed": 7, "instructions": "Calm."},
}


async def test_the_settings_reach_the_provider_whichever_way_it_is_heard(
    person: Person, remote: FakeSpeechServer
) -> None:
    await person.prefer(**CLOUD)
    story = await person.story()
    live = await messages(person, await person.stream(story))
    scene = await person.scene(story, content=TEXT)
    answer = await person.generate(scene["id"])
    later = await messages(person, answer["websocket_url"])
    text = await person.http.post("/api/tts/generate", json={"text": TEXT})
    last = await messages(person, text.json()["websocket_url"])
    assert len(of(live, "audio_chunk")) + 2 * len(of(later, "chunk_ready")) == len(remote.requests)
    assert len(of(later, "chunk_ready")) == len(of(last, "chunk_ready"))
    for asked in remote.requests:
        assert (asked["voice"], asked["speed"]) == ("joe", 1.5)
        assert {name: asked[name] for name in CLOUD["tts_extra_params"]} == CLOUD["tts_extra_params"]  # type: ignore[attr-defined]


async def test_a_users_parameters_never_replace_what_is_spoken(
    person: Person, remote: FakeSpeechServer
) -> None:
    await person.prefer(**CLOUD | {"tts_extra_params": {"input": "Something else.", "voice": "alto"}})
    scene = await person.scene(await person.story(), content=TEXT)
    await messages(person, (await person.generate(scene["id"]))["websocket_url"])
    assert " ".join(asked["input"] for asked in remote.requests) == TEXT
    assert {asked["voice"] for asked in remote.requests} == {"joe"}


async def test_changing_the_provider_changes_the_voice_where_it_must(person: Person) -> None:
    chosen = await person.prefer(tts_provider="cloud")
    assert chosen["preferences"]["default_voice"] == "alto"
    refused = await person.http.put("/api/tts/settings", json={"default_voice": "nobody"})
    assert (refused.status_code, refused.json()["code"]) == (422, "voice.unknown")
    back = await person.prefer(tts_provider=None, default_voice=None)
    assert (back["preferences"]["tts_provider"], back["preferences"]["default_voice"]) == (None, None)


async def test_settings_hold_from_the_next_narration_on(person: Person, remote: FakeSpeechServer) -> None:
    remote.silent = True
    await person.prefer(**CLOUD)
    story = await person.story()
    first = await person.scene(story, content=TEXT)
    making = await person.generate(first["id"])
    await person.prefer(speech_speed=0.5)
    remote.silent = False
    await messages(person, making["websocket_url"])
    assert {asked["speed"] for asked in remote.requests} == {1.5}
    second = await person.scene(story, content=TEXT)
    await messages(person, (await person.generate(second["id"]))["websocket_url"])
    assert {asked["speed"] for asked in remote.requests} == {1.5, 0.5}


# ---------------------------------------------------------------- a deployment with a fallback and a breaker


@pytest.fixture(scope="module")
def careful(
    tmp_path_factory: pytest.TempPathFactory, running_remote: FakeSpeechServer
) -> Iterator[RunningApp]:
    home: Path = tmp_path_factory.mktemp("fallback")
    cloud = running_remote.given(breaker_failures=2, breaker_reset_s=3_600)
    providers = {"providers": {"cloud": cloud}, "fallback": ["local"]}
    settings = scripted_settings(home, tts={"ms_per_char": 3}, text_to_speech=providers)
    with running_app(settings, workers=True) as running:
        yield running


@pytest.fixture
async def user(careful: RunningApp) -> AsyncGenerator[Person, None]:
    """On an open server everybody is the same user, whatever name the path has."""
    async with Person.of(careful, "anybody", "") as somebody:
        yield somebody


async def test_an_engine_that_is_down_is_replaced_and_left_alone_after_a_while(
    user: Person, careful: RunningApp, remote: FakeSpeechServer
) -> None:
    remote.refusals = [(500, {})] * 100
    await user.prefer(tts_provider="cloud", auto_play_last_scene=True)
    story = await user.story()
    async with user.notifications() as news:
        for _ in range(3):
            scene = await user.scene(story, content=TEXT)
            told = await news.next()
            assert (told["type"], told["scene_id"], told["chunk_count"]) == ("tts_ready", scene["id"], 2)
    assert len(remote.requests) == 2
    assert careful.engines["text_to_speech"].calls == 6
