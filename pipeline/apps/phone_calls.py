"""Calls by telephone: one session each, whatever gateways its media streams come to."""

import secrets
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

import anyio

from pipeline.auth.authenticator import Authenticator
from pipeline.core.texts import internal_key
from pipeline.eventlog.event_log import Verdict
from pipeline.eventlog.recorder import Recorder, RequestContext
from pipeline.session_state.conversation import Conversation
from pipeline.sessions.session_commands import Sessions
from pipeline.tools.remote_functions import ToolCallContext
from pipeline.tools.tool_registry import BuiltInFunction, ToolRegistry
from schemas.errors import GatewayBusy, SessionAlreadyEnded, ToolArguments, ToolError
from schemas.errors.access_errors import CredentialInvalid
from schemas.events import CallConnected, CallHungUp, CallTransferred, DtmfReceived, Event
from schemas.ids import NO_TURN, Seq, SessionId, TurnId, parse_session_id
from schemas.native.client_commands import CreateSession, RequestTurn, SettingsPatch, ToolPatch
from schemas.settings.limit_settings import HANG_UP, TRANSFER, TelephoneProvider, TelephoneSettings

_TOKEN_S: Final = 60
_WAITING: Final = 128
"""Media streams of one provider, at one gateway, that have not shown a token, each for `start_s` at most.
The oldest leaves where there is one more: strangers hold their places, and a provider shows it at once."""
_NUMBERS_CHARS: Final = (64, 24, 0)
_TOKEN_CHARS: Final = 490
"""Twilio takes parameters of less than 500 characters, their names included."""
_DIGITS: Final = frozenset("0123456789*#ABCD")
_NOTHING: Final[dict[str, Any]] = {"type": "object", "properties": {}, "additionalProperties": False}


@dataclass(frozen=True, slots=True)
class ExpectedCall:
    """Claims of a token, with which one media stream may be connected."""

    session: SessionId
    call: str
    connection: str
    provider_call: str
    caller: str
    called: str


class PhoneCalls:
    """Commands on calls by telephone. When one returns, its event is in the log."""

    def __init__(
        self,
        sessions: Sessions,
        recorder: Recorder,
        authenticator: Authenticator,
        settings: TelephoneSettings,
        registry: ToolRegistry | None,
    ) -> None:
        """`registry` gets the functions that the model of a call may call."""
        self._sessions = sessions
        self._recorder = recorder
        self._authenticator = authenticator
        self._settings = settings
        self._lines = 0
        self._waiting: defaultdict[TelephoneProvider, deque[anyio.CancelScope]] = defaultdict(deque)
        if registry is not None:
            registry.build_in(self.functions())

    @property
    def principal(self) -> str:
        """Owner of the sessions of calls."""
        return "" if self._authenticator.open else self._settings.principal

    @property
    def full(self) -> bool:
        return self._lines >= self._settings.calls

    @contextmanager
    def line(self) -> Iterator[None]:
        """A media stream, for as long as it is connected. Raises GatewayBusy."""
        if self.full:
            raise GatewayBusy(f"{self._settings.calls} calls are open on this gateway")
        self._lines += 1
        try:
            yield
        finally:
            self._lines -= 1

    @contextmanager
    def waiting(self, provider: TelephoneProvider) -> Iterator[None]:
        """A media stream that has not shown its token. Raises GatewayBusy where later ones have its place."""
        waiting = self._waiting[provider]
        if len(waiting) >= _WAITING:
            waiting.popleft().cancel()
        with anyio.CancelScope() as scope:
            waiting.append(scope)
            try:
                yield
            finally:
                with suppress(ValueError):  # it was sent away
                    waiting.remove(scope)
        if scope.cancelled_caught:
            raise GatewayBusy(f"too many media streams of {provider} have not begun")

    async def begin(self, caller: str) -> SessionId:
        """The session of a new call. Raises what `Sessions.create` raises."""
        registered = (*self._sessions.choices.defaults.tools.registered, *self._settings.functions)
        patch: dict[str, Any] = {
            "speak": True,
            "tools": ToolPatch(registered=tuple(dict.fromkeys(registered))),
        }
        if self._settings.system_prompt:
            patch["system_prompt"] = self._settings.system_prompt
        title = f"Call from {caller}" if caller else "Call"
        command = CreateSession(settings=SettingsPatch(**patch), title=title[:200])
        session, *_ = await self._sessions.create(command, principal=self.principal)
        return session

    async def known(self, name: str) -> Conversation:
        """The session of a call that goes on. Raises CredentialInvalid, SessionNotFound or SessionGone."""
        session = parse_session_id(name)
        if session is None:
            raise CredentialInvalid("this is no session of a call", field="session_id")
        conversation, _ = await self._sessions.view(session)
        if conversation.kind != "session" or conversation.principal != self.principal:
            raise CredentialInvalid("this is no session of a call", field="session_id")
        return conversation

    def invite(
        self, session: SessionId, call: str | None, *, provider_call: str, caller: str, called: str
    ) -> str:
        """A token with which one media stream of the call may be connected; `call`: the call goes on.

        Numbers of the caller and the called are cut where the token would be too long for a provider.
        """
        claims = {
            "sub": session,
            "jti": secrets.token_hex(8),
            "call": secrets.token_hex(4) if call is None else call.removeprefix(f"rtc_{session}_"),
            "provider_call": provider_call,
        }
        for chars in _NUMBERS_CHARS:
            about = {**claims, "caller": caller[:chars], "called": called[:chars]}
            token = self._authenticator.tokens.make_call(about, _TOKEN_S)
            if len(token) <= _TOKEN_CHARS:
                break
        return token

    def expected(self, token: str) -> ExpectedCall:
        """Raises CredentialInvalid or CredentialExpired."""
        claims = self._authenticator.tokens.read_call(token)
        return ExpectedCall(
            session=SessionId(claims["sub"]),
            call=f"rtc_{claims['sub']}_{claims['call']}",
            connection=claims["jti"],
            provider_call=claims["provider_call"],
            caller=claims["caller"],
            called=claims["called"],
        )

    async def connect(self, expected: ExpectedCall, provider: TelephoneProvider, stream: str) -> Seq:
        """Records a media stream, and returns where; a token is good for one.

        Raises CredentialInvalid or SessionAlreadyEnded.
        """
        conversation, _ = await self._sessions.view(expected.session)
        phone = conversation.phone
        if conversation.ended or conversation.ending or (phone is not None and phone.over):
            raise SessionAlreadyEnded("this call is over")
        if phone is not None and phone.connections > self._settings.reconnections:
            raise SessionAlreadyEnded(f"this call was connected {phone.connections} times already")
        event = CallConnected(
            call=expected.call,
            connection=expected.connection,
            provider=provider,
            provider_call=expected.provider_call,
            stream=stream,
            caller=expected.caller,
            called=expected.called,
        )
        key = internal_key("telephone", expected.connection)
        outcome = await self._recorder.post(expected.session, event, key=key, by=conversation.principal)
        if outcome.verdict is Verdict.DUP:
            raise CredentialInvalid("this token of a call was used before")
        return outcome.last

    async def greet(self, session: SessionId) -> None:
        """Asks for the greeting, once for each session."""
        if self._settings.greeting:
            await self._sessions.request(session, RequestTurn(text=self._settings.greeting, key="greeting"))

    async def pressed(self, session: SessionId, call: str, digit: str) -> None:
        """The caller pressed a key; what is none is passed over."""
        if digit in _DIGITS:
            await self._sessions.decide(session, lambda _: (DtmfReceived(call=call, digit=digit),))

    async def ask_keys(self, session: SessionId) -> None:
        """Asks the model about the keys that were pressed since the last prompt, if any."""
        conversation, head = await self._sessions.view(session)
        if conversation.phone is not None and (keys := conversation.phone.keys):
            prompt = RequestTurn(prompt=f"(The caller pressed the keys {keys})", key=f"keys/{head.seq}")
            await self._sessions.request(session, prompt)

    async def hung_up(self, session: SessionId, call: str) -> None:
        """The call is over, for the caller left or it took too long."""
        await self._sessions.decide(session, lambda known: _end(known, CallHungUp(call=call), NO_TURN))

    def functions(self) -> Mapping[str, BuiltInFunction]:
        """Functions that the model of a call may call, by name."""
        names = list(self._settings.transfer_to)
        to = {"type": "string", "enum": names, "description": "Who takes the call."}
        found = {
            HANG_UP: BuiltInFunction(
                "Ends the telephone call, once the caller has heard the answer.", _NOTHING, self._hang_up
            ),
            TRANSFER: BuiltInFunction(
                "Transfers the telephone call to someone else, once the caller has heard the answer.",
                {"type": "object", "properties": {"to": to}, "required": ["to"]},
                self._transfer,
            ),
        }
        return {name: found[name] for name in self._settings.functions}

    async def _hang_up(self, arguments: Mapping[str, Any], about: ToolCallContext) -> str:
        await self._leave(about, lambda call: CallHungUp(call=call))
        return "The call ends after this answer. Say goodbye."

    async def _transfer(self, arguments: Mapping[str, Any], about: ToolCallContext) -> str:
        to = arguments.get("to")
        if to not in self._settings.transfer_to:
            known = ", ".join(self._settings.transfer_to)
            raise ToolArguments(f"to: it is one of {known}")
        await self._leave(about, lambda call: CallTransferred(call=call, to=to))
        return f"The call is transferred to {to} after this answer. Tell the caller."

    async def _leave(self, about: ToolCallContext, event: Callable[[str], Event]) -> None:
        def decision(known: Conversation) -> Sequence[Event | RequestContext]:
            if known.phone is None:
                raise ToolError("there is no telephone call in this session")
            return _end(known, event(known.phone.call), TurnId(about.turn))

        await self._sessions.decide(SessionId(about.session), decision)


def _end(known: Conversation, event: Event, turn: TurnId) -> Sequence[RequestContext]:
    """The end of the call, unless it is over."""
    return () if known.phone is None or known.phone.over else (RequestContext(turn, event),)
