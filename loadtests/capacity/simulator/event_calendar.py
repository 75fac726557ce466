"""The clock of a simulation: what is due next, and walks that wait for one thing after the other."""

import heapq
from collections.abc import Callable, Generator
from itertools import count
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
