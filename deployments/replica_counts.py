"""How many replicas of which deployment there are, in which state: asked of Serve seldom, told often."""

import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import anyio
from ray import serve
from ray.exceptions import RayError
from ray.serve.exceptions import RayServeException
from ray.serve.schema import ServeStatus

log = logging.getLogger(__name__)

KEPT_S: Final = 15.0
"""Serve's answer is taken apart in this process: a tenth of a second, in which every step of the loop has to
wait for the interpreter. Somebody who looks every second must not slow down those who listen."""
Counts = Mapping[tuple[str, str], int]
"""(deployment, state) -> how many."""


async def asked_of_serve() -> Counts:
    """Of the application in whose replica this is called. Raises RayError, RayServeException."""
    own = serve.get_replica_context().app_name
    status: ServeStatus = await anyio.to_thread.run_sync(serve.status, abandon_on_cancel=True)
    found = status.applications.get(own)
    return {
        (name, str(state).lower()): count
        for name, deployment in (found.deployments.items() if found else ())
        for state, count in ({"RUNNING": 0} | deployment.replica_states).items()
    }


class ReplicaCounts:
    """At most `KEPT_S` old; empty while Serve does not say."""

    def __init__(
        self,
        ask: Callable[[], Awaitable[Counts]] = asked_of_serve,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ask = ask
        self._clock_s = clock_s
        self._found: Counts = {}
        self._found_s = 0.0
        self._asking = anyio.Lock()

    async def __call__(self) -> Counts:
        async with self._asking:
            if not self._found or self._clock_s() - self._found_s >= KEPT_S:
                self._found = {}
                try:
                    self._found = await self._ask()
                except (RayError, RayServeException) as error:
                    log.warning("Serve does not say how many replicas there are: %s", error)
                self._found_s = self._clock_s()
            return self._found
