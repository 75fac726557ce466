"""How good rankings are. Pure arithmetic."""

import argparse
import asyncio
import random
import re
import tempfile
import time
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, get_args

from pydantic import TypeAdapter

from loadtests.bench.retrieval.question_library import LIBRARY, LibraryQuestion, questions, shelve
from loadtests.report.tables import ROOT, commit, machine, markdown, percentile, when
from pipeline.rag.citations import supports
from pipeline.rag.document_library import Library, open_library
from pipeline.rag.reading.document_reader import UploadedDocument
from schemas.ids import new_id
from schemas.settings.retrieval_settings import (
    CollectionId,
    DocumentId,
    EmbeddingModel,
    NumberedPassage,
    Passage,
    RetrievalSettings,
    SearchToolConfig,
    Strategy,
    Support,
)

DEPTH = 10
"""A right passage further down counts as not found."""


def rank_of_answer(question: LibraryQuestion, found: Sequence[Passage], names: dict[str, str]) -> int | None:
    """The rank, from 1, of the first passage that has the answer; `names` are the documents' file names.

    It must come from the right document, and from the right page where that is told.
    """
    for rank, passage in enumerate(found[:DEPTH], start=1):
        right = names[passage.document] == question.document and question.page in (None, passage.page)
        if right and " ".join(question.answer.split()) in " ".join(passage.text.split()):
            return rank
    return None


@dataclass(slots=True)
class SearchScore:
    """One way of searching, over all questions."""

    name: str
    ranks: list[tuple[str, int | None]] = field(default_factory=list)
    """For each question its kind and the rank of its answer."""
    ms: list[float] = field(default_factory=list)

    def add(self, kind: str, rank: int | None, ms: float) -> None:
        self.ranks.append((kind, rank))
        self.ms.append(ms)

    def within(self, depth: int, kind: str | None = None) -> float:
        """The share of questions with the answer among the first `depth` passages."""
        ranks = [rank for one, rank in self.ranks if kind in (None, one)]
        return sum(rank is not None and rank <= depth for rank in ranks) / len(ranks)

    @property
    def mean_reciprocal_rank(self) -> float:
        return sum(1 / rank for _, rank in self.ranks if rank is not None) / len(self.ranks)

    def cells(self, kinds: Sequence[str]) -> list[str]:
        return [
            self.name,
            f"{self.within(1):.2f}",
            f"{self.within(5):.2f}",
            f"{self.mean_reciprocal_rank:.3f}",
            f"{percentile(self.ms, 0.5):.1f} / {percentile(self.ms, 0.95):.1f}",
            *(f"{self.within(1, kind):.2f}" for kind in kinds),
        ]


def scores_table(scores: Sequence[SearchScore]) -> str:
    """One row for each way; the last columns are hit@1 for each kind of question."""
    kinds = list(dict.fromkeys(kind for kind, _ in scores[0].ranks))
    counts = [sum(one == kind for one, _ in scores[0].ranks) for kind in kinds]
    headings = ["strategy", "hit@1", "hit@5", "MRR", "ms p50 / p95"]
    headings += [f"{kind} ({count})" for kind, count in zip(kinds, counts, strict=True)]
    return markdown(headings, (score.cells(kinds) for score in scores))


_GERMAN: Final = re.compile(r"[äöüß]|\b(der|die|das|ist|man)\b")


@dataclass(frozen=True, slots=True)
class CitedAnswer:
    """`says` rests on the document, not word for word; `beside` is a remark that rests on nothing."""

    question: str
    says: str
    document: str
    beside: str


@dataclass(slots=True)
class CitationScore:
    """One way of citing, over all answers."""

    name: str
    answers: int = 0
    cited: int = 0
    """Places that were cited."""
    right: int = 0
    """... of them with a passage of the right document, for what it says."""
    found: int = 0
    """Answers whose sentence got a right citation."""
    beside: int = 0
    """Remarks that were cited although they rest on nothing."""

    def add(self, answer: CitedAnswer, places: Sequence[Support], documents: dict[int, str]) -> None:
        self.answers += 1
        self.cited += len(places)
        on_it = [one for one in places if one.start < len(answer.says)]
        right = [one for one in on_it if documents[one.number] == answer.document]
        self.right += len(right)
        self.found += bool(right)
        self.beside += len(places) > len(on_it)

    def cells(self) -> list[str]:
        right = f"{self.right / self.cited:.2f}" if self.cited else "-"
        return [
            self.name,
            right,
            f"{self.found / self.answers:.2f}",
            f"{self.beside / self.answers:.2f}",
            str(self.answers),
        ]


def answers() -> list[CitedAnswer]:
    return TypeAdapter(list[CitedAnswer]).validate_json((LIBRARY / "answers.json").read_bytes())


async def citations_scored(
    library: Library, collection: CollectionId, names: dict[str, str]
) -> list[CitationScore]:
    """The floor cites the best passage for every sentence; ours with the model's markers, and without."""
    floor, traced, marked = (
        CitationScore("the best passage, always"),
        CitationScore("by words"),
        CitationScore("by markers"),
    )
    for answer in answers():
        found = await library.find(answer.question, [collection], SearchToolConfig())
        passages = [NumberedPassage(number=n, **one.model_dump()) for n, one in enumerate(found, 1)]
        documents = {one.number: names[one.document] for one in passages}
        text = f"{answer.says} {answer.beside}"
        language = "de" if _GERMAN.search(answer.says) else "en"
        middle = len(answer.says)
        always = [Support(number=1, start=0, end=middle), Support(number=1, start=middle + 1, end=len(text))]
        floor.add(answer, always, documents)
        traced.add(answer, supports(text, passages, language), documents)
        number = next((n for n, document in documents.items() if document == answer.document), None)
        if number is not None:
            said = f"{answer.says[:-1]} [{number}]."
            places = supports(f"{said} {answer.beside}", passages, language)
            marked.add(answer, places, documents)
    return [floor, traced, marked]


def citations_table(scores: Sequence[CitationScore]) -> str:
    """`right`: of all citations. `found`: of sentences that rest on something. `beside`: of remarks."""
    headings = ["citations", "right", "found", "beside", "answers"]
    return markdown(headings, (score.cells() for score in scores))


_REPORT: Final = ROOT / "docs" / "retrieval.md"
_MARK: Final = "<!-- `python -m loadtests retrieval --keep` writes below this line -->\n"
_SEED: Final = 7


def main() -> None:
    """Measure, print the table, and with --keep put it into docs/retrieval.md."""
    parser = argparse.ArgumentParser(prog="python -m loadtests retrieval", description=main.__doc__)
    parser.add_argument(
        "--embedding", choices=get_args(EmbeddingModel), default=RetrievalSettings().embedding
    )
    parser.add_argument(
        "--judge", choices=[*get_args(EmbeddingModel), "none"], default=RetrievalSettings().judge
    )
    parser.add_argument("--keep", action="store_true", help="write the table into docs/retrieval.md")
    arguments = parser.parse_args()
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
        citations = await citations_scored(library, collection, names)
    finally:
        await library.aclose()
    return (
        f"{when()}; {machine()}; commit {commit()}; embedding {settings.embedding}, judge {settings.judge}.\n"
        f"{len(names)} documents, {chunks} passages, added in {took:.1f} s; {len(questions())} questions.\n\n"
        f"{scores_table(scores)}\n{citations_table(citations)}"
    )


async def filled(library: Library, collection: CollectionId, folder: Path) -> dict[str, str]:
    """Adds the whole library; returns the documents' ids with their file names."""
    shelf = folder / "shelf"
    shelf.mkdir()
    names: dict[str, str] = {}
    for path in shelve(shelf):
        document = DocumentId(new_id())
        async with aclosing(library.add(collection, document, UploadedDocument(path, path.name))) as steps:
            async for _ in steps:
                pass
        names[document] = path.name
    return names


async def _scored(
    library: Library, collection: CollectionId, names: dict[str, str], strategy: Strategy
) -> SearchScore:
    score = SearchScore(strategy)
    config = SearchToolConfig(strategy=strategy, top_k=DEPTH)
    await library.find("warm up", [collection], config)
    for question in questions():
        begun = time.perf_counter()
        found = await library.find(question.question, [collection], config)
        score.add(
            question.kind, rank_of_answer(question, found, names), (time.perf_counter() - begun) * 1_000
        )
    return score


async def _by_chance(library: Library, collection: CollectionId, names: dict[str, str]) -> SearchScore:
    """The floor: passages in any order."""
    score = SearchScore("by chance")
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
