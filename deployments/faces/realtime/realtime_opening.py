"""Which session a Realtime connection is about, and from where it is told."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from deployments.container import GatewayContainer
from deployments.faces.realtime.event_translator import PER_EVENT, Translator, position
from deployments.faces.realtime.realtime_commands import RealtimeCommands
from deployments.faces.realtime.session_config import checked, initial, updated
from deployments.web.resource_access import refuse_affairs
from pipeline.auth.principals import Principal
from pipeline.core.clock import TimeSlice
from pipeline.eventlog.event_log import Head
from schemas.errors import SessionNotFound
from schemas.errors.realtime_errors import RealtimeInvalid
from schemas.events import RealtimeConfigured
from schemas.ids import Seq, SessionId, is_digits, parse_session_id
from schemas.native.client_commands import CreateSession
from schemas.realtime.realtime_session import SessionPatch, TranscriptionPatch
from schemas.settings.provider_settings import LOCAL

_PREFIX: Final = "sess_"
_MODEL_CHARS: Final = 128
_TITLE: Final = "Realtime"
_TRANSCRIPTION: Final = "transcription"
_PAGE: Final = 500
"""Events that are folded in one go; the process serves no other request meanwhile."""
_CURSOR: Final = re.compile(r"[0-9]{1,15}\.[0-9]{1,9}")
Patch = SessionPatch | TranscriptionPatch


@dataclass(frozen=True, slots=True)
class Opened:
    """A session that is about to be listened to."""

    commands: RealtimeCommands
    translator: Translator
    """It has taken in everything before what is told."""
    after: Seq
    """Events after this one are listened to ..."""
    last_number: int
    """... and of their events those after this number are told."""
    head: Head
    principal: str
    """Owner of the session."""
    let_go: Callable[[], object]
    """The connection has ended: it holds the session no more."""
    sound_after: tuple[Seq, int] | None = None
    """Of a call: the sound after so many milliseconds of this event is played; None: that of events told."""
    call_before: str = ""
    """Id of the call that is made again: its hang-up, which may have been lost, ends this one, too."""

    @property
    def session(self) -> SessionId:
        return self.commands.session


async def open_session(
    services: GatewayContainer, caller: Principal, query: Mapping[str, str], patch: Patch | None = None
) -> Opened:
    """The session of the query, or a new one, configured by `patch`. Raises RealtimeInvalid, ModelNotFound,
    SessionNotFound or a StateError.
    """
    model = query.get("model") or getattr(patch, "model", None) or ""
    if len(model) > _MODEL_CHARS or not model.isprintable():
        raise RealtimeInvalid("The name of a model is a short text.", field="model")
    if query.get("intent") == _TRANSCRIPTION:
        model = LOCAL  # the name is of a transcriber; this server chooses its own
    number = _number(query.get("starting_after"))
    sound_after = _sound_cursor(query.get("audio_starting_after"))
    name = query.get("session_id")
    if "call_id" in query:
        name = session_of_call(query["call_id"])
    if name is not None and patch is not None:
        raise RealtimeInvalid("A session that goes on keeps its configuration.", field="session")
    if number is None and sound_after is not None:
        raise RealtimeInvalid("audio_starting_after goes with starting_after.", field="audio_starting_after")
    if name is not None:
        missing = SessionNotFound(f"there is no session {name[:80]!r}", field="session_id")
        session = await known_session(services, caller, name, missing)
    elif number is None:
        session = await _new(services, caller, model, patch)
    else:
        raise RealtimeInvalid("starting_after goes with a session_id.", field="starting_after")
    opened = await _open(services, session, model or LOCAL, number, sound_after)
    return opened if number is None else replace(opened, call_before=query.get("call_id", ""))


def session_of_call(call: str) -> str:
    """The session of a call's id, `rtc_<session>_<call>`."""
    return call.removeprefix("rtc_").rpartition("_")[0]


def _sound_cursor(text: str | None) -> tuple[Seq, int] | None:
    if text is None:
        return None
    if _CURSOR.fullmatch(text) is None:
        raise RealtimeInvalid(
            "audio_starting_after is the audio_cursor of the last output_audio_buffer.position.",
            field="audio_starting_after",
        )
    seq, _, ms = text.partition(".")
    return Seq(int(seq)), int(ms)


def _number(text: str | None) -> int | None:
    if text is None:
        return None
    if not is_digits(text, 17):
        raise RealtimeInvalid(
            "starting_after is the sequence_number of the last event that you have.", field="starting_after"
        )
    return int(text)


async def known_session(
    services: GatewayContainer, caller: Principal, name: str, missing: SessionNotFound
) -> SessionId:
    """A session that the caller commands. Raises `missing`, or what refuses a session of the server's own."""
    session = parse_session_id(name.removeprefix(_PREFIX))
    whose = None if session is None else await services.ownership.of(session)
    if session is None or whose is None or not caller.commands(whose):
        raise missing
    conversation, _ = await services.sessions.view(session)
    if caller.secret and conversation.items.secret != caller.secret:
        raise missing
    refuse_affairs(conversation)
    return session


async def _new(services: GatewayContainer, caller: Principal, model: str, patch: Patch | None) -> SessionId:
    """`model` says who answers; with a client secret, the one that the secret was made for."""
    config = await services.secrets.config(caller.secret) if caller.secret else None
    if config is None:
        config = initial(services.sessions.choices.defaults, model=model or LOCAL)
    elif config["type"] == _TRANSCRIPTION:
        model = LOCAL  # as with ?intent=transcription
    elif model and "model" in config:
        if not services.names.same(config["model"], model):
            raise RealtimeInvalid(
                f"This client secret was made for the model {config['model']!r}.", field="model"
            )
        config = config | {"model": model}
    if patch is not None:
        config = updated(config, patch)
        model = LOCAL if config["type"] == _TRANSCRIPTION else model
    settings = checked(config, services.names)
    if (name := model or config.get("model", LOCAL)) != LOCAL:
        provider, named = services.names.answering(name)
        settings = settings.model_copy(update={"llm_provider": provider, "llm_model": named})
    begun = RealtimeConfigured(config=config, created=True, secret=caller.secret)
    command = CreateSession(settings=settings, title=_TITLE)
    session, *_ = await services.sessions.create(command, principal=caller.name, also=(begun,))
    return session


async def _open(
    services: GatewayContainer,
    session: SessionId,
    model: str,
    number: int | None,
    sound_after: tuple[Seq, int] | None,
) -> Opened:
    conversation, head = await services.sessions.attend(session)
    last = position(head.seq)
    last_number = last if number is None else number
    if last_number > last:
        raise RealtimeInvalid(
            f"The session ends at {last}, starting_after names {last_number}.", field="starting_after"
        )
    after = Seq(max(0, last_number // PER_EVENT - 1))
    if sound_after is not None:
        after = min(after, Seq(max(0, sound_after[0] - 1)))
    translator = Translator(session)
    principal = conversation.principal
    let_go = services.held.hold(translator, principal, conversation.data_bytes)
    del conversation  # for as long as the connection lasts, it has its own
    await _fold(services, translator, after)
    commands = RealtimeCommands(services, session, model)
    return Opened(commands, translator, after, last_number, head, principal, let_go, sound_after)


async def _fold(services: GatewayContainer, translator: Translator, after: Seq) -> None:
    """Exactly so far: what comes then is told."""
    conversation, slice_ = translator.conversation, TimeSlice()
    while conversation.head < after:
        missing = min(_PAGE, after - conversation.head)
        page = await services.log.read(translator.session, conversation.head, limit=missing)
        if not page:
            return
        for recorded in page:
            translator.apply(recorded)
            await slice_.pause_if_over()
