"""Threads: conversations with a character, of one person or of several."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

from pipeline.apps.characters import Characters, as_character
from pipeline.apps.share_links import TRIES
from pipeline.core.texts import internal_key
from pipeline.eventlog.event_log import EventLog, Head
from pipeline.eventlog.recorder import Recorder
from pipeline.session_state.conversation import Conversation
from pipeline.sessions.catalog import readable
from pipeline.sessions.session_commands import Sessions
from schemas.apps.conversation_messages import ConversationMessage, CreateThread, SocketMessage, ThreadMessage
from schemas.errors import (
    CharacterNotFound,
    Conflict,
    RhapsodeError,
    SessionGone,
    SessionNotFound,
    StateError,
)
from schemas.events import MemberAdded, MemberRemoved, SessionRenamed, SessionStarted
from schemas.ids import Seq, SessionId, TurnId, derived_session_id
from schemas.native.client_commands import CreateSession, RequestTurn, SettingsPatch
from schemas.settings import MOST_COLLECTIONS, SessionSettings

_EPOCH_MS: Final = 1_767_225_600_000
"""2026-01-01: the creation time in the ids of chats, so that they follow from the clients' names."""
_TITLE: Final = 60
_MEMBERS: Final = 50
_LIVES: Final = 1_000
"""Of a chat that is deleted and asked again."""
_NEXT: Final = 63
"""Lives behind a free one that are looked at: a deletion is forgotten after a day, and its life is free."""
_FIELDS: Final = {
    "prompt": "message",
    "settings.llm_provider": "provider",
    "settings.llm_model": "model",
    "settings.collections": "collections",
}
"""Names that a message has for the fields of a turn's request."""
_ITS: Final = ("system_prompt", "voice", "language", "collections", "character_seq")
"""Settings of a session that a character decides."""


class Threads:
    """Operations that the conversations face may ask for."""

    def __init__(self, sessions: Sessions, characters: Characters, recorder: Recorder, log: EventLog) -> None:
        self._sessions = sessions
        self._log = log
        self._characters = characters
        self._recorder = recorder

    async def create(self, params: CreateThread, principal: str) -> SessionId:
        """Raises CharacterNotFound, or what `Sessions.create` raises."""
        settings = params.settings.apply(self._sessions.choices.defaults)
        if params.character is not None:
            character = await self._characters.get(principal, params.character)
            at = await self._characters.saved_at(principal, params.character)
            requested = settings.collections
            settings = as_character(character, at, settings, settings)
            if not character.collections:
                settings = settings.model_copy(update={"collections": requested})
            if character.collections:
                settings = await self._sessions.readable(settings, principal)
        # The dictionaries of the server and of the user are added to every session.
        asked = settings.model_dump(mode="json", exclude={"pronunciations"})
        asked |= params.settings.model_dump(mode="json", include={"pronunciations"}, exclude_unset=True)
        command = CreateSession(title=params.title, settings=SettingsPatch.model_validate(asked))
        thread, *_ = await self._sessions.create(command, kind="thread", principal=principal)
        return thread

    async def thread(self, thread: SessionId, seen: Head | None = None) -> tuple[Conversation, Head]:
        """As `Sessions.view`. Raises SessionNotFound, also for what is no thread, or SessionGone."""
        try:
            conversation, head = await self._sessions.view(thread, seen)
        except (SessionNotFound, SessionGone) as error:
            raise type(error)(str(error), field="thread_id") from error
        if conversation.kind != "thread":
            raise SessionNotFound(f"there is no thread {thread}", field="thread_id")
        return conversation, head

    async def find(self, chat: str, principal: str) -> tuple[SessionId, Conversation] | None:
        """The thread of a client's own name for it, as it is now; None: there is none, or none any more."""
        _, found = await self._life(chat, principal)
        return found and found[:2]

    async def _life(
        self, chat: str, principal: str
    ) -> tuple[SessionId, tuple[SessionId, Conversation, Head] | None]:
        """The id that the chat has now, and its thread if there is one. Raises StateError.

        A chat's lives are used up one after the other, so that few of them are looked at: the first that is
        not is between the last that is, in growing steps, and the next. Where there is none in that life, a
        deletion may be forgotten: one of the next lives may go on.
        """
        best, first, end, life = None, 0, _LIVES, 0
        while first < end:
            if (found := await self._unless_over(_thread(principal, chat, life))) is None:
                first = life + 1
            else:
                best, end = found, life
            life = min(2 * life + 1, end - 1) if best is None else (first + end) // 2
        if best is None:
            raise StateError("this chat was deleted too often; use another name")
        if best[1] is None:
            later = [_thread(principal, chat, life) for life in range(first + 1, first + 1 + _NEXT)]
            for thread, head in zip(later, await self._log.heads(later), strict=True):
                if head is not None and head.state == "live":
                    return await self._unless_over(thread) or best
        return best

    async def _unless_over(
        self, thread: SessionId
    ) -> tuple[SessionId, tuple[SessionId, Conversation, Head] | None] | None:
        """As `_life`; None: the thread was deleted, or has ended."""
        try:
            conversation, seen = await self._sessions.view(thread)
        except SessionGone:
            return None
        except SessionNotFound:
            return thread, None
        return None if conversation.ended else (thread, (thread, conversation, seen))

    async def chat(self, chat: str, principal: str, command: RequestTurn) -> tuple[SessionId, Head | None]:
        """The thread of a client's own name for it, made if it is not there, or not there any more.

        With the head that was seen; None: the thread was made. `command`: what is asked in it. None is made
        for a command that is refused, as `Sessions.check_first` raises."""
        thread, found = await self._life(chat, principal)
        if found is not None:
            return thread, found[2]
        await self._sessions.check_first(command, principal)
        self._sessions.check_admission(principal)
        await self._sessions.admit(principal)
        defaults = self._sessions.choices.defaults
        started = SessionStarted(settings=defaults, kind="thread", principal=principal)
        await self._recorder.post(thread, started, mode="create", key=internal_key("chat"), by=principal)
        return thread, None

    async def ask(
        self,
        thread: SessionId,
        params: ThreadMessage | ConversationMessage | SocketMessage,
        *,
        by: str = "",
        seen: Head | None = None,
    ) -> TurnId:
        """The question is in the log when this returns. `by`: who of several people asks. `seen`: see
        `Views.get`."""
        conversation, seen = await self.thread(thread, seen)
        await self._keep_up(thread, conversation, seen)
        with message_fields():
            turn = await self._sessions.request(thread, command_of(params), by=by, seen=seen)
        if not conversation.title and params.continues is None:
            with suppress(RhapsodeError):  # the question is asked, with a title or without
                await self.name(thread, params.message)
        return turn

    async def choose(self, thread: SessionId, character: str | None) -> None:
        """Let this character answer from the next question on; None: the default assistant.

        The collections stay those of the thread, unless the character has some, which then are beside the
        thread's own files. Raises CharacterNotFound.
        """
        conversation, seen = await self.thread(thread)
        before, defaults = conversation.settings, self._sessions.choices.defaults
        if character is None:
            kept = {"collections": before.collections, "character": None, "character_seq": Seq(0)}
            now = before.model_copy(update={name: getattr(defaults, name) for name in _ITS} | kept)
        else:
            saved = await self._characters.get(conversation.principal, character)
            at = await self._characters.saved_at(conversation.principal, character)
            now = as_character(saved, at, before, defaults)
            files = await self.files_of(thread) if saved.collections else before.collections
            now = _with_collections(now, files)
        now = await self._sessions.readable(now, conversation.principal)
        await self._change(thread, now, seen)

    async def _change(self, thread: SessionId, now: SessionSettings, seen: Head) -> None:
        patch = SettingsPatch.model_validate({name: getattr(now, name) for name in (*_ITS, "character")})
        await self._sessions.update(thread, patch, seen)

    async def _keep_up(self, thread: SessionId, conversation: Conversation, seen: Head) -> None:
        """Changes of the character since the thread was made apply from here on."""
        before = conversation.settings
        if before.character is None:
            return
        try:
            character = await self._characters.get(conversation.principal, before.character)
        except CharacterNotFound:
            return
        at = await self._characters.saved_at(conversation.principal, before.character)
        if at == before.character_seq:
            return
        now = as_character(character, at, before, self._sessions.choices.defaults)
        now = _with_collections(now, await self.files_of(thread))
        now = await self._sessions.readable(now, conversation.principal)
        await self._change(thread, now, seen)

    async def files_of(self, thread: SessionId) -> tuple[str, ...]:
        """Of the collections that the thread searches, those that were made for it."""
        try:
            conversation, _ = await self._sessions.view(thread)
        except (SessionNotFound, SessionGone):
            return ()
        named, principal = conversation.settings.collections, conversation.principal
        return await readable(self._log, named, principal, thread=thread) if named else ()

    async def name(self, thread: SessionId, message: str) -> None:
        """Gives a thread a title after its first question; once, whoever asks at the same time."""
        conversation, _ = await self.thread(thread)
        if conversation.title:
            return
        line = " ".join(message.split())
        title = line if len(line) <= _TITLE else f"{line[:_TITLE].rsplit(' ', 1)[0]}…"
        named = SessionRenamed(title=title, by="first_words")
        await self._recorder.post(thread, named, key=internal_key("title"))

    async def add_member(self, thread: SessionId, principal: str) -> None:
        """Raises StateError where there are too many, and Conflict where others write all the time."""
        for _ in range(TRIES):
            conversation, _ = await self.thread(thread)
            head = conversation.head
            if len(conversation.members) >= _MEMBERS:
                raise StateError(f"{_MEMBERS} people in a thread are enough")
            if principal in conversation.members or principal == conversation.principal:
                return
            added = MemberAdded(principal=principal)
            with suppress(Conflict):  # members are counted up to the event before this one
                await self._recorder.post(thread, added, by=conversation.principal, expected=head)
                return
        raise Conflict("others write into this thread all the time; try again")

    async def remove_member(self, thread: SessionId, principal: str) -> None:
        """A user that is no member is ignored."""
        conversation, _ = await self.thread(thread)
        if principal in conversation.members:
            await self._recorder.post(thread, MemberRemoved(principal=principal))


def _with_collections(settings: SessionSettings, kept: tuple[str, ...]) -> SessionSettings:
    """`kept` are searched beside those of the settings."""
    collections = tuple(dict.fromkeys((*kept, *settings.collections)))[:MOST_COLLECTIONS]
    return settings.model_copy(update={"collections": collections})


def _thread(principal: str, chat: str, life: int) -> SessionId:
    return derived_session_id(_EPOCH_MS, "chat", principal, chat, str(life))


def command_of(params: ThreadMessage | ConversationMessage | SocketMessage) -> RequestTurn:
    """The turn that a message asks for."""
    patch: dict[str, object] = {"speak": params.audio != "none"}
    if params.search_tool_config is not None:
        patch["search"] = params.search_tool_config.model_dump(exclude_unset=True)
    if params.collections is not None:
        patch["collections"] = params.collections
    if isinstance(params, ConversationMessage):
        given = {"llm_model": params.model, "llm_provider": params.provider}
        patch |= {name: value for name, value in given.items() if value is not None}
    settings = SettingsPatch.model_validate(patch)
    return RequestTurn(
        prompt=params.message,
        settings=settings,
        key=params.key,
        replaces=params.replaces,
        continues=params.continues,
    )


@contextmanager
def message_fields() -> Iterator[None]:
    """Errors in the block name the field of a message."""
    try:
        yield
    except RhapsodeError as error:
        error.field = _FIELDS.get(error.field or "", error.field)
        raise
