"""Events about what users have beside turns: narrations, preferences, notifications and share links."""

from typing import Literal

from pydantic import Field

from schemas.events.event_model import EventModel as _Event
from schemas.settings.narration_preferences import Preferences
from schemas.speech_style import MARKS, TextPart, VoiceMark

# ---------------------------------------------------------------- narrations, recorded in their story


class NarrationRequested(_Event):
    """A scene (the envelope's turn) is being read out in a session of its own."""

    type: Literal["narration.requested"] = "narration.requested"
    v: Literal[1] = 1
    session: str
    """The narration: a session of kind `narration` with one turn."""
    by: Literal["auto", "user"]
    """`auto`: the user's settings asked for it when the scene was complete."""
    voices: tuple[VoiceMark, ...] = Field(default=(), max_length=MARKS)
    """Parts of the scene that other voices speak."""
    again: tuple[TextPart, ...] = Field(default=(), max_length=MARKS)
    """Parts that are spoken again; the rest has the sound of the reading before. Empty: all is spoken."""


class NarrationReady(_Event):
    """All of the scene's audio is in the log of `session`."""

    type: Literal["narration.ready"] = "narration.ready"
    v: Literal[1] = 1
    session: str
    chunks: int
    """Sentences with audio."""
    missing: int = 0
    """Sentences that the voice could not speak."""
    audio_ms: int


class NarrationFailed(_Event):
    """The scene stands, but there is no audio of it; asking again may help."""

    type: Literal["narration.failed"] = "narration.failed"
    v: Literal[1] = 1
    session: str
    code: str
    message: str


# ---------------------------------------------------------------- a user's own session


class PreferencesChanged(_Event):
    """The user's preferences are these from now on."""

    type: Literal["preferences.changed"] = "preferences.changed"
    v: Literal[1] = 1
    preferences: Preferences


class NotificationRaised(_Event):
    """Something that the user should hear of, wherever they are."""

    type: Literal["notification.raised"] = "notification.raised"
    v: Literal[1] = 1
    kind: Literal["tts_ready", "tts_failed"]
    story: str
    scene: str
    session: str
    """The narration."""
    chunk_count: int = 0
    auto_play: bool = False
    """Play it without being asked."""
    code: str | None = None
    message: str | None = None


class NotificationsDelivered(_Event):
    """A client of the user has taken every notification up to this place."""

    type: Literal["notifications.delivered"] = "notifications.delivered"
    v: Literal[1] = 1
    upto: int


# ---------------------------------------------------------------- shares, recorded in the shared session,
# or in its user's own where that one is closed


class ShareCreated(_Event):
    """A share link was made: its holders may listen to this session, and nothing else."""

    type: Literal["share.created"] = "share.created"
    v: Literal[1] = 1
    share: str
    """Names it; the link itself is signed and not kept."""
    expires_ms: int | None = None
    label: str = ""
    session: str | None = None
    """The shared session; None: the one that this event is in."""


class ShareRevoked(_Event):
    type: Literal["share.revoked"] = "share.revoked"
    v: Literal[1] = 1
    share: str
