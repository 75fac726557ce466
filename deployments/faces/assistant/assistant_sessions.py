"""Which session a voice assistant's client speaks in, and how it listens."""

from contextlib import suppress
from typing import Final

from deployments.container import GatewayContainer
from deployments.web.resource_access import refuse_affairs
from pipeline.auth.principals import Principal
from schemas.errors import RhapsodeError, SessionNotFound
from schemas.ids import SessionId, parse_session_id
from schemas.native.client_commands import CreateSession, SettingsPatch
from schemas.settings.listening_settings import Mode

_THRESHOLD: Final = 50
"""Characters after which text is spoken, sentence end or not: what the assistant's clients are used to."""


class AssistantSession:
    """A session that goes on, or one that is made for a new conversation when it is needed."""

    def __init__(self, services: GatewayContainer, caller: Principal, session: SessionId | None) -> None:
        self._services = services
        self._caller = caller
        self._session = session
        self._new = session is None

    async def session(self, mode: Mode | None, *, otherwise: Mode) -> SessionId:
        """It listens by `mode` from now on; None: as before, or `otherwise` where there is no before."""
        if self._session is None:
            self._session = await self._made(mode or otherwise)
        elif mode is not None:
            await self._listen_by(self._session, mode)
        return self._session

    async def forget(self) -> None:
        """Nothing came of it: a session that was made for it does not stay."""
        if self._new and self._session is not None:
            with suppress(RhapsodeError):
                await self._services.sessions.delete(self._session)

    async def _made(self, mode: Mode) -> SessionId:
        patch = SettingsPatch.model_validate(
            {"sentences": {"threshold": _THRESHOLD}, "listening": {"mode": mode}}
        )
        session, *_ = await self._services.sessions.create(
            CreateSession(settings=patch, title="Voice assistant"), principal=self._caller.name
        )
        return session

    async def _listen_by(self, session: SessionId, mode: Mode) -> None:
        conversation, _ = await self._services.sessions.view(session)
        if conversation.settings.listening.mode != mode:
            patch = SettingsPatch.model_validate({"listening": {"mode": mode}})
            await self._services.sessions.update(session, patch)


async def place(services: GatewayContainer, caller: Principal, name: str) -> AssistantSession:
    """Raises SessionNotFound for one that is not the caller's, or StateError for one that takes no words."""
    if not name:
        return AssistantSession(services, caller, None)
    session = parse_session_id(name)
    whose = None if session is None else await services.ownership.of(session)
    if session is None or whose is None or not caller.commands(whose):
        raise SessionNotFound(f"there is no session {name[:80]}", field="session_id")
    conversation, _ = await services.sessions.view(session)
    refuse_affairs(conversation)
    return AssistantSession(services, caller, session)
