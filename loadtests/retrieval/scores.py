"""How good rankings are. Pure arithmetic."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from loadtests.figures import percentile
from loadtests.retrieval.shelf import Question
from schemas.settings.retrieval_settings import Passage

DEPTH = 10
"""A right passage further down counts as not found."""


def rank_of_answer(question: Question, found: Sequence[Passage], names: dict[str, str]) -> int | None:
    """The rank, from 1, of the first passage that has the answer; `names` are the documents' file names.

    It must come from the right document, and from the right page where that is told.
    """
    for rank, passage in enumerate(found[:DEPTH], start=1):
        right = names[passage.document] == question.document and question.page in (None, passage.page)
        if right and " ".join(question.answer.split()) in " ".join(passage.text.split()):
            return rank
    return None


@dataclass(slots=True)
class Score:
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


def table(scores: Sequence[Score]) -> str:
    """One row for each way; the last columns are hit@1 for each kind of question."""
    kinds = list(dict.fromkeys(kind for kind, _ in scores[0].ranks))
    counts = [sum(one == kind for one, _ in scores[0].ranks) for kind in kinds]
    headings = ["strategy", "hit@1", "hit@5", "MRR", "ms p50 / p95"]
    headings += [f"{kind} ({count})" for kind, count in zip(kinds, counts, strict=True)]
    lines = [headings, ["---"] * len(headings), *(score.cells(kinds) for score in scores)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines) + "\n"
