"""How many replicas of which deployment there are, in which state: asked of Serve seldom, told often.

Also whether there is any of a deployment that starts when it is first asked.
"""

import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from math import inf
from typing import Any, Final

import anyio
import anyio.to_thread
from ray import serve
from ray.exceptions import RayError
from ray.serve.exceptions import RayServeException
from ray.serve.handle import DeploymentHandle
from ray.serve.schema import ServeStatus

log = logging.getLogger(__name__)

KEPT_S: Final = 15.0
"""Serve's answer is taken apart in this process: a tenth of a second, in which every step of the loop has to
wait for the interpreter. A look every second must not slow listeners down."""
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
    """At most `KEPT_S` old; empty where Serve did not say."""

    def __init__(
        self,
        ask: Callable[[], Awaitable[Counts]] = asked_of_serve,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ask = ask
        self._clock_s = clock_s
        self._found: Counts = {}
        self._due_s = -inf
        self._asking = anyio.Lock()

    async def __call__(self) -> Counts:
        async with self._asking:
            if self._clock_s() >= self._due_s:
                # Before the answer: where Serve hangs, it is not asked again by everybody who gives up.
                self._found, self._due_s = {}, self._clock_s() + KEPT_S
                try:
                    self._found = await self._ask()
                except (RayError, RayServeException) as error:
                    log.warning("Serve does not say how many replicas there are: %s", error)
            return self._found


RESTING: Final = "starts when first asked"


def unless_resting(
    handle: DeploymentHandle[Any], check: Callable[[], Awaitable[None]]
) -> Callable[[], Awaitable[str | None]]:
    """A check that does not start the replica it asks for: where there is none it returns `RESTING`."""

    async def checked() -> str | None:
        if _rests(handle):
            return RESTING
        await check()
        return None

    return checked


def _rests(handle: DeploymentHandle[Any]) -> bool:
    """Whether no replica runs of a deployment that may have none (`min_replicas: 0`).

    Serve tells the handle's own router of replicas and of their limits. The names are none that Serve
    publishes, so Ray's version is pinned and a test on real Ray looks at them; without them every check asks.
    """
    try:
        router = handle._router._asyncio_router  # type: ignore[union-attr]
        scaling, there = router._metrics_manager.autoscaling_config, router.request_router.curr_replicas
    except AttributeError:
        return False
    return scaling is not None and scaling.min_replicas == 0 and not there
