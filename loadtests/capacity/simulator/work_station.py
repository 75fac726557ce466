"""Stations that serve several jobs at once, on hosts whose capacity they share.

One kind of station covers what is needed. `speed(n)` says how fast each of n jobs goes on, `places` how many
are served at once: one place at speed 1 is a queue, c places a queue with c servers, endless places at speed
1/n a processor that all share, and a falling speed with some places is continuous batching.
"""

import heapq
from collections import deque
from collections.abc import Callable, Generator, Sequence
from itertools import count
from math import inf
from typing import Any

Action = Callable[[], None]
Wait = Callable[[Action], None]
"""Given what comes after, sees to it that it happens."""
Walk = Generator[Wait, None, Any]
"""A process of the simulation: it waits for each thing that it yields."""


class Appointment:
    """Something that is due. It can be called off."""

    __slots__ = ("action",)

    def __init__(self, action: Action | None) -> None:
        self.action = action

    def call_off(self) -> None:
        self.action = None


class EventCalendar:
    """Simulated seconds; things that are due together happen in the order in which they were entered."""

    def __init__(self) -> None:
        self.now = 0.0
        self._due: list[tuple[float, int, Appointment]] = []
        self._number = count()

    def after(self, seconds: float, action: Action) -> Appointment:
        appointment = Appointment(action)
        heapq.heappush(self._due, (self.now + max(0.0, seconds), next(self._number), appointment))
        return appointment

    def pause(self, seconds: float) -> Wait:
        def wait(resume: Action) -> None:
            self.after(seconds, resume)

        return wait

    def start(self, walk: Walk) -> None:
        """Go as far as the first wait, and on from there when it is over."""

        def go_on() -> None:
            try:
                wait = next(walk)
            except StopIteration:
                return
            wait(go_on)

        go_on()

    def run(self, until: float) -> None:
        while self._due and self._due[0][0] <= until:
            at, _, appointment = heapq.heappop(self._due)
            if appointment.action is not None:
                self.now = at
                appointment.action()
        self.now = until


class Signal:
    """Something that happens once; whoever waits for it goes on then, or at once if it has happened."""

    __slots__ = ("_waiting", "happened")

    def __init__(self) -> None:
        self.happened = False
        self._waiting: list[Action] = []

    def set(self) -> None:
        self.happened = True
        waiting, self._waiting = self._waiting, []
        for resume in waiting:
            resume()

    def wait(self, resume: Action) -> None:
        if self.happened:
            resume()
        else:
            self._waiting.append(resume)


Told = Callable[[int], None]
"""Is told the number of each milestone of a job when the job passes it."""


class _Job:
    __slots__ = ("at", "milestones", "told")

    def __init__(self, milestones: Sequence[float], told: Told) -> None:
        self.milestones = milestones
        self.told = told
        self.at = 0


class WorkHost:
    """A machine, a core or a card. Stations that want more than it has are slowed down alike."""

    def __init__(self, calendar: EventCalendar, name: str, capacity: float = 1.0) -> None:
        self.calendar = calendar
        self.name = name
        self.capacity = capacity
        self.share = 1.0
        self._stations: list[WorkStation] = []
        self._used = 0.0
        self._since = 0.0
        self._claim = 0.0

    def join(self, station: "WorkStation") -> None:
        self._stations.append(station)

    def changed(self) -> None:
        """Compute the pace of every station anew after the demand of one has changed."""
        self._count()
        self._claim = sum(station.demand() for station in self._stations)
        self.share = 1.0 if self._claim <= self.capacity else self.capacity / self._claim
        for station in self._stations:
            station.pace()

    def advance(self) -> None:
        for station in self._stations:
            station.advance()

    def _count(self) -> None:
        now = self.calendar.now
        self._used += min(self._claim, self.capacity) * (now - self._since)
        self._since = now

    def utilisation(self) -> float:
        """The part of the capacity that was used, from the beginning until now."""
        self._count()
        return self._used / (self.capacity * self.calendar.now) if self.calendar.now else 0.0


class WorkStation:
    """Jobs in their order: those with a place are worked on together, the others wait."""

    def __init__(
        self,
        host: WorkHost,
        name: str,
        *,
        speed: Callable[[int], float] = lambda n: 1.0,
        claim: Callable[[int], float] = float,
        places: float = inf,
    ) -> None:
        self.name = name
        self.host = host
        self._speed = speed
        self._claim = claim
        self._places = places
        self._calendar = host.calendar
        self._working: list[tuple[float, int, _Job]] = []
        self._waiting: deque[_Job] = deque()
        self._number = count()
        self._done = 0.0
        """Work that a job which was here from the beginning would have had done."""
        self._rate = 0.0
        self._since = 0.0
        self._next: Appointment | None = None
        host.join(self)

    def __len__(self) -> int:
        return len(self._working) + len(self._waiting)

    def demand(self) -> float:
        """Of the host's capacity, if it could have all that it wants."""
        return self._claim(len(self._working)) if self._working else 0.0

    def enter(self, milestones: Sequence[float], told: Told) -> None:
        """Do so much work until each milestone, one after the other, in one place."""
        job = _Job(milestones, told)
        self.host.advance()
        if len(self._working) < self._places:
            self._place(job)
        else:
            self._waiting.append(job)
        self.host.changed()

    def work(self, amount: float) -> Wait:
        def wait(resume: Action) -> None:
            self.enter((amount,), lambda _: resume())

        return wait

    def _place(self, job: _Job) -> None:
        due = self._done + job.milestones[job.at]
        heapq.heappush(self._working, (due, next(self._number), job))

    def advance(self) -> None:
        """Note what was done since the pace changed last."""
        now = self._calendar.now
        self._done += self._rate * (now - self._since)
        self._since = now

    def pace(self) -> None:
        """Take up the present pace. `advance` has been called."""
        self._rate = self._speed(len(self._working)) * self.host.share if self._working else 0.0
        if self._next is not None:
            self._next.call_off()
            self._next = None
        if self._working and self._rate > 0:
            left = (self._working[0][0] - self._done) / self._rate
            self._next = self._calendar.after(left, self._pass)

    def _pass(self) -> None:
        """The next milestone is reached."""
        self._next = None
        self.host.advance()
        due, _, job = heapq.heappop(self._working)
        self._done = max(self._done, due)
        passed, job.at = job.at, job.at + 1
        if job.at < len(job.milestones):
            self._place(job)
        elif self._waiting:
            self._place(self._waiting.popleft())
        self.host.changed()
        job.told(passed)
