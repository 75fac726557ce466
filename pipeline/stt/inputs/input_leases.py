"""Which inputs somebody listens to, as all processes know it: who dies leaves theirs to the others."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from schemas.ids import SessionId


class InputLease(NamedTuple):
    """An input of a session."""

    session: SessionId
    input: str


class InputLeases(Protocol):
    """A shared list with a time limit on every entry. Doing something twice changes nothing."""

    async def hold(self, held: Sequence[InputLease], lease_ms: int) -> None:
        """They are listened to, for so long at least."""
        ...

    async def let_go(self, held: InputLease) -> None:
        """It is closed."""
        ...

    async def left(self, limit: int, lease_ms: int) -> list[InputLease]:
        """Those that nobody has held for longer than they said, and nobody has let go.

        `lease_ms`: for how long everybody holds theirs. None in the first look, nor in one that comes late:
        the log, or the machine, may have stood still, and the living renew their leases first.
        """
        ...
