"""`/v1/local-models`: what is in use and here on the gateway's machine, and what would fit."""

from pathlib import Path

import httpx
import pytest

from pipeline.engines.weights.chosen_models import choose, fits
from pipeline.engines.weights.model_manifest import entries
from tests.support.running_app import running_app, scripted_settings

GERMAN, LARGE = "piper-de_de-thorsten-medium", "whisper-large-v3"


def test_models_are_listed_with_their_states_and_whether_they_fit(tmp_path: Path) -> None:
    settings = scripted_settings(tmp_path, cache=tmp_path / "cache")
    choose(settings.home, GERMAN)
    folder = settings.cache / "models" / LARGE
    folder.mkdir(parents=True)
    record = f'{{"name": "{LARGE}", "repository": "x", "commit": "{"0" * 40}", "files": {{}}}}'
    (folder / "download.json").write_text(record)
    with running_app(settings) as app:
        listed = httpx.get(f"{app.url}/v1/local-models").raise_for_status().json()
    models = {one["name"]: one for one in listed["models"]}
    assert [one["name"] for one in listed["models"][3:]] == [one.name for one in entries()]
    told = {
        name: models[name]["state"] for name in (GERMAN, LARGE, "packaged-voice", "packaged-language-model")
    }
    assert told == {
        GERMAN: "in use",
        LARGE: "installed",
        "packaged-voice": "also in use",
        "packaged-language-model": "in use",
    }
    assert models[GERMAN]["languages"] == ["de"]
    assert listed["free_megabytes"] > 0


@pytest.mark.parametrize(("megabytes", "fit"), [(100, False), (80, True)])
def test_a_model_fits_where_memory_for_more_than_its_files_is_free(megabytes: int, *, fit: bool) -> None:
    entry = entries()[0].model_copy(update={"megabytes": megabytes})
    assert fits(entry, 100_000_000) is fit
