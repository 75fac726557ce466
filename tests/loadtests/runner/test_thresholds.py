"""Requirements without a word: callers were served, and killed processes came back."""

from typing import Any

import pytest

from loadtests.client.caller_record import CallerRecord
from loadtests.report import load_summary
from loadtests.report.load_result import LoadResult, ProcessKill
from loadtests.report.thresholds import checked, threshold
from tests.loadtests.altered_streams import noted, stream
from tests.loadtests.load_results import result_with

KILL = ProcessKill(at_s=1.0, part="Gateway", pid=7, back_s=2.0)
ANSWERED: dict[str, Any] = {"answers": 2, "answered": 2}


def broken(result: LoadResult, *wishes: str, killing: bool = False) -> list[str]:
    found = checked(result, [threshold(one) for one in wishes], killing=killing)
    return [one.wish for one in found if not one.kept]


def test_a_run_in_which_people_were_served_is_kept() -> None:
    assert broken(result_with("fine", "fine", **ANSWERED)) == []


def test_one_failed_caller_is_enough_unless_so_many_were_allowed() -> None:
    result = result_with("fine", "fine", "failed", **ANSWERED)
    assert broken(result) == ["failed<=0"]
    assert broken(result, "failed<=1") == []


def test_where_everybody_failed_nobody_was_answered_either() -> None:
    assert broken(result_with("failed", "failed", answers=2)) == ["failed<=0", "answered>0"]
    assert broken(result_with("unfinished")) == ["answered>0"]
    assert broken(result_with("refused", "failed"), "failed<=9") == ["answered>0"]


def test_no_answer_is_missed_where_everybody_was_politely_refused_or_nobody_asked() -> None:
    assert broken(result_with("refused", "refused_by_us")) == []
    assert broken(result_with("refused", "fine")) == [], "a scenario that asks nothing"


def test_of_a_run_that_was_stopped_nothing_is_missed() -> None:
    assert broken(result_with("unfinished", stopped=True)) == []
    assert broken(result_with("unfinished", stopped=True), killing=True) == []


@pytest.mark.parametrize(
    ("kills", "missed"),
    [
        ((KILL,), []),
        ((), ["kills>0"]),
        ((KILL.model_copy(update={"pid": None, "back_s": None}),), ["kills>0", "kills_not_followed<=0"]),
        ((KILL, KILL.model_copy(update={"back_s": None})), ["kills_not_followed<=0"]),
    ],
    ids=["one that was followed", "none", "one that found nobody", "one that nobody followed"],
)
def test_every_kill_hits_a_process_that_comes_back(kills: tuple[ProcessKill, ...], missed: list[str]) -> None:
    """Callers may fail then: --require says how many."""
    result = result_with("fine", "failed", kills=kills, **ANSWERED)
    assert broken(result, killing=True) == missed
    assert broken(result, "kills>=0", "kills_not_followed<=9", killing=True) == []
    assert broken(result, "failed<=0", "kills>=0", "kills_not_followed<=9", killing=True) == ["failed<=0"]


def test_an_answer_counts_where_something_of_it_came() -> None:
    whole = stream(["I am here. "], [[40, 60]])
    visits = []
    for number, frames in enumerate([whole, whole[:4], whole[:3]]):
        visits.append(CallerRecord(number, "chat", 0.0, heard=[("session", noted(frames))]))
    judged = [load_summary.judgement([visit]) for visit in visits]
    assert [one.answers for one in judged] == [1, 1, 1]
    assert [one.answered for one in judged] == [1, 1, 0]
    assert load_summary.together(judged).answered == load_summary.judgement(visits).answered == 2
