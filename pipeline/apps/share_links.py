"""Share links: who has one may listen to one session, until it expires or is revoked."""

import secrets
from contextlib import suppress
from typing import Final

from pipeline.apps.users import Share, Users
from pipeline.core.clock import Clock
from pipeline.core.texts import internal_key
from pipeline.eventlog.recorder import Recorder
from pipeline.session_state.conversation import Conversation
from pipeline.session_state.session_views import SessionViews
from schemas.errors import Conflict, StateError
from schemas.errors.access_errors import CredentialExpired, CredentialInvalid, ShareNotFound
from schemas.events import ShareCreated, ShareRevoked
from schemas.ids import Seq, SessionId

_AT_ONCE: Final = 100
"""Links of one session that are good at the same time."""
TRIES: Final = 32
"""So often an event is given to the log at the place for which it was decided; others write there, too."""


class Shares:
    """The links of sessions. While a session lives its own log has them; a closed log takes nothing more,
    so that its user's own session has what comes afterwards."""

    def __init__(self, views: SessionViews, users: Users, recorder: Recorder, clock: Clock) -> None:
        self._views = views
        self._users = users
        self._recorder = recorder
        self._clock = clock

    async def create(
        self, session: SessionId, *, expires_in_s: int | None, label: str
    ) -> tuple[str, int | None]:
        """The new share's name, and when it expires (milliseconds since the epoch).

        The links are counted up to the event after which the log takes the new one: of two requests at the
        same time, at whatever gateways, only one can be the last that fits.
        """
        expires_ms = None if expires_in_s is None else self._clock.now_ms() + expires_in_s * 1_000
        share = secrets.token_hex(8)
        for _ in range(TRIES):
            conversation, _ = await self._views.get(session)
            place, head = await self._place(session, conversation)
            if len(await self.list(session)) >= _AT_ONCE:
                raise StateError(f"this session has {_AT_ONCE} share links already; revoke some")
            elsewhere = None if place == session else session
            event = ShareCreated(share=share, expires_ms=expires_ms, label=label, session=elsewhere)
            with suppress(Conflict):
                await self._recorder.post(place, event, by=conversation.principal, expected=head)
                return share, expires_ms
        raise Conflict("others write into this session all the time; try again")

    async def list(self, session: SessionId) -> dict[str, Share]:
        """The links that are good now, by name."""
        known = await self._known(session)
        return {share: about for share, about in known.items() if not self._past(about)}

    async def revoke(self, session: SessionId, share: str) -> None:
        """The link is worth nothing from now on. Raises ShareNotFound."""
        if share not in await self._known(session):
            raise ShareNotFound(f"there is no share {share[:80]!r}", field="share")
        conversation, _ = await self._views.get(session)
        place, _ = await self._place(session, conversation)
        await self._recorder.post(place, ShareRevoked(share=share), key=internal_key("unshare", share))

    async def check(self, session: SessionId, share: str) -> None:
        """Returns if the link is good. Raises CredentialInvalid, CredentialExpired or SessionNotFound."""
        about = (await self._known(session)).get(share)
        if about is None:
            raise CredentialInvalid("this share link was revoked")
        if self._past(about):
            raise CredentialExpired("this share link has expired")

    async def _known(self, session: SessionId) -> dict[str, Share]:
        """Every link that was not revoked."""
        conversation, _ = await self._views.get(session)
        if not conversation.ended:
            return dict(conversation.shares)
        afterwards = await self._users.state(conversation.principal)
        later = {share: about for share, about in afterwards.shares.items() if about["session"] == session}
        both = conversation.shares | later
        return {share: about for share, about in both.items() if share not in afterwards.unshared}

    async def _place(self, session: SessionId, conversation: Conversation) -> tuple[SessionId, Seq]:
        """Session that records the share, the shared one or its user's after its end, and its last event."""
        if not conversation.ended:
            return session, conversation.head
        place = await self._users.open(conversation.principal)
        return place, (await self._users.state(conversation.principal)).head

    def _past(self, about: Share) -> bool:
        expires_ms = about.get("expires_ms")
        return expires_ms is not None and self._clock.now_ms() >= expires_ms
