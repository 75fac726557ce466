"""A simulation: callers, costs of their turns, the machines that do the work, and what callers then hear."""

import random
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf
from typing import Any, Final

from loadtests.capacity.simulator.work_station import EventCalendar, Signal, Wait, Walk, WorkHost, WorkStation
from loadtests.client.received_events import AnswerPlayback, ReceivedAnswer
from loadtests.report.tables import percentile


@dataclass(frozen=True, slots=True)
class RateCurve:
    """A quantity by the number of jobs: straight between the points, and on in the last direction."""

    points: tuple[tuple[float, float], ...]

    @classmethod
    def flat(cls, value: float) -> "RateCurve":
        return cls(((1.0, value),))

    @classmethod
    def of(cls, values: Mapping[str, float], by: float = 1.0) -> "RateCurve":
        """Of a table as in docs/costs.json."""
        return cls(tuple(sorted((float(number), value * by) for number, value in values.items())))

    def __call__(self, jobs: float) -> float:
        points = self.points
        if len(points) == 1 or jobs <= points[0][0]:
            return points[0][1]
        right = min(bisect_left(points, (jobs, -inf)), len(points) - 1)
        (x0, y0), (x1, y1) = points[right - 1], points[right]
        return max(0.0, y0 + (y1 - y0) * (jobs - x0) / (x1 - x0))


@dataclass(frozen=True, slots=True)
class WorkStage:
    """Replicas that do one kind of work. A unit of it: a token, a second of sound, a processor second."""

    host: str
    replicas: int
    unit_s: RateCurve
    """How long a unit takes each of so many jobs that are worked on together."""
    claim: RateCurve
    """Capacity of the host that so many jobs use at full speed."""
    places: float = inf
    """Jobs that one replica works on together; more wait."""


@dataclass(frozen=True, slots=True)
class MachineKind:
    """Of one kind."""

    count: int
    capacity: float
    """Cores, or 1 for a card."""


@dataclass(frozen=True, slots=True)
class CallerModel:
    """Cycle of a caller: ask, listen to the end, think. Means; each turn differs."""

    tokens: float
    """Of an answer."""
    question_s: float = 0.0
    """How long a spoken question is; 0: it is typed."""
    silence_s: float = 0.0
    """That is waited for after it."""
    think_s: float = 0.0
    speak: bool = True
    vary: bool = True
    """Lengths differ by half, thinking is as unequal as waiting times are; False: everything is its mean."""


@dataclass(frozen=True, slots=True)
class SpeechModel:
    """How text becomes sound."""

    tokens_per_s: float
    """Of the text that a second of sound says."""
    first_tokens: float
    """Of the first fragment."""
    sentence_tokens: float
    chunks_s: tuple[float, ...] = (0.24, 0.46, 0.92, 1.38)
    """Sound of the first chunks of a sentence; all later ones are as the last."""
    first_units: float = 0.0
    """Work before a sentence's first chunk, in seconds of sound, beside that of the chunk."""
    ahead: int = 2
    """Sentences in synthesis beyond the one that is being recorded."""


@dataclass(frozen=True, slots=True)
class SimulationPlan:
    """Everything that a simulation needs to know."""

    people: CallerModel
    speech: SpeechModel
    around: Mapping[str, Any]
    """Costs around the models as docs/costs.json has them: processor seconds by role and part."""
    hosts: Mapping[str, MachineKind]
    stages: Mapping[str, WorkStage]
    """gateway, log, replicas (what surrounds the models in their processes), stt, llm, tts."""
    prefill_units: float
    """Work before an answer's first token, in tokens."""
    deltas_per_token: float = 1.0

    @property
    def hops_s(self) -> float:
        """Waiting on the way from a question to its first words that is nobody's work: polls, wake-ups."""
        gateway, log = self.around["gateway"], self.around["log"]
        worked: float = gateway["turn"] + gateway["delta"] + log["turn"]
        return max(0.0, float(self.around["first_words_s"]) - worked)


class StationPool:
    """The replicas of one stage. The less busy of two picked at random is asked, as Ray Serve does it."""

    def __init__(self, stations: Sequence[WorkStation], dice: random.Random) -> None:
        self.stations = stations
        self._dice = dice

    def pick(self) -> WorkStation:
        if len(self.stations) == 1:
            return self.stations[0]
        first, second = self._dice.sample(range(len(self.stations)), 2)
        return min(self.stations[first], self.stations[second], key=len)

    def of(self, number: int) -> WorkStation:
        """Returns the station that a session stays with: its gateway, or its shard of the log."""
        return self.stations[number % len(self.stations)]


class SimulatedSite:
    """Everything that works."""

    def __init__(self, plan: SimulationPlan, calendar: EventCalendar, dice: random.Random) -> None:
        self.plan = plan
        self.calendar = calendar
        self.dice = dice
        self._hosts = {
            name: [WorkHost(calendar, name, kind.capacity) for _ in range(kind.count)]
            for name, kind in plan.hosts.items()
        }
        self.pools = {
            name: StationPool(self._stations(name, stage), dice) for name, stage in plan.stages.items()
        }

    def _stations(self, name: str, stage: WorkStage) -> list[WorkStation]:
        hosts = self._hosts[stage.host]
        return [_station(name, stage, hosts[number % len(hosts)]) for number in range(stage.replicas)]

    def utilisation(self) -> Mapping[str, float]:
        """Of each kind of host, at the mean."""
        return {
            name: sum(host.utilisation() for host in hosts) / len(hosts)
            for name, hosts in self._hosts.items()
        }


def _station(name: str, stage: WorkStage, host: WorkHost) -> WorkStation:
    return WorkStation(
        host, name, speed=lambda jobs: 1.0 / stage.unit_s(jobs), claim=stage.claim, places=stage.places
    )


_TEXT = {"text": ""}


def fragments(tokens: float, speech: SpeechModel) -> list[float]:
    """Tokens of each sentence of an answer: a short first fragment, then sentences of one length."""
    first = min(tokens, speech.first_tokens)
    whole, rest = divmod(tokens - first, speech.sentence_tokens)
    return [first, *[speech.sentence_tokens] * int(whole), *([rest] if rest >= 1 else [])]


def chunks(sound_s: float, speech: SpeechModel) -> list[float]:
    """Seconds of each chunk of a sentence."""
    cut: list[float] = []
    while sound_s > 1e-9:
        step = speech.chunks_s[min(len(cut), len(speech.chunks_s) - 1)]
        cut.append(min(step, sound_s))
        sound_s -= step
    return cut


class SimulatedTurn:
    """From the end of the question to the last chunk. `listeners` hears it."""

    def __init__(self, site: SimulatedSite, gateway: WorkStation, log: WorkStation, tokens: float) -> None:
        plan = site.plan
        self._site = site
        self._plan = plan
        self._calendar = site.calendar
        self._gateway, self._at_gateway = gateway, plan.around["gateway"]
        self._log, self._at_log = log, plan.around["log"]
        self._sentences = fragments(tokens, plan.speech)
        self._sound = [chunks(size / plan.speech.tokens_per_s, plan.speech) for size in self._sentences]
        self._ready = [Signal() for _ in self._sentences]
        self._made = [[Signal() for _ in cut] for cut in self._sound]
        self._recorded = [Signal() for _ in self._sentences]
        self.asked_s = self._calendar.now
        self.playback = AnswerPlayback(self.asked_s)

    def run(self) -> Walk:
        plan, calendar = self._plan, self._calendar
        if plan.people.question_s:
            yield calendar.pause(plan.people.silence_s)
            yield self._pool("stt", plan.people.question_s)
        yield self._gateway.work(self._at_gateway["turn"])
        yield self._log.work(self._at_log["turn"])
        yield calendar.pause(plan.hops_s)
        self._write()
        if plan.people.speak:
            for number in range(len(self._sentences)):
                calendar.start(self._synthesize(number))
            yield from self._record()
        else:
            yield self._ready[-1].wait
        self.playback.take("turn.completed", {}, calendar.now)

    def _write(self) -> None:
        """The language model keeps its place until the last token; nobody waits here."""
        first, *others = self._sentences
        milestones = [self._plan.prefill_units + 1, max(0.0, first - 1), *others]
        self._site.pools["llm"].pick().enter(milestones, self._written)

    def _written(self, milestone: int) -> None:
        if milestone == 0:
            self._calendar.start(self._first_words())
            return
        number = milestone - 1
        self._deltas(self._sentences[number] * self._plan.deltas_per_token)
        self._ready[number].set()

    def _first_words(self) -> Walk:
        yield self._gateway.work(self._at_gateway["delta"])
        self.playback.take("text.delta", _TEXT, self._calendar.now)

    def _deltas(self, many: float) -> None:
        """Work of their way to the listener, in one lump."""
        lump(self._gateway, self._at_gateway["delta"] * many)
        lump(self._log, self._at_log["delta"] * many)
        lump(self._site.pools["replicas"].pick(), self._plan.around["language_model"]["delta"] * many)

    def _synthesize(self, number: int) -> Walk:
        speech = self._plan.speech
        yield self._ready[number].wait
        if (before := number - 1 - speech.ahead) >= 0:
            yield self._recorded[before].wait
        first, *others = self._sound[number]
        milestones = [first + speech.first_units, *others]
        made = self._made[number]
        self._site.pools["tts"].pick().enter(milestones, lambda chunk: made[chunk].set())

    def _record(self) -> Walk:
        """Sentence after sentence, chunk after chunk, into the log and to the listener."""
        for number, cut in enumerate(self._sound):
            for made, seconds in zip(self._made[number], cut, strict=True):
                yield made.wait
                yield self._gateway.work(self._at_gateway["chunk"])
                yield self._log.work(self._at_log["chunk"])
                self.playback.take("audio.chunk", {"ms": seconds * 1_000}, self._calendar.now)
            self._recorded[number].set()

    def _pool(self, stage: str, amount: float) -> Wait:
        return self._site.pools[stage].pick().work(amount)


def lump(station: WorkStation, work: float) -> None:
    """Work that takes its place among the others, and that nobody waits for."""
    if work > 0:
        station.enter((work,), lambda _: None)


def steady(series: list[float]) -> bool:
    """Tell whether a series is steady; that of a queue which grows for ever is not."""
    half = len(series) // 2
    parts = [sum(part) / len(part) for part in (series[:half], series[half:]) if part]
    return all(later <= 1.5 * earlier + 1e-3 for earlier, later in pairwise(parts))


WARM_UP: Final = 0.2
"""This part of the time does not count."""
_HEARD_S: Final = 1.0
"""Of a microphone that is reckoned with at once."""


@dataclass(frozen=True, slots=True)
class SimulationResult:
    """Result of a simulation. Milliseconds."""

    people: int
    answers: int
    ttft: tuple[float, float]
    """p50 and p95."""
    ttfa: tuple[float, float]
    stalled: float
    """The share of answers in which the player fell silent before the end."""
    utilisation: Mapping[str, float]
    steady: bool
    """False: waits grow for as long as one looks, so no figure but this one means anything."""


def simulate(
    plan: SimulationPlan, people: int, seconds: float, *, turns: int | None = None, seed: int = 1
) -> SimulationResult:
    """Callers begin at moments of the first cycle. With `turns`: all at once, and so many turns each."""
    calendar, dice = EventCalendar(), random.Random(seed)
    site = SimulatedSite(plan, calendar, dice)
    answers: list[tuple[float, ReceivedAnswer]] = []
    cycle = _cycle_s(plan)
    for number in range(people):
        begin = 0.0 if turns else dice.uniform(0, cycle)
        calendar.start(_live(site, number, begin, turns, answers))
    calendar.run(seconds)
    return _result(site, people, answers, 0.0 if turns else WARM_UP * seconds)


def _cycle_s(plan: SimulationPlan) -> float:
    """From one question of a caller to the next, where nobody waits for anything."""
    people = plan.people
    sound = people.tokens / plan.speech.tokens_per_s if people.speak else 0.0
    return people.question_s + people.silence_s + sound + people.think_s + 1.0


def _live(
    site: SimulatedSite,
    number: int,
    begin: float,
    turns: int | None,
    answers: list[tuple[float, ReceivedAnswer]],
) -> Walk:
    calendar, people = site.calendar, site.plan.people
    gateway, log = site.pools["gateway"].of(number), site.pools["log"].of(number)
    yield calendar.pause(begin)
    while turns is None or turns > 0:
        turns = None if turns is None else turns - 1
        yield from _microphone(site, gateway, log, people.question_s, spoken=True)
        tokens = people.tokens * (site.dice.uniform(0.5, 1.5) if people.vary else 1.0)
        turn = SimulatedTurn(site, gateway, log, tokens)
        yield from turn.run()
        answers.append((turn.asked_s, turn.playback.answer))
        rest = turn.playback.remaining_s(calendar.now) if people.speak else 0.0
        if people.think_s:
            rest += site.dice.expovariate(1 / people.think_s) if people.vary else people.think_s
        if people.question_s:
            yield from _microphone(site, gateway, log, rest, spoken=False)
        else:
            yield calendar.pause(rest)


def _microphone(
    site: SimulatedSite, gateway: WorkStation, log: WorkStation, seconds: float, *, spoken: bool
) -> Walk:
    """Microphone audio is work all the time, and no step waits for it."""
    part = "microphone_s" if spoken else "quiet_s"
    hearing, keeping = site.plan.around["gateway"][part], site.plan.around["log"][part]
    while seconds > 0:
        step = min(_HEARD_S, seconds)
        yield site.calendar.pause(step)
        lump(gateway, hearing * step)
        lump(log, keeping * step)
        seconds -= step


def _result(
    site: SimulatedSite, people: int, answers: list[tuple[float, ReceivedAnswer]], after_s: float
) -> SimulationResult:
    counted = [answer for asked, answer in answers if asked >= after_s]
    firsts = [answer.ttft_ms for answer in counted if answer.ttft_ms is not None]
    heard = [answer.ttfa_ms for answer in counted if answer.ttfa_ms is not None]
    return SimulationResult(
        people,
        len(counted),
        _ends(firsts),
        _ends(heard),
        sum(answer.stalled for answer in counted) / len(counted) if counted else 0.0,
        site.utilisation(),
        steady(heard or firsts),
    )


def _ends(series: list[float]) -> tuple[float, float]:
    return (percentile(series, 0.5), percentile(series, 0.95)) if series else (float("nan"), float("nan"))
