"""Downloads from a hub on the loopback: interrupted, corrupted, redirected, too large, gated, absent."""

import hashlib
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import close_session

from pipeline.engines.weights.model_download import DownloadFailed, download, folder_of, installed, remove
from pipeline.engines.weights.model_manifest import ModelEntry, entries
from schemas.settings import AppSettings
from tests.pipeline.engines.weights.loopback_hub import COMMIT, Hub, running

WEIGHTS = b"GGUF" + bytes(range(256)) * 4_000


def entry(**changes: object) -> ModelEntry:
    usual = {
        "name": "tiny",
        "engine": "llama",
        "about": "Nothing.",
        "repository": "some/model",
        "revision": "v1",
        "files": ("a/tiny.gguf", "LICENCE"),
        "megabytes": 2,
        "licence": "MIT",
        "languages": ("en",),
    }
    return ModelEntry.model_validate({**usual, **changes})


@pytest.fixture
def hub() -> Iterator[Hub]:
    with running(Hub({"a/tiny.gguf": WEIGHTS, "LICENCE": b"Do as you like."})) as answering:
        yield answering


@pytest.mark.parametrize("redirected", [False, True])
def test_a_model_is_downloaded_once_and_its_commit_and_checksums_are_recorded(
    hub: Hub, tmp_path: Path, redirected: bool
) -> None:
    hub.redirected = redirected
    shown: list[float] = []
    folder = download(entry(), tmp_path, lambda _, done: shown.append(done), endpoint=hub.endpoint)
    assert (folder / "tiny.gguf").read_bytes() == WEIGHTS
    assert entry().path(folder) == folder / "tiny.gguf"
    [record] = installed(tmp_path)
    assert (record.name, record.commit) == ("tiny", COMMIT)
    assert record.files["tiny.gguf"] == hashlib.sha256(WEIGHTS).hexdigest()
    assert shown == sorted(shown)
    assert shown[-1] == 1.0
    assert download(entry(), tmp_path, endpoint=hub.endpoint) == folder
    assert hub.downloads == 2
    assert [one.name for one in folder.parent.iterdir() if one.is_dir()] == ["tiny"]


@pytest.fixture
def _small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it the library writes pieces of 10 MB, and loses a piece that is not whole."""
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 64_000)


@pytest.mark.usefixtures("_small_pieces")
def test_a_download_that_was_interrupted_goes_on_where_it_was(hub: Hub, tmp_path: Path) -> None:
    def interrupt(_: str, done: float) -> None:
        if 0.3 < done < 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        download(entry(), tmp_path, interrupt, endpoint=hub.endpoint)
    assert list(installed(tmp_path)) == []
    folder = download(entry(), tmp_path, endpoint=hub.endpoint)
    assert (folder / "tiny.gguf").read_bytes() == WEIGHTS
    assert [int(one.removeprefix("bytes=").rstrip("-")) > 200_000 for one in hub.ranges] == [True]


@pytest.mark.usefixtures("_small_pieces")
def test_a_connection_that_breaks_off_once_is_made_again(hub: Hub, tmp_path: Path) -> None:
    hub.cut_after = 300_000
    folder = download(entry(), tmp_path, endpoint=hub.endpoint)
    assert (folder / "tiny.gguf").read_bytes() == WEIGHTS
    assert len(hub.ranges) == 1


def test_a_file_with_another_checksum_is_deleted_and_the_next_try_is_right(hub: Hub, tmp_path: Path) -> None:
    hub.corrupt = True
    with pytest.raises(DownloadFailed, match="another checksum"):
        download(entry(), tmp_path, endpoint=hub.endpoint)
    assert list(installed(tmp_path)) == []
    hub.corrupt = False
    assert (download(entry(), tmp_path, endpoint=hub.endpoint) / "tiny.gguf").read_bytes() == WEIGHTS


def test_a_pinned_checksum_wins_over_what_the_hub_records(hub: Hub, tmp_path: Path) -> None:
    with pytest.raises(DownloadFailed, match="another checksum"):
        download(entry(sha256={"a/tiny.gguf": "0" * 64}), tmp_path, endpoint=hub.endpoint)


def test_a_damaged_model_is_downloaded_again(hub: Hub, tmp_path: Path) -> None:
    folder = download(entry(), tmp_path, endpoint=hub.endpoint)
    (folder / "tiny.gguf").write_bytes(b"GGUF")
    assert (download(entry(), tmp_path, endpoint=hub.endpoint) / "tiny.gguf").read_bytes() == WEIGHTS


def test_more_than_the_manifest_says_is_not_downloaded(hub: Hub, tmp_path: Path) -> None:
    hub.files["a/tiny.gguf"] = bytes(5_000_000)
    with pytest.raises(DownloadFailed, match="the manifest says 2 MB"):
        download(entry(), tmp_path, endpoint=hub.endpoint)
    assert hub.downloads == 0


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"repository": "some/other"}, "has no some/other"), ({"files": ("none.gguf",)}, "has no none.gguf")],
)
def test_a_file_that_the_hub_does_not_have_is_named(
    hub: Hub, tmp_path: Path, changes: dict[str, object], said: str
) -> None:
    with pytest.raises(DownloadFailed, match=said):
        download(entry(**changes), tmp_path, endpoint=hub.endpoint)


def test_a_licence_that_must_be_accepted_is_said(hub: Hub, tmp_path: Path) -> None:
    hub.gated = True
    with pytest.raises(DownloadFailed, match=r"Accept the licence at .*some/model first"):
        download(entry(), tmp_path, endpoint=hub.endpoint)


def test_a_hub_that_does_not_answer_is_said(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(DownloadFailed, match="could not be reached"):
            download(entry(), tmp_path, endpoint=endpoint)


def test_a_download_goes_through_the_proxy_of_the_environment(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("no_proxy", "NO_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, hub.endpoint)  # it answers requests for any host, as a proxy does
    close_session()  # the library's client reads the environment once
    try:
        folder = download(entry(), tmp_path, endpoint="http://hub.invalid")
    finally:
        close_session()
    assert (folder / "tiny.gguf").read_bytes() == WEIGHTS


def test_a_removed_model_leaves_nothing(hub: Hub, tmp_path: Path) -> None:
    download(entry(), tmp_path, endpoint=hub.endpoint)
    assert remove("tiny", tmp_path)
    assert not folder_of("tiny", tmp_path).exists()
    assert not remove("tiny", tmp_path)


@pytest.mark.parametrize("model", entries(), ids=lambda model: model.name)
def test_every_model_of_the_manifest_becomes_settings_that_are_right(
    model: ModelEntry, tmp_path: Path
) -> None:
    settings = AppSettings.model_validate(model.settings(tmp_path))
    assert settings != AppSettings()
    assert len({Path(file).name for file in model.files}) == len(model.files)


def test_names_of_the_manifest_are_there_once_and_voices_speak_thirty_languages() -> None:
    names = [model.name for model in entries()]
    assert len(names) == len(set(names))
    assert len({model.languages for model in entries() if model.engine == "piper"}) >= 30


def test_checksums_of_the_manifest_are_of_its_files_and_all_but_voices_are_pinned_to_a_commit() -> None:
    for model in entries():
        assert set(model.sha256) <= set(model.files)
        assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in model.sha256.values()), model.name
        weights = {file for file in model.files if file.endswith((".gguf", ".bin", ".pth"))}
        assert model.engine == "piper" or (weights <= set(model.sha256) and len(model.revision) == 40), (
            model.name
        )
    assert sum(not model.sha256 for model in entries()) == 6


@pytest.mark.parametrize("commit", ["../../../etc/x", "main", "C0FFEE" + "0" * 34, ""])
def test_a_hub_that_names_no_commit_gets_no_place_on_the_disk(hub: Hub, tmp_path: Path, commit: str) -> None:
    hub.commit = commit
    with pytest.raises(DownloadFailed, match="names no commit"):
        download(entry(), tmp_path, endpoint=hub.endpoint)
    assert [path.name for path in (tmp_path / "models").iterdir()] == [".tiny.lock"]
