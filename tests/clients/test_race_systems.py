"""The peers of the race, in their own environment ("make env-peers"): each is heard on scripted engines."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from loadtests.client import recorded_speech
from loadtests.peers.contestants import PeerContestant
from loadtests.peers.peer_servers import EngineServices, peer, services, there_are_peers, there_is_realtimetts

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(not there_are_peers(), reason='the peers\' environment is not made: "make env-peers"'),
]
TALKERS = [
    ("pipecat", {"aggregation": "sentence"}),
    ("pipecat", {"aggregation": "token"}),
    ("livekit", {"tuned": False}),
    ("livekit", {"tuned": True}),
]


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineServices]:
    folder = tmp_path_factory.mktemp("engines")
    scripts = {
        "language_model": {"reply": "The fox sleeps. The lamp is lit."},
        "text_to_speech": {},
        "speech_to_text": {"texts": ["Please tell me of the fox."]},
    }
    settings: dict[str, Any] = {"cache": str(folder)}
    for kind, script in scripts.items():
        path = folder / f"{kind}.json"
        path.write_text(json.dumps(script))
        settings[kind] = {"engine": "scripted", "script": str(path)}
    with services(folder, settings) as started:
        yield started


def wish(engines: EngineServices, **options: Any) -> dict[str, Any]:
    return {**engines.urls, "system_prompt": "Be brief.", "max_tokens": 40, **options}


@pytest.mark.parametrize(("system", "options"), TALKERS)
async def test_a_peer_answers_what_is_written_read_and_spoken(
    engines: EngineServices, tmp_path: Path, system: str, options: dict[str, Any]
) -> None:
    with peer(tmp_path, system, wish(engines, **options)) as url:
        runner = PeerContestant(system, url)
        heard = [await runner.ask("And the fox?"), await runner.read("The fox sleeps.")]
        heard.append(await runner.say(recorded_speech.librivox()[0]))
    assert all(each.first_ms > 0 for each in heard)
    engines.rest()


@pytest.mark.skipif(not there_is_realtimetts(), reason="the environment was made without PortAudio")
async def test_realtimetts_reads(engines: EngineServices, tmp_path: Path) -> None:
    with peer(tmp_path, "realtimetts", wish(engines)) as url:
        for _ in range(2):
            assert (
                await PeerContestant("RealtimeTTS", url).read("The fox sleeps. The lamp is lit.")
            ).first_ms > 0
    engines.rest()
