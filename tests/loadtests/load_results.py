"""Results as a run brings them, for what is made of them."""

from typing import Any

from loadtests.client import oracles
from loadtests.client.caller_record import CallerOutcome, CallerRecord
from loadtests.report import load_summary
from loadtests.report.load_result import Judgement, LoadResult, ProcessKill, SystemSeen
from loadtests.runner import usage_summary
from loadtests.runner.open_loop import ProcessShare


def result_with(
    *outcomes: CallerOutcome,
    answers: int = 0,
    answered: int = 0,
    kills: tuple[ProcessKill, ...] = (),
    counts: dict[str, int] | None = None,
    **more: Any,
) -> LoadResult:
    """Of one person for each outcome."""
    visits = [
        CallerRecord(number, "chat", float(number), ended_s=number + 2.0, outcome=outcome)
        for number, outcome in enumerate(outcomes)
    ]
    judged = Judgement(
        listeners=answers,
        facts=9 * answers,
        answers=answers,
        answered=answered,
        answers_with_gaps=0,
        counts=dict.fromkeys(oracles.KINDS, 0) | (counts or {}),
        compared_with_log=0,
        examples=(),
    )
    about: dict[str, Any] = {
        **dict.fromkeys(("when", "machine", "commit", "url", "command", "scenario", "arrivals"), ""),
        "own_system": True,
        "seconds": 9.0,
        "seed": 1,
        "people": load_summary.people(visits),
        "by_scenario": {},
        "latencies": {},
        "judgement": judged,
        "timeline": (),
        "system": SystemSeen(looked=False, why_not="", kills=kills),
        "client": usage_summary.client([ProcessShare(visits)]),
    }
    return LoadResult(**about | more)
