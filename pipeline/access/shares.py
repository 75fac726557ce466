"""Share links: who has one may listen to one session, until it expires or is revoked."""

import secrets
from typing import Any, Final

from pipeline.clock import Clock
from pipeline.conversation import Conversation
from pipeline.log.recorder import Recorder
from pipeline.views import SessionViews
from schemas.access_errors import CredentialExpired, CredentialInvalid, ShareNotFound
from schemas.errors import SessionEnded, StateError
from schemas.events import ShareCreated, ShareRevoked
from schemas.ids import SessionId

_AT_ONCE: Final = 100
"""Links of one session that are good at the same time."""


class Shares:
    """The links of sessions, as their logs have them."""

    def __init__(self, views: SessionViews, recorder: Recorder, clock: Clock) -> None:
        self._views = views
        self._recorder = recorder
        self._clock = clock

    async def create(
        self, session: SessionId, *, expires_in_s: int | None, label: str
    ) -> tuple[str, int | None]:
        """The new share's name, and when it expires (milliseconds since the epoch).

        Raises SessionEnded: nothing can be recorded in a closed session, so no link could be revoked there.
        """
        conversation, _ = await self._views.get(session)
        if conversation.ended:
            raise SessionEnded("this session has ended; it cannot be shared any more")
        if len(self.good(conversation)) >= _AT_ONCE:
            raise StateError(f"this session has {_AT_ONCE} share links already; revoke some")
        expires_ms = None if expires_in_s is None else self._clock.now_ms() + expires_in_s * 1_000
        share = secrets.token_hex(8)
        await self._recorder.post(session, ShareCreated(share=share, expires_ms=expires_ms, label=label))
        return share, expires_ms

    async def list(self, session: SessionId) -> dict[str, dict[str, Any]]:
        """The links that are good now: name to what `share.created` says."""
        conversation, _ = await self._views.get(session)
        return self.good(conversation)

    async def revoke(self, session: SessionId, share: str) -> None:
        """The link is worth nothing from now on. Raises ShareNotFound."""
        conversation, _ = await self._views.get(session)
        if share not in conversation.shares:
            raise ShareNotFound(f"there is no share {share[:80]!r}", field="share")
        await self._recorder.post(session, ShareRevoked(share=share), key=f"unshare/{share}")

    async def check(self, session: SessionId, share: str) -> None:
        """Returns if the link is good. Raises CredentialInvalid, CredentialExpired or SessionNotFound."""
        conversation, _ = await self._views.get(session)
        known = conversation.shares.get(share)
        if known is None:
            raise CredentialInvalid("this share link was revoked")
        if self._past(known):
            raise CredentialExpired("this share link has expired")

    def good(self, conversation: Conversation) -> dict[str, dict[str, Any]]:
        return {share: known for share, known in conversation.shares.items() if not self._past(known)}

    def _past(self, known: dict[str, Any]) -> bool:
        expires_ms = known.get("expires_ms")
        return expires_ms is not None and self._clock.now_ms() >= expires_ms
