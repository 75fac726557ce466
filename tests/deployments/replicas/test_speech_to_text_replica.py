"""Transcripts of a replica arrive unchanged over a handle of Serve."""

import hashlib
import json
from pathlib import Path

import pytest
from ray import serve

from deployments.replicas.speech_to_text import RemoteSpeechToText, SpeechToTextReplica
from pipeline.engines.ports import Transcript, Utterance, WrittenWord
from rhapsode.testing.speech_to_text_contract import written
from schemas.errors import UnknownProvider
from schemas.settings.listening_settings import QualitySpeechToTextSettings, SpeechToTextSettings

pytestmark = pytest.mark.anyio
SOUND = b"\x00\x10\x00\xf0" * 8_000


@pytest.fixture(params=[SpeechToTextSettings, QualitySpeechToTextSettings])
def remote(tmp_path: Path, request: pytest.FixtureRequest) -> RemoteSpeechToText:
    script = tmp_path / "script.json"
    known = {hashlib.sha256(SOUND).hexdigest(): "The fox is réd."}
    script.write_text(json.dumps({"by_sha256": known, "deltas": True, "language": "fr"}))
    settings = request.param(engine="scripted", script=script)
    deployment = serve.deployment(name="Transcriber")(SpeechToTextReplica)
    handle = serve.run(deployment.bind(settings, tmp_path), name=request.node.name, _local_testing_mode=True)
    return RemoteSpeechToText(handle, ("cloud",))


async def test_text_words_and_figures_arrive(remote: RemoteSpeechToText) -> None:
    await remote.check()
    deltas, transcript = await written(remote, Utterance(SOUND, words=True))
    assert deltas == ["The", " fox", " is", " réd."]
    assert transcript.language == "fr"
    assert transcript.engine.startswith("scripted")
    assert transcript.words[0] == WrittenWord(0, 3, 0, 250)
    assert isinstance(transcript, Transcript)
    assert remote.providers == ("cloud",)


async def test_errors_arrive_as_what_they_are(remote: RemoteSpeechToText) -> None:
    with pytest.raises(UnknownProvider, match="'nobody'"):
        await written(remote, Utterance(SOUND, provider="nobody"))
