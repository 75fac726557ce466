"""Rankings joined by ranks, and the arithmetic of the benchmark."""

from hypothesis import given
from hypothesis import strategies as st

from loadtests.bench.retrieval.question_library import LibraryQuestion
from loadtests.bench.retrieval.retrieval_bench import SearchScore, rank_of_answer, scores_table
from pipeline.rag.passage_search import fused
from pipeline.rag.store.passage_store import Hit
from schemas.settings.retrieval_settings import CollectionId, DocumentId, Passage

_RANKING = st.lists(st.integers(1, 30), unique=True, max_size=20)


def _hits(numbers: list[int]) -> list[Hit]:
    return [Hit(number, 0.0) for number in numbers]


def test_a_hit_that_two_rankings_agree_on_comes_first() -> None:
    assert [hit.chunk for hit in fused([_hits([1, 2, 3]), _hits([4, 2, 5])])] == [2, 1, 4, 3, 5]


def test_the_score_is_that_of_the_paper() -> None:
    (first, second) = fused([_hits([7, 8]), _hits([7])])
    assert (first.score, second.score) == (2 / 61, 1 / 62)


@given(st.lists(_RANKING, min_size=1, max_size=4))
def test_nothing_is_lost_and_nothing_comes_twice(rankings: list[list[int]]) -> None:
    joined = [hit.chunk for hit in fused(map(_hits, rankings))]
    assert sorted(joined) == sorted({number for ranking in rankings for number in ranking})


@given(_RANKING)
def test_one_ranking_stays_as_it_is(ranking: list[int]) -> None:
    assert [hit.chunk for hit in fused([_hits(ranking)])] == ranking


@given(_RANKING, _RANKING)
def test_the_order_of_the_rankings_does_not_matter(one: list[int], other: list[int]) -> None:
    ways = [fused([_hits(one), _hits(other)]), fused([_hits(other), _hits(one)])]
    assert [hit.chunk for hit in ways[0]] == [hit.chunk for hit in ways[1]]


def _passage(text: str, document: str, page: int | None = None) -> Passage:
    return Passage(
        collection=CollectionId("c"),
        document=DocumentId(document),
        title="t",
        media_type="text/plain",
        page=page,
        start=0,
        end=len(text),
        text=text,
        score=1.0,
        strategy="vector",
    )


def test_an_answer_counts_only_from_its_document_and_its_page() -> None:
    asked_for = LibraryQuestion("plain", "?", "a.pdf", "nine minutes", page=2)
    names = {"1": "a.pdf", "2": "b.pdf"}
    wrong = [_passage("nine minutes", "2", 2), _passage("nine minutes", "1", 1), _passage("ten", "1", 2)]
    assert rank_of_answer(asked_for, wrong, names) is None
    assert rank_of_answer(asked_for, [*wrong, _passage("in nine\nminutes", "1", 2)], names) == 4


def test_scores_are_counted_by_kind_as_well() -> None:
    score = SearchScore("vector")
    for kind, rank in [("name", 1), ("name", 4), ("number", None), ("number", 2)]:
        score.add(kind, rank, 10.0)
    assert (score.within(1), score.within(5), score.within(1, "name")) == (0.25, 0.75, 0.5)
    assert score.mean_reciprocal_rank == (1 + 1 / 4 + 1 / 2) / 4
    assert "| vector | 0.25 | 0.75 | 0.438 | 10.0 / 10.0 | 0.50 | 0.00 |" in scores_table([score])
