"""How many may be here at once: as many as are answered about as soon as with hardly anybody here."""

import random
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil, inf
from statistics import median
from typing import Final

from pipeline.core.clock import Clock
from schemas.errors import GatewayBusy
from schemas.settings.limit_settings import AdmissionSettings

_FEW: Final = 2
"""Turns that run beside another one and leave it as quick as usual."""
_USUAL: Final = 20
"""So many of them are remembered, of each kind."""
_ENOUGH: Final = 3
"""Fewer than these say nothing."""
_NEVER_LATE_S: Final = 0.12
"""Seconds within which an answer is never late, whatever the baseline is."""
_CLOCK_S: Final = 0.001
"""Below this, times say nothing, and nothing may be divided by them."""
_LATELY: Final = 8
_LATELY_S: Final = 4.0
"""So many answers are judged by, if they are no older than this."""
_MOST: Final = 0.75
"""Of them so many must begin in time."""
_LOOK_S: Final = 0.2
_CUT: Final = 0.6
"""One cut leaves this part of the room at least."""
_GROWTH_PER_S: Final = 0.05
_NEAR: Final = 0.8
"""From this part of what were too many, room grows `_CAREFULLY` times as fast for so long after."""
_CAREFULLY: Final = 0.3
_WARY_S: Final = 30.0
_SILENT_S: Final = 20.0
"""If nothing was learned for so long, it is tried whether there is room: those inside may be paused."""
_EXPECTED_S: Final = 1.0
"""Seconds after which an admitted session that has asked nothing no longer counts."""
_LATER_S: Final = 10.0
"""How many came in this time tells when those who were refused should come back."""
_RETRY_MOST_S: Final = 60.0
_REMEMBERED: Final = 4_096
"""Of either; with more the wait would be the longest anyway."""
_HEARD_S: Final = 1.0
"""Seconds after a cut of the limit in which answers of other gateways count as asked before it."""
_GONE_S: Final = 3.0
"""Seconds after which a gateway without announcements of others counts as alone."""


@dataclass(slots=True)
class Wait:
    """For one answer to begin; told at most once how it ended."""

    kind: str
    since_s: float
    calm: bool
    """Hardly anybody else was there when it began: it shows what is usual."""
    _open: bool = True

    def close(self) -> bool:
        """Whether it was open."""
        was, self._open = self._open, False
        return was


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The other gateways of a machine, together."""

    gateways: int = 0
    turns: int = 0
    lately: Sequence[tuple[float, float]] = ()
    """How long ago (seconds) their latest answers began, and how many times as late as usual."""


class ConcurrencyLimiter:
    """Watches how soon the answers of this process begin, and learns for how many turns there is room.

    Turns of admitted sessions are never refused here, and take room. The room shrinks while answers begin
    `slowdown` times as late as usual, grows while they are well below that and all of it is taken, and
    stays as it is in between. Pure, with a clock.
    """

    def __init__(self, limits: AdmissionSettings, clock: Clock, dice: random.Random | None = None) -> None:
        self._bound = limits.slowdown or inf
        self._clock = clock
        self._dice = dice or random.Random()
        self._running = 0
        self._usual: dict[str, deque[float]] = {}
        self._lately: deque[tuple[float, float]] = deque(maxlen=_LATELY)
        """When an answer began, and how many times as late as usual."""
        self._waiting: dict[int, Wait] = {}
        self._neighbours = Neighbours()
        self._heard_s = -inf
        self._learned_s: dict[str, float] = {}
        """When a turn of the kind has last shown what is usual."""
        self._room = inf
        self._expected: deque[float] = deque()
        """When those were let in who have asked nothing yet."""
        self._let_in: deque[float] = deque(maxlen=_REMEMBERED)
        self._refused: deque[float] = deque(maxlen=_REMEMBERED)
        self._looked_s = clock.monotonic()
        self._cut_s = -inf
        self._too_many = inf
        """So many turns ran when room was cut last: here, or in each of us on average if that is more."""
        self._known_s = -inf
        """When something was known last of how late answers begin."""

    @contextmanager
    def turn(self, kind: str, waited_s: float = 0.0) -> Iterator[Wait]:
        """A turn runs here; `answered` and `dropped` take what this yields. Its like are of its `kind`."""
        if self._expected:
            self._expected.popleft()
        wait = Wait(kind, self._clock.monotonic() - waited_s, self._is_calm(kind))
        self._waiting[id(wait)] = wait
        self._running += 1
        try:
            yield wait
        finally:
            self._running -= 1
            self.dropped(wait)

    def answered(self, wait: Wait) -> None:
        """Its answer begins; telling it again changes nothing."""
        if not wait.close():
            return
        del self._waiting[id(wait)]
        now = self._clock.monotonic()
        took_s = now - wait.since_s
        if wait.calm:
            self._usual.setdefault(wait.kind, deque(maxlen=_USUAL)).append(took_s)
            self._learned_s[wait.kind] = now
        if (times := self._times(wait, now)) is not None:
            self._lately.append((now, times))
        self._look()

    def dropped(self, wait: Wait) -> None:
        """Forgets a wait that was given up or is delayed on purpose: it does not count as a measurement."""
        if wait.close():
            del self._waiting[id(wait)]

    def update_neighbours(self, beside: Neighbours) -> None:
        """Takes in the latest load reports of the gateways that share these processors."""
        self._neighbours, self._heard_s = beside, self._clock.monotonic()
        self._look()

    @property
    def lately(self) -> list[tuple[float, float]]:
        """How long ago (seconds) answers began here, and how many times as late as usual.

        A turn that still waits counts once it is late. Turns that were
        asked before the limit was cut say nothing about the cut.
        """
        now = self._clock.monotonic()
        while self._lately and self._lately[0][0] < now - _LATELY_S:
            self._lately.popleft()
        waiting = [self._times(wait, now) for wait in self._waiting.values()]
        late = [(0.0, times) for times in waiting if times is not None and times > self._bound]
        return [(now - began_s, times) for began_s, times in self._lately] + late

    @property
    def room(self) -> float:
        """Turns at a time beside which new sessions are let in; infinite while nothing was ever late."""
        self._look()
        return self._room

    @property
    def taken(self) -> int:
        """Of the room: turns that run, and those who were let in a moment ago."""
        _forget(self._expected, self._clock.monotonic() - _EXPECTED_S)
        return self._running + len(self._expected)

    @property
    def slowness(self) -> float | None:
        """How many times as late as usual three of four answers began lately, here and beside us.

        None: that is not known.
        """
        now = self._clock.monotonic()
        oldest_s = min(_LATELY_S, now - self._cut_s - _HEARD_S)
        heard_ago_s = now - self._heard_s
        beside = [times for ago_s, times in self._beside.lately if ago_s + heard_ago_s < oldest_s]
        found = sorted([times for _, times in self.lately] + beside)
        return found[ceil(_MOST * len(found)) - 1] if len(found) >= _ENOUGH else None

    @property
    def crowded(self) -> str:
        """Why nobody should come now, in words; empty: there is room."""
        return self._why if self.taken >= self.room else ""

    @property
    def retry_after_s(self) -> float:
        """Spread over the time in which there will be room for all who were refused lately."""
        since = self._clock.monotonic() - _LATER_S
        _forget(self._let_in, since)
        _forget(self._refused, since)
        longest_s = _LATER_S * len(self._refused) / max(1, len(self._let_in))
        return min(_RETRY_MOST_S, self._dice.uniform(1, 3 + longest_s))

    def check(self) -> None:
        """Admits a new session. Raises GatewayBusy."""
        now = self._clock.monotonic()
        if self.crowded:
            self._refused.append(now)
            raise GatewayBusy(f"{self._why}; try again shortly", retry_after_s=self.retry_after_s)
        self._expected.append(now)
        self._let_in.append(now)
        _forget(self._let_in, now - _LATER_S)

    @property
    def _why(self) -> str:
        return f"more than {self.taken} at a time would be answered late"

    @property
    def _beside(self) -> Neighbours:
        gone = self._clock.monotonic() - self._heard_s > _GONE_S
        return Neighbours() if gone else self._neighbours

    def _is_calm(self, kind: str) -> bool:
        """Now and then also if that is so here alone: a machine that is never calm may have become slower."""
        if self._running + self._beside.turns < _FEW:
            return True
        known = len(self._usual.get(kind, ())) >= _ENOUGH
        lately = self._clock.monotonic() - self._learned_s.get(kind, -inf) < _SILENT_S
        return self._running < _FEW and not (known and lately)

    def _times(self, wait: Wait, now_s: float) -> float | None:
        """As late as usual; None: that is not known, or says nothing of how many there are now."""
        usual = self._usual.get(wait.kind, ())
        if wait.calm or wait.since_s < self._cut_s or len(usual) < _ENOUGH:
            return None
        return (now_s - wait.since_s) / max(_CLOCK_S, _NEVER_LATE_S / self._bound, median(usual))

    def _look(self) -> None:
        """Now and then, whenever somebody asks or is answered."""
        now = self._clock.monotonic()
        passed_s = now - self._looked_s
        if passed_s < _LOOK_S:
            return
        self._looked_s, slowness, taken = now, self.slowness, self.taken
        self._known_s = now if slowness is not None else self._known_s
        if slowness is not None and slowness > self._bound:
            if taken <= self._room:  # else the last cut is still at work
                were = min(self._room, taken)
                self._too_many = max(were, (taken + self._beside.turns) / (1 + self._beside.gateways))
                self._room = max(self._least, were * max(_CUT, self._bound / slowness))
                self._cut_s = now
                self._lately.clear()
        elif self._room - 1 < taken and self._is_enough(slowness, taken):
            one_more = 1 / (1 + self._beside.gateways)  # for all gateways of the machine together
            grown = (one_more + _GROWTH_PER_S * self._room) * min(1.0, passed_s)
            self._room += grown * (_CAREFULLY if self._is_near(now) else 1.0)

    @property
    def _least(self) -> int:
        """Room that is never taken away: as many turns for all gateways of a machine, and one for each."""
        return ceil((_FEW + 1) / (1 + self._beside.gateways))

    def _is_near(self, now_s: float) -> bool:
        """To where it was too much a while ago: whoever runs into that again and again serves all badly."""
        return self._room > _NEAR * self._too_many and now_s - self._cut_s < _WARY_S

    def _is_enough(self, slowness: float | None, taken: int) -> bool:
        """True if the limit may grow; without measurements by one session at a time."""
        if slowness is not None:
            return slowness <= (1 + self._bound) / 2
        return taken <= self._room + 1 or self._looked_s - max(self._cut_s, self._known_s) > _SILENT_S


def _forget(moments: deque[float], before_s: float) -> None:
    while moments and moments[0] < before_s:
        moments.popleft()
