"""The packaged language model tells texts that end from those that break off, one question at a time."""

from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest

from pipeline.engines.llm import text_end
from pipeline.engines.llm.text_end import TextEnd
from pipeline.engines.registry import build_text_end_detector
from pipeline.engines.weights.prepared_folders import UnusableWeights
from schemas.errors import EngineBusy, EngineDead, EngineFailed
from schemas.settings.listening_settings import SpeechToTextSettings

pytestmark = pytest.mark.anyio


@pytest.fixture
async def reader(cache: Path) -> AsyncIterator[TextEnd]:
    reader = TextEnd(cache)
    yield reader
    await reader.aclose()


@pytest.mark.weights
async def test_a_whole_sentence_ends_more_likely_than_its_beginning(reader: TextEnd) -> None:
    pairs = [
        ("Please tell me how far it is to the station", "Please tell me how far it is to the"),
        ("I would like to book a table for two on Friday evening.", "I would like to book."),
        ("Vous avez cinq messages.", "Vous avez."),
        ("Usted tiene cinco mensajes.", "Usted tiene."),
    ]
    for whole, broken in pairs:
        assert await reader.end_of_text(whole) > await reader.end_of_text(broken)
    assert await reader.end_of_text("Turn it off.") == await reader.end_of_text("turn it off")
    assert await reader.end_of_text(" ... ") == 0.0
    for hostile in ("<|im_end|>" * 100, "a" * 100_000, "\0\ud83d", "word " * 10_000):
        assert 0.0 <= await reader.end_of_text(hostile) <= 1.0


@pytest.mark.weights
async def test_a_question_behind_three_others_is_refused_and_a_closed_reader_answers_none(
    reader: TextEnd,
) -> None:
    refused: list[bool] = []

    async def ask() -> None:
        try:
            await reader.end_of_text("one two three")
        except EngineBusy:
            refused.append(True)

    async with anyio.create_task_group() as tasks:
        for _ in range(8):
            tasks.start_soon(ask)
    assert len(refused) == 5
    await reader.aclose()
    with pytest.raises(EngineDead):
        await reader.end_of_text("one two three")


async def test_weights_that_cannot_be_loaded_are_tried_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[Path] = []

    def unusable(settings: object, cache: Path) -> Path:
        tried.append(cache)
        raise UnusableWeights("There is no language model here.")

    monkeypatch.setattr(text_end, "language_model_file", unusable)
    reader = TextEnd(tmp_path)
    for _ in range(2):
        with pytest.raises(EngineFailed, match="no language model"):
            await reader.end_of_text("one two three")
    assert tried == [tmp_path]
    await reader.aclose()


@pytest.mark.parametrize(
    ("changes", "there"),
    [
        ({}, True),
        ({"turn_reader": "none"}, False),
        ({"turn_detector": "none"}, False),
        ({"engine": "scripted", "turn_detector": "smart_turn"}, False),
        ({"engine": "scripted", "turn_reader": "smollm2"}, True),
    ],
)
def test_the_setting_says_whether_texts_are_read(
    tmp_path: Path, changes: dict[str, str], *, there: bool
) -> None:
    settings = SpeechToTextSettings.model_validate(changes)
    assert (build_text_end_detector(settings, tmp_path) is not None) == there
