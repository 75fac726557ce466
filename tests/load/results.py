"""Results as a run brings them, for what is made of them."""

from typing import Any

from loadtests.load import costs, oracles, summary
from loadtests.load.result import Judgement, Kill, Result, SystemSeen
from loadtests.load.share import Share
from loadtests.load.visit import Outcome, Visit


def result_with(
    *outcomes: Outcome,
    answers: int = 0,
    answered: int = 0,
    kills: tuple[Kill, ...] = (),
    counts: dict[str, int] | None = None,
    **more: Any,
) -> Result:
    """Of one person for each outcome."""
    visits = [
        Visit(number, "chat", float(number), ended_s=number + 2.0, outcome=outcome)
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
        "people": summary.people(visits),
        "by_scenario": {},
        "latencies": {},
        "judgement": judged,
        "timeline": (),
        "system": SystemSeen(looked=False, why_not="", kills=kills),
        "client": costs.client([Share(visits)]),
    }
    return Result(**about | more)
