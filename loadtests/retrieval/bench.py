"""Puts the library of the tests into a store and asks all questions in every way, beside a floor."""

import argparse
import asyncio
import os
import random
import tempfile
import time
from collections.abc import Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Final, get_args

from loadtests.here import commit, machine, when
from loadtests.retrieval import citing
from loadtests.retrieval.scores import DEPTH, Score, rank_of_answer, table
from loadtests.retrieval.shelf import questions, shelve
from pipeline.rag.document_library import Library
from pipeline.rag.open_library import open_library
from pipeline.rag.reading.document_reader import Upload
from schemas.ids import new_id
from schemas.settings.retrieval_settings import (
    CollectionId,
    DocumentId,
    EmbeddingModel,
    Passage,
    RetrievalSettings,
    SearchToolConfig,
    Strategy,
)

_REPORT: Final = Path(__file__).resolve().parents[2] / "docs" / "retrieval.md"
_MARK: Final = "<!-- `python -m loadtests.retrieval --keep` writes below this line -->\n"
_SEED: Final = 7


def main() -> None:
    """Measure, print the table, and with --keep put it into docs/retrieval.md."""
    parser = argparse.ArgumentParser(prog="python -m loadtests.retrieval", description=main.__doc__)
    parser.add_argument(
        "--embedding", choices=get_args(EmbeddingModel), default=RetrievalSettings().embedding
    )
    parser.add_argument(
        "--judge", choices=[*get_args(EmbeddingModel), "none"], default=RetrievalSettings().judge
    )
    parser.add_argument("--keep", action="store_true", help="write the table into docs/retrieval.md")
    arguments = parser.parse_args()
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    judge = None if arguments.judge == "none" else arguments.judge
    settings = RetrievalSettings(embedding=arguments.embedding, judge=judge)
    with tempfile.TemporaryDirectory(prefix="rhapsode-retrieval-") as folder:
        report = asyncio.run(_measured(settings, Path(folder)))
    print(report)
    if arguments.keep:
        before, mark, _ = _REPORT.read_text(encoding="utf-8").partition(_MARK)
        _REPORT.write_text(f"{before}{mark}\n{report}", encoding="utf-8")


async def _measured(settings: RetrievalSettings, folder: Path) -> str:
    library = open_library(settings, folder)
    try:
        collection = (await library.create("library")).id
        begun = time.perf_counter()
        names = await filled(library, collection, folder)
        took = time.perf_counter() - begun
        chunks = (await library.store.collection(collection)).chunks
        scores = [await _by_chance(library, collection, names)]
        for strategy in get_args(Strategy):
            scores.append(await _scored(library, collection, names, strategy))
        citations = await citing.scored(library, collection, names)
    finally:
        await library.aclose()
    return (
        f"{when()}; {machine()}; commit {commit()}; embedding {settings.embedding}, judge {settings.judge}.\n"
        f"{len(names)} documents, {chunks} passages, added in {took:.1f} s; {len(questions())} questions.\n\n"
        f"{table(scores)}\n{citing.table(citations)}"
    )


async def filled(library: Library, collection: CollectionId, folder: Path) -> dict[str, str]:
    """Adds the whole library; returns the documents' ids with their file names."""
    shelf = folder / "shelf"
    shelf.mkdir()
    names: dict[str, str] = {}
    for path in shelve(shelf):
        document = DocumentId(new_id())
        async with aclosing(library.add(collection, document, Upload(path, path.name))) as steps:
            async for _ in steps:
                pass
        names[document] = path.name
    return names


async def _scored(
    library: Library, collection: CollectionId, names: dict[str, str], strategy: Strategy
) -> Score:
    score = Score(strategy)
    config = SearchToolConfig(strategy=strategy, top_k=DEPTH)
    await library.find("warm up", [collection], config)
    for question in questions():
        begun = time.perf_counter()
        found = await library.find(question.question, [collection], config)
        score.add(
            question.kind, rank_of_answer(question, found, names), (time.perf_counter() - begun) * 1_000
        )
    return score


async def _by_chance(library: Library, collection: CollectionId, names: dict[str, str]) -> Score:
    """The floor: passages in any order."""
    score = Score("by chance")
    dice = random.Random(_SEED)
    everything = await _everything(library, collection)
    for question in questions():
        score.add(question.kind, rank_of_answer(question, dice.sample(everything, DEPTH), names), 0.0)
    return score


async def _everything(library: Library, collection: CollectionId) -> Sequence[Passage]:
    """Every passage, by asking each document for itself."""
    found: dict[tuple[str, int], Passage] = {}
    for document in await library.store.documents(collection):
        for passage in await library.find(
            document.title, [collection], SearchToolConfig(strategy="vector", top_k=50)
        ):
            found[passage.document, passage.start] = passage
    return list(found.values())
