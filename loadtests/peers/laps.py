"""Laps of a race, in an order left to chance, and the tables that come of them."""

import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

from loadtests.client.recorded_speech import Clip
from loadtests.peers.contestants import FAILURES, Contestant, HeardAnswer
from loadtests.peers.peer_servers import STAGES, EngineServices, stages
from loadtests.peers.session_climb import LATE, SOON_MS, ClimbStep, carried, limit_of
from loadtests.report.tables import markdown, percentile, say, spread, table_of, verdict

# fmt: off
_NAMES: Final = (
    "Anna", "Boris", "Clara", "David", "Edith", "Felix", "Greta", "Henry", "Irene",
    "Jonas", "Klara", "Louis", "Marta", "Nils", "Olga", "Peter", "Quinn", "Rosa",
    "Simon", "Tilda", "Ulrich", "Vera", "Walter", "Xenia", "Yusuf", "Zoe",
)
# fmt: on
_WISHES: Final = (
    "Tell me a story about {} and a red fox.",
    "Tell me a fairy tale about {} at the sea.",
    "Why does {} like old clocks?",
    "Describe a winter evening at the house of {}.",
    "What would {} write in a letter from a lighthouse?",
)
_TEXTS: Final = (
    "When {} came down to the harbour that evening, the boats had gone. Only the lamp was burning.",
    "It had rained for three days, and {} was tired of waiting. On the fourth day the sun came out.",
    "{} opened the letter at once. It was short, and it was not signed.",
    "In the oldest part of the town, where the streets are too narrow for carts, {} kept a shop of clocks.",
    "Nobody had seen {} since the spring. Then, on a cold morning in November, the bell rang.",
)
_KINDS: Final = 5
"""Of questions, of texts and of recordings: everybody gets each of them equally often."""


@dataclass
class Laps:
    """Answers and failures by contestant."""

    heard: dict[str, list[HeardAnswer]] = field(default_factory=dict)
    failures: dict[str, list[str]] = field(default_factory=dict)


Run = Callable[[Contestant, int], Awaitable[HeardAnswer]]
"""(who, the number of the lap with an offset of their own) to what was heard."""


def prompt(number: int) -> str:
    """No two are the same for many laps: what a model has read before it reads faster."""
    return _WISHES[number % len(_WISHES)].format(_name(number))


def text(number: int) -> str:
    return _TEXTS[number % len(_TEXTS)].format(_name(number))


def _name(number: int) -> str:
    first, second = divmod(number, len(_NAMES))
    return _NAMES[second] if not first else f"{_NAMES[second]} and {_NAMES[(second + first) % len(_NAMES)]}"


async def laps(contestants: Sequence[Contestant], count: int, run: Run, engines: EngineServices) -> Laps:
    """`count` laps after one that warms up. The engines are idle before everybody's turn."""
    found = Laps({each.name: [] for each in contestants}, {each.name: [] for each in contestants})
    stride = len(contestants) + (len(contestants) % _KINDS == 0)
    for lap in range(count + 1):
        order = random.Random(lap).sample(range(len(contestants)), len(contestants))
        for place in order:
            each = contestants[place]
            engines.rest()
            engines.marks()
            try:
                heard = await run(each, lap * stride + place)
                heard = replace(heard, stages=stages(engines.marks(), heard.asked_s))
            except FAILURES as error:
                found.failures[each.name] += [str(error) or "no answer"] if lap else []
                say(f"lap {lap}: {each.name}: {str(error) or 'no answer'}")
            else:
                found.heard[each.name] += [heard] if lap else []
                say(f"lap {lap}: {each.name}: {heard.first_ms:.0f} ms")
    return found


def typed(who: Contestant, number: int) -> Awaitable[HeardAnswer]:
    """A written question to first sound."""
    return who.ask(prompt(number))


def read(who: Contestant, number: int) -> Awaitable[HeardAnswer]:
    """A whole text to first sound."""
    return who.read(text(number))


def spoken(clips: Sequence[Clip]) -> Run:
    """The last sound of a spoken question to the first of its answer. In a lap nobody says the same."""
    return lambda who, number: who.say(clips[number % len(clips)])


OURS: Final = "Rhapsode"
"""Names of our own rows begin so."""
WORDWISE: Final = "TOKEN"
"""Rows with this in their name speak word by word: they are shown, and are no yardstick."""


@dataclass(frozen=True, slots=True)
class Race:
    """One row of the report: what is raced for, and how far below the best peer we want to be."""

    name: str
    laps: Laps
    target: float

    @property
    def best(self) -> tuple[str, float] | None:
        """The peer with the shortest median."""
        peers = {
            name: percentile([each.first_ms for each in taken], 0.5)
            for name, taken in self.laps.heard.items()
            if taken and not name.startswith(OURS) and WORDWISE not in name
        }
        return min(peers.items(), key=lambda item: item[1]) if peers else None

    def table(self) -> str:
        best = self.best
        rows = []
        for name, taken in self.laps.heard.items():
            first = [each.first_ms for each in taken]
            failures = self.laps.failures[name]
            ratio = percentile(first, 0.5) / best[1] if first and best else None
            judged = verdict(ratio <= self.target) if ratio is not None and name.startswith(OURS) else ""
            row = {"who": name, "first sound, p50 / p95 ms": spread(first)}
            row["of the best peer's p50"] = "-" if ratio is None else f"{ratio:.2f}"
            row |= {f"<= {self.target:g}": judged, "n": str(len(first)), "failed": _counted(failures)}
            rows.append(row)
        return table_of(rows)

    def stages_table(self) -> str:
        """Table of the stages of contestants that use the services, p50 of each."""
        rows = []
        for name, taken in self.laps.heard.items():
            seen = [each for each in taken if each.stages]
            if not seen:
                continue
            middle = [
                _middle([each.stages[stage] for each in seen if stage in each.stages]) for stage in STAGES
            ]
            rows.append([name, *middle, _middle([each.first_ms for each in seen])])
        return markdown(["ms, p50", *STAGES, "heard"], rows) if rows else ""


def _middle(series: Sequence[float]) -> str:
    return f"{percentile(series, 0.5):.0f}" if series else "-"


def _counted(failures: Sequence[str]) -> str:
    kinds = dict.fromkeys(failures)
    return "; ".join(f"{failures.count(kind)} x {kind}" for kind in kinds) or "0"


def sessions_table(climbs: Mapping[str, Sequence[ClimbStep]], target: float) -> str:
    """How many sessions everybody carried, by both limits."""
    own = {name: carried(steps, limit_of(steps)) for name, steps in climbs.items()}
    same = {name: carried(steps, SOON_MS) for name, steps in climbs.items()}
    rows = []
    for name, steps in climbs.items():
        judged = ""
        if name.startswith(OURS) and (ratio := _of_best_peer(own, name)) is not None:
            judged = verdict(ratio >= target)
        rows.append(
            [
                name,
                str(own[name]),
                _told(_of_best_peer(own, name)),
                judged,
                str(same[name]),
                _told(_of_best_peer(same, name)),
                ", ".join(f"{each.sessions}: {each.p95:.0f}{'*' * (each.tries - 1)}" for each in steps),
                str(sum(each.failures for each in steps)),
                f"{max(each.stolen for each in steps):.0%}",
            ]
        )
    headings = ["who", f"sessions within {LATE:g} x", "of the best peer's", f">= {target:g}"]
    headings += [
        f"within {SOON_MS / 1_000:g} s",
        "of the best peer's",
        "sessions: p95 ms",
        "failed",
        "stolen",
    ]
    return markdown(headings, rows)


def _of_best_peer(counts: Mapping[str, int], name: str) -> float | None:
    best = max((count for peer, count in counts.items() if not peer.startswith(OURS)), default=0)
    return counts[name] / best if best else None


def _told(ratio: float | None) -> str:
    return "-" if ratio is None else f"{ratio:.1f}"


def figures(races: Sequence[Race], climbs: Mapping[str, Sequence[ClimbStep]]) -> dict[str, Any]:
    """Everything, for a JSON file."""
    return {
        **{
            race.name: {
                "heard": {name: [asdict(each) for each in taken] for name, taken in race.laps.heard.items()},
                "failures": race.laps.failures,
            }
            for race in races
        },
        "sessions": {name: [asdict(each) for each in steps] for name, steps in climbs.items()},
    }
