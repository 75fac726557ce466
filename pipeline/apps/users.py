"""One user's affairs: preferences with their history, notifications, characters, links of closed sessions."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from pipeline.core.texts import internal_key
from pipeline.eventlog.event_log import EventLog, Verdict
from pipeline.eventlog.recorder import Recorder
from pipeline.session_state.session_views import Views
from pipeline.sessions.catalog import with_user_dictionary
from schemas.errors import InputError, SessionGone, SessionNotFound
from schemas.events import CharacterSaved, NotificationsDelivered, PreferencesChanged, SessionStarted
from schemas.events.recorded import Recorded
from schemas.ids import Seq, SessionId, derived_session_id
from schemas.settings import SentenceSettings, SessionSettings
from schemas.settings.narration_preferences import Preferences
from schemas.speech_style import PronunciationEntry

_EPOCH_MS: Final = 1_767_225_600_000
"""2026-01-01: the creation time in every user's session id, so that it follows from the name alone."""
_LONGEST: Final = 2_000
"""Characters of one piece of text that any session's settings may allow."""
_HISTORY: Final = 100
"""Changes of one user's preferences kept in memory; the log has them all."""

Share = dict[str, Any]
"""Data of `share.created`, and `created_ms`."""


@dataclass(frozen=True, slots=True)
class PreferencesAt:
    """Preferences from one moment on."""

    seq: Seq
    ts_ms: int
    preferences: Preferences


class UserState:
    """A user's session, folded."""

    def __init__(self) -> None:
        self.head = Seq(0)
        self.preferences = Preferences()
        self.history: deque[PreferencesAt] = deque(maxlen=_HISTORY)
        self.characters: dict[str, CharacterSaved] = {}
        self.characters_at: dict[str, Seq] = {}
        """Sequence number of the last change or deletion of each."""
        self.raised = Seq(0)
        """The latest notification."""
        self.delivered = Seq(0)
        """Up to here a client has taken them."""
        self.shares: dict[str, Share] = {}
        """Links of sessions that had ended by then."""
        self.unshared: set[str] = set()

    def apply(self, recorded: Recorded) -> None:
        """Take in the next event."""
        match recorded.type:
            case "preferences.changed":
                self.preferences = _preferences(recorded.data["preferences"])
                self.history.append(PreferencesAt(recorded.seq, recorded.ts_ms, self.preferences))
            case "character.saved":
                saved = CharacterSaved.model_validate(recorded.data, extra="ignore")
                self.characters[saved.character] = saved
                self.characters_at[saved.character] = recorded.seq
            case "character.deleted":
                self.characters.pop(recorded.data["character"], None)
                self.characters_at[recorded.data["character"]] = recorded.seq
            case "notification.raised":
                self.raised = recorded.seq
            case "notifications.delivered":
                self.delivered = max(self.delivered, Seq(recorded.data["upto"]))
            case "share.created":
                self.shares[recorded.data["share"]] = {**recorded.data, "created_ms": recorded.ts_ms}
            case "share.revoked":
                self.unshared.add(recorded.data["share"])
        self.head = recorded.seq

    @property
    def changed(self) -> Seq:
        """Sequence number of the last change of the preferences; zero: never changed."""
        return self.history[-1].seq if self.history else Seq(0)


def _preferences(data: dict[str, Any]) -> Preferences:
    """As recorded, by this version or by a later one, whose new fields are passed over."""
    return Preferences.model_validate(data, extra="ignore")


def user_session(principal: str) -> SessionId:
    """The session that keeps this user's affairs."""
    return derived_session_id(_EPOCH_MS, "user", principal)


def settings_for(preferences: Preferences, base: SessionSettings, *, speak: bool) -> SessionSettings:
    """`base` as this user wants a text read out that is there already: in whole sentences."""
    return base.model_copy(
        update={
            "voice": preferences.default_voice or base.voice,
            "speech_speed": preferences.speech_speed,
            "speak": speak and preferences.tts_enabled,
            "sentences": base.sentences.model_copy(
                update={**lengths_for(preferences, base.sentences), "first_length": None}
            ),
            "tts_provider": preferences.tts_provider,
            "tts_timeout_s": preferences.tts_timeout,
            "tts_extra": dict(preferences.tts_extra_params),
            "style": preferences.style or base.style,
            "pronunciations": with_user_dictionary(base, preferences.pronunciations).pronunciations,
        }
    )


def lengths_for(preferences: Preferences, base: SentenceSettings) -> dict[str, int]:
    """`min_length` and `max_length` of sentences, in characters.

    The limit grows with the least length: a sentence that is joined to a short one is not cut for it.
    """
    least = preferences.min_sentence_length
    longest = base.max_length + max(0, least - base.min_length)
    return {"min_length": least, "max_length": min(longest, _LONGEST)}


class Users:
    """Reads and changes users' affairs. A user is there as soon as somebody asks."""

    def __init__(self, log: EventLog, recorder: Recorder) -> None:
        self._views = Views(log, UserState)
        self._recorder = recorder

    async def state(self, principal: str) -> UserState:
        """State of the user; callers read it and do not keep it."""
        try:
            state, _ = await self._views.get(user_session(principal))
        except (SessionNotFound, SessionGone):  # never was here, or was erased and is here again
            return UserState()
        return state

    async def pronunciations(self, principal: str) -> tuple[PronunciationEntry, ...]:
        """The user's dictionary."""
        return (await self.state(principal)).preferences.pronunciations

    async def open(self, principal: str) -> SessionId:
        """The user's session, made if it is not there."""
        session = user_session(principal)
        try:
            await self._views.head(session)
        except SessionNotFound:
            started = SessionStarted(settings=SessionSettings(), kind="user", principal=principal)
            await self._recorder.post(session, started, mode="create", key=internal_key("user"))
        return session

    async def change(
        self, principal: str, decide: Callable[[Preferences], Preferences]
    ) -> tuple[Seq, Preferences]:
        """The preferences become what `decide` makes of the present ones.

        Of two changes at the same time none is lost, at whatever replicas: each names the one before it, and
        the log takes only one with that name; the other is decided anew.
        """
        session = await self.open(principal)
        while True:
            state = await self.state(principal)
            wanted = decide(state.preferences)
            key = internal_key("preferences", state.changed)
            changed = PreferencesChanged(preferences=wanted)
            outcome = await self._recorder.post(session, changed, key=key, by=principal)
            if outcome.verdict is Verdict.OK or await self._said(session, outcome.first) == wanted:
                return outcome.last, wanted  # ours, or the very same; its answer may have been lost

    async def _said(self, session: SessionId, seq: Seq) -> Preferences | None:
        """The preferences that an event states."""
        events = await self._views.log.read(session, Seq(seq - 1), limit=1)
        return _preferences(events[0].data["preferences"]) if events else None

    async def delivered(self, principal: str, upto: Seq) -> None:
        """A client of the user has every notification up to here. Raises InputError if none is there."""
        state = await self.state(principal)
        if upto > state.raised:
            raise InputError(f"there is no notification {upto}", field="id")
        if state.delivered < upto:
            await self._recorder.post(
                user_session(principal),
                NotificationsDelivered(upto=upto),
                key=internal_key("delivered", upto),
            )
