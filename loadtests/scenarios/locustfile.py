"""Locust users: `locust -f loadtests/scenarios/locustfile.py --host URL --headless -u 5 -t 20s` (extra load).

Locust makes every socket of its process cooperative, so these users have a plain, blocking client of their
own; what they saw is judged by the same oracles, and a fault counts as a failure. Locust waits for an answer
before it asks again, so that what it measures under overload is kinder than `make load`. Use it to spread
load over machines.
"""

from collections.abc import Callable
from os import environ
from random import randrange
from time import monotonic
from typing import Any, Final

from locust import User, between, task

from loadtests.client import marks, oracles
from loadtests.client.blocking_client import BlockingClient
from loadtests.client.received_events import ReceivedEvents
from loadtests.scenarios import prompts

_RUN: Final = randrange(4_000)


class _Listener(User):
    """One session after the other, several questions each."""

    abstract = True
    wait_time = between(1, 5)

    def on_start(self) -> None:
        self.thin = BlockingClient(self.host or "", environ.get("RHAPSODE_KEY"))

    def on_stop(self) -> None:
        self.thin.close()

    def noted(self, name: str, act: Callable[[ReceivedEvents], None]) -> None:
        """Do it in a session of its own, and tell Locust what came of it."""
        notes = ReceivedEvents(marks.mark(_RUN, randrange(marks.PEOPLE)), hears=False)
        began_s = monotonic()
        failure: Exception | None = None
        try:
            act(notes)
        except Exception as error:  # any error is this user's result, and Locust's to show
            failure = error
        faults = oracles.judge(notes)
        if failure is None and faults:
            failure = RuntimeError(f"{faults[0].kind}: {faults[0].words}")
        self._fire(name, (monotonic() - began_s) * 1_000, failure)
        for turn in notes.turns.values():
            answer = turn.answer
            for series, ms in (("first text", answer.ttft_ms), ("first audio", answer.ttfa_ms)):
                if ms is not None:
                    self._fire(f"{name}: {series}", ms, None)

    def _fire(self, name: str, ms: float, failure: Exception | None) -> None:
        figures: dict[str, Any] = {"response_time": ms, "response_length": 0, "exception": failure}
        self.environment.events.request.fire(request_type="rhapsode", name=name, context={}, **figures)


class WebSocketUser(_Listener):
    """Asks and listens by a socket."""

    weight = 3

    @task(3)
    def chats(self) -> None:
        def chat(notes: ReceivedEvents) -> None:
            asked = [{"prompt": prompts.question(notes.mark, prompts.DICE)} for _ in range(2)]
            with self.thin.session() as session:
                self.thin.talk(session, notes, *asked)

        self.noted("WebSocket, chat", chat)

    @task
    def narrates(self) -> None:
        def narrate(notes: ReceivedEvents) -> None:
            with self.thin.session() as session:
                self.thin.talk(session, notes, {"text": prompts.story(notes.mark, prompts.DICE)})

        self.noted("WebSocket, narration", narrate)


class EventStreamUser(_Listener):
    """Asks by HTTP and follows by SSE."""

    weight = 1

    @task
    def follows(self) -> None:
        def follow(notes: ReceivedEvents) -> None:
            with self.thin.session() as session:
                self.thin.follow(session, notes, prompt=prompts.question(notes.mark, prompts.DICE))

        self.noted("SSE, question", follow)
