"""The cache's folders are whole or absent, checked, and made by one process at a time."""

import multiprocessing
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.engines.weights.prepared_folders import (
    Recipe,
    UnusableWeights,
    is_made,
    made,
    no_progress,
    sha256,
)


def upper(source: Path, folder: Path, progress: Callable[[float], None]) -> None:
    """Make `model` from `source`, and leave a trace of having done so beside the source."""
    with source.with_name("made").open("a") as trace:
        trace.write("x")
    progress(0.5)
    Path(folder, "model").write_text(source.read_text().upper())


def recipe(source: Path) -> Recipe:
    return Recipe("fox", source, lambda folder, progress: upper(source, folder, progress))


def make_in_another_process(source: Path, cache: Path) -> None:
    assert Path(made(recipe(source), cache, no_progress), "model").read_text() == "FOX"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.write_text("fox")
    return path


def times_made(source: Path) -> int:
    trace = source.with_name("made")
    return len(trace.read_text()) if trace.exists() else 0


def test_a_folder_is_made_once_and_progress_is_told(source: Path, tmp_path: Path) -> None:
    told: list[tuple[str, float]] = []
    cache = tmp_path / "cache"
    assert not is_made(recipe(source), cache)
    for _ in range(2):
        folder = made(recipe(source), cache, lambda *step: told.append(step))
        assert Path(folder, "model").read_text() == "FOX"
    assert is_made(recipe(source), cache)
    assert times_made(source) == 1
    assert told == [("fox", 0.0), ("fox", 0.5), ("fox", 1.0)]


@pytest.mark.parametrize("name", ["model", "manifest.json"])
def test_a_damaged_file_is_made_again(source: Path, tmp_path: Path, name: str) -> None:
    folder = made(recipe(source), tmp_path / "cache", no_progress)
    Path(folder, name).write_text("F0X")
    assert Path(made(recipe(source), tmp_path / "cache", no_progress), "model").read_text() == "FOX"
    assert times_made(source) == 2


def test_a_cache_in_an_image_is_only_read(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    folder = made(recipe(source), cache, no_progress)
    monkeypatch.setattr("os.access", lambda path, mode: False)  # what root is told of a read-only file system
    before = sorted(cache.iterdir())
    assert made(recipe(source), cache, no_progress) == folder
    Path(folder, "model").write_text("F0X")
    with pytest.raises(UnusableWeights, match="cannot be written to"):
        made(recipe(source), cache, no_progress)
    assert sorted(cache.iterdir()) == before


def test_another_source_is_noticed(source: Path, tmp_path: Path) -> None:
    made(recipe(source), tmp_path / "cache", no_progress)
    source.write_text("owl")
    assert Path(made(recipe(source), tmp_path / "cache", no_progress), "model").read_text() == "OWL"


def test_a_folder_whose_making_fails_leaves_nothing_behind(source: Path, tmp_path: Path) -> None:
    def fail(folder: Path, progress: Callable[[float], None]) -> None:
        Path(folder, "model").write_text("half")
        raise OSError("disk full")

    cache = tmp_path / "cache"
    with pytest.raises(OSError, match="disk full"):
        made(Recipe("fox", source, fail), cache, no_progress)
    assert [path.name for path in cache.iterdir()] == [".fox.lock"]
    assert Path(made(recipe(source), cache, no_progress), "model").read_text() == "FOX"


def test_a_wrong_source_and_a_wrong_result_are_refused(source: Path, tmp_path: Path) -> None:
    make = recipe(source).make
    with pytest.raises(UnusableWeights, match="source is not the file"):
        made(Recipe("fox", source, make, source_sha256="0" * 64), tmp_path / "cache", no_progress)
    with pytest.raises(UnusableWeights, match="model: not what"):
        made(Recipe("fox", source, make, sha256=(("model", "0" * 64),)), tmp_path / "cache", no_progress)
    assert made(Recipe("fox", source, make, sha256(source)), tmp_path / "cache", no_progress).is_dir()


@pytest.mark.server
def test_several_processes_at_once_make_it_once(source: Path, tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    processes = [
        spawn.Process(target=make_in_another_process, args=(source, tmp_path / "cache")) for _ in range(4)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0] * 4
    assert times_made(source) == 1
