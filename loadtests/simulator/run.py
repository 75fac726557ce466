"""So many people on a site for a while: what they hear, and what is busy."""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from loadtests.crowd import Answer
from loadtests.figures import percentile
from loadtests.simulator.calendar import Calendar, Walk
from loadtests.simulator.plan import Plan
from loadtests.simulator.site import Site
from loadtests.simulator.station import Station
from loadtests.simulator.turn import Turn, lump, steady

WARM_UP: Final = 0.2
"""This part of the time does not count."""
_HEARD_S: Final = 1.0
"""Of a microphone that is reckoned with at once."""


@dataclass(frozen=True, slots=True)
class Result:
    """What came of it. Milliseconds."""

    people: int
    answers: int
    ttft: tuple[float, float]
    """p50 and p95."""
    ttfa: tuple[float, float]
    stalled: float
    """The share of answers in which the loudspeaker fell silent before the end."""
    stall_ms: float
    """Of silence for each second of sound, at the mean."""
    utilisation: Mapping[str, float]
    queues: Mapping[str, int]
    steady: bool
    """False: waits grow for as long as one looks, so no figure but this one means anything."""

    @property
    def saturated(self) -> str:
        """What is busiest."""
        return max(self.utilisation, key=lambda name: self.utilisation[name])


def simulate(plan: Plan, people: int, seconds: float, *, turns: int | None = None, seed: int = 1) -> Result:
    """Everybody begins at some moment of the first cycle. With `turns`: all at once, and so many each."""
    calendar, dice = Calendar(), random.Random(seed)
    site = Site(plan, calendar, dice)
    answers: list[tuple[float, Answer]] = []
    cycle = _cycle_s(plan)
    for number in range(people):
        begin = 0.0 if turns else dice.uniform(0, cycle)
        calendar.start(_live(site, number, begin, turns, answers))
    calendar.run(seconds)
    return _result(site, people, answers, 0.0 if turns else WARM_UP * seconds)


def _cycle_s(plan: Plan) -> float:
    """From one question of a person to the next, where nobody waits for anything."""
    people = plan.people
    sound = people.tokens / plan.speech.tokens_per_s if people.speak else 0.0
    return people.question_s + people.silence_s + sound + people.think_s + 1.0


def _live(
    site: Site, number: int, begin: float, turns: int | None, answers: list[tuple[float, Answer]]
) -> Walk:
    calendar, people = site.calendar, site.plan.people
    gateway, log = site.pools["gateway"].of(number), site.pools["log"].of(number)
    yield calendar.pause(begin)
    while turns is None or turns > 0:
        turns = None if turns is None else turns - 1
        yield from _microphone(site, gateway, log, people.question_s, spoken=True)
        tokens = people.tokens * (site.dice.uniform(0.5, 1.5) if people.vary else 1.0)
        turn = Turn(site, gateway, log, tokens)
        yield from turn.run()
        answers.append((turn.asked_s, turn.ears.answer))
        rest = turn.ears.remaining_s(calendar.now) if people.speak else 0.0
        if people.think_s:
            rest += site.dice.expovariate(1 / people.think_s) if people.vary else people.think_s
        if people.question_s:
            yield from _microphone(site, gateway, log, rest, spoken=False)
        else:
            yield calendar.pause(rest)


def _microphone(site: Site, gateway: Station, log: Station, seconds: float, *, spoken: bool) -> Walk:
    """What is heard is work all the time, only nobody waits for it."""
    over = site.plan.overheads
    hearing, keeping = (
        (over.gateway_microphone, over.log_microphone) if spoken else (over.gateway_quiet, over.log_quiet)
    )
    while seconds > 0:
        step = min(_HEARD_S, seconds)
        yield site.calendar.pause(step)
        lump(gateway, hearing * step)
        lump(log, keeping * step)
        seconds -= step


def _result(site: Site, people: int, answers: list[tuple[float, Answer]], after_s: float) -> Result:
    counted = [answer for asked, answer in answers if asked >= after_s]
    firsts = [answer.ttft_ms for answer in counted if answer.ttft_ms is not None]
    heard = [answer.ttfa_ms for answer in counted if answer.ttfa_ms is not None]
    sound = sum(answer.sound_ms for answer in counted) / 1_000
    return Result(
        people,
        len(counted),
        _ends(firsts),
        _ends(heard),
        sum(answer.stalled for answer in counted) / len(counted) if counted else 0.0,
        sum(sum(answer.waits_ms) for answer in counted) / sound if sound else 0.0,
        site.utilisation(),
        site.longest_queues(),
        steady(heard or firsts),
    )


def _ends(series: list[float]) -> tuple[float, float]:
    return (percentile(series, 0.5), percentile(series, 0.95)) if series else (float("nan"), float("nan"))
