"""Narrations at once: how late the first sound of an answer is, beside that of one narration alone."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, Final

from loadtests.bench.measured_row import MeasuredRow
from loadtests.client.api_connection import ApiConnection
from loadtests.client.received_answers import CallerPlan, answered
from loadtests.client.received_events import ReceivedAnswer
from loadtests.peers.session_climb import LATE, Ask, ClimbStep, Talk, carried, limit_of, step
from loadtests.report.tables import ComparisonRow, say

WRITER: Final[dict[str, Any]] = {
    "reply": "The small fox slept beside the fire again. " * 80,
    "delta_chars": 7,
    "first_delta_ms": 120,
    "per_delta_ms": 90,
}
"""A little faster than it is spoken, so that nothing need break off; with its sound 20 events a second."""
VOICE: Final[dict[str, Any]] = {
    "ms_per_char": 15.0,
    "chunk_ms": 240,
    "first_chunk_ms": 60,
    "per_chunk_ms": 20,
}
SCRIPTS: Final = {"language_model": WRITER, "text_to_speech": VOICE}
BUDGET: Final = 200
_AT_ONCE: Final = (0.0, 0.2)
"""Seconds between a narration and the next: about none, so that all the sessions are live."""


def narrations(url: str, deltas: int, answers: list[ReceivedAnswer]) -> Talk:
    """All callers hear narrations of so many deltas to their ends; `answers` grows."""

    @asynccontextmanager
    async def talk(number: int) -> AsyncGenerator[Ask, None]:
        async with ApiConnection(url) as client:
            session = await client.create(max_tokens=deltas)
            async with client.stream(session, after=1, audio="opus") as stream:

                async def ask(prompt: str) -> float:
                    answer = await answered(stream, prompt, CallerPlan(listen=True))
                    if answer.ttfa_ms is None:
                        raise RuntimeError("nothing was heard")
                    answers.append(answer)
                    return answer.ttfa_ms

                yield ask

    return talk


@dataclass(frozen=True, slots=True)
class NarrationClimb:
    """The steps in order, and what the group of callers of the budget's size heard."""

    steps: Sequence[ClimbStep]
    within: int
    """The most that were not late."""
    rates: Mapping[int, float]
    """Events a second of one narration while it is written, by the number of narrations."""
    stalled: Mapping[int, float]
    """The share of answers whose sound broke off."""


async def climbing(
    url: str, counts: Sequence[int], seconds: float, deltas: int, warm_up_s: float = 5.0
) -> NarrationClimb:
    """Up to the first that is late; and the budget's number of them in any case."""
    rates: dict[int, float] = {}
    stalled: dict[int, float] = {}
    steps: list[ClimbStep] = []
    await step(narrations(url, deltas, []), 2, warm_up_s, _AT_ONCE)
    for count in counts:
        if steps and carried(steps, limit_of(steps)) < steps[-1].sessions and count != BUDGET:
            continue
        say(f"e: {count} narrations")
        answers: list[ReceivedAnswer] = []
        talk = narrations(url, deltas, answers)
        steps.append(await step(talk, count, seconds * (3 if count == 1 else 1), _AT_ONCE))
        rates[count] = _rate(answers)
        stalled[count] = sum(answer.stalled for answer in answers) / max(1, len(answers))
    return NarrationClimb(steps, carried(steps, limit_of(steps)), rates, stalled)


def _rate(answers: Sequence[ReceivedAnswer]) -> float:
    spent = sum(answer.whole_ms for answer in answers) / 1_000
    return sum(answer.events.total() for answer in answers) / spent if spent else 0.0


def climb_rows(climbed: NarrationClimb) -> list[MeasuredRow]:
    """Each step beside one narration alone; the 95th percentile is what may be half as late again."""
    alone = climbed.steps[0]
    found = []
    for each in climbed.steps[1:]:
        kept = not each.failures and each.p95 <= LATE * alone.p95
        said = [f"{climbed.rates[each.sessions]:.0f} events/s each"]
        said += [f"{climbed.stalled[each.sessions]:.0%} of the answers broke off"]
        said += [f"{each.failures} failed"] if each.failures else []
        said += [f"{climbed.within} narrations stay within {LATE}x"] if each.sessions == BUDGET else []
        name = f"time to first audio, {each.sessions} narrations at once"
        row = ComparisonRow(name, "ms", each.first_ms, alone.first_ms, "one narration", note="; ".join(said))
        if each.sessions == BUDGET:
            row = replace(row, budget=f"<= {LATE}x at p95", kept=kept)
        found.append(MeasuredRow.each(f"e.{each.sessions}", row, paired=False, share=0.95))
    return found
