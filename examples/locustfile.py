"""Locust users who ask your own server: how soon the first word and the whole answer come, and none is lost.

    pip install locust
    locust -f examples/locustfile.py --host http://127.0.0.1:8000 --headless -u 20 -t 30s

With audio, WebSockets and oracles for every event: loadtests/scenarios/locustfile.py (docs/load-tests.md).
"""

import json
import os
from collections.abc import Iterator
from contextlib import closing
from time import monotonic
from typing import Any
from uuid import uuid4

from locust import HttpUser, between, task

TIMEOUT_S = 60


class Caller(HttpUser):
    """One session, question after question, at a person's pace."""

    wait_time = between(1, 3)

    def on_start(self) -> None:
        if key := os.environ.get("RHAPSODE_KEY"):
            self.client.headers["Authorization"] = f"Bearer {key}"
        made = self.client.post("/v1/sessions", json={"settings": {"speak": False}})
        self.session = f"/v1/sessions/{made.json()['session_id']}"

    def on_stop(self) -> None:
        self.client.delete(self.session, name="/v1/sessions/[id]")

    @task
    def ask(self) -> None:
        """Asks and follows the turn's events; a turn that ends otherwise than completed is a failure."""
        asked = monotonic()
        headers = {"Idempotency-Key": str(uuid4())}
        question = {"prompt": "Tell me about the sea."}
        turn = self.client.post(
            f"{self.session}/turns", json=question, headers=headers, name="/v1/sessions/[id]/turns"
        ).json()["turn"]
        first = last = None
        for event in self.events(turn):
            last = event["type"]
            if last == "text.delta" and first is None:
                first = monotonic() - asked
                self.note("first word", first)
        self.note(
            "answer", monotonic() - asked, None if last == "turn.completed" else f"the last event is {last}"
        )

    def events(self, turn: int) -> Iterator[dict[str, Any]]:
        """Events of one turn, until it is over."""
        address = f"{self.session}/events?from={turn}&turn={turn}"
        followed = self.client.get(address, stream=True, timeout=TIMEOUT_S, name="/v1/sessions/[id]/events")
        with closing(followed) as stream:
            for line in stream.iter_lines():
                if line.startswith(b"data:"):
                    event = json.loads(line.removeprefix(b"data:"))
                    if "type" not in event:  # about the connection
                        continue
                    yield event
                    if event["type"] in ("turn.completed", "turn.stopped", "turn.failed"):
                        return

    def note(self, name: str, seconds: float, fault: str | None = None) -> None:
        """One row of Locust's table."""
        exception = None if fault is None else RuntimeError(fault)
        self.environment.events.request.fire(
            request_type="rhapsode",
            name=name,
            response_time=seconds * 1_000,
            response_length=0,
            exception=exception,
            context={},
        )
