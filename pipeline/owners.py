"""The owners of a process: woken by commands, followed when they fail, ended together."""

import logging
from types import TracebackType
from typing import Self

import anyio
from anyio.abc import TaskGroup

from pipeline.owner import OwnerServices, SessionOwner
from schemas.errors import GatewayBusy, RhapsodeError
from schemas.ids import Seq, SessionId

log = logging.getLogger(__name__)

_RETRY_S = 0.25


class Owners:
    """The sessions whose turns this process runs; an async context manager that ends them all."""

    def __init__(
        self,
        *,
        node: str,
        services: OwnerServices,
    ) -> None:
        self._services = services
        self._node = node
        self._owners: dict[SessionId, SessionOwner] = {}
        self._count = 0
        self._tasks: TaskGroup | None = None

    async def __aenter__(self) -> Self:
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        assert self._tasks is not None
        self._tasks.cancel_scope.cancel()
        return await self._tasks.__aexit__(kind, error, trace)

    def admit(self, session: SessionId) -> None:
        """Raises GatewayBusy when this replica runs as many turns as it may."""
        running = sum(owner.busy for owner in self._owners.values())
        if running >= self._services.limits.live_sessions:
            raise GatewayBusy(f"this replica runs {running} turns; try again shortly")

    def wake(self, session: SessionId, seq: Seq) -> None:
        """A command is in the log at `seq`: see that some owner acts on it."""
        owner = self._owners.get(session)
        if owner is None or owner.closing:
            assert self._tasks is not None
            self._count += 1
            owner = self._owners[session] = SessionOwner(
                session, f"{self._node}.{self._count}", self._services
            )
            self._tasks.start_soon(self._run, owner)
        owner.expect(seq)

    async def _run(self, owner: SessionOwner) -> None:
        """Run an owner; one that fails, or leaves as a command comes, is followed by another."""
        try:
            await owner.run()
        except* (RhapsodeError, TimeoutError) as errors:
            log.warning("session %s: the owner gave up: %s", owner.session, errors.exceptions[0])
        except* Exception:
            log.exception("session %s: the owner failed", owner.session)
        owner.closing = True
        if owner.is_needed:
            await anyio.sleep(_RETRY_S)
        if self._owners.get(owner.session) is owner:
            del self._owners[owner.session]
            if owner.is_needed:
                self.wake(owner.session, owner.expected)
