"""Narration preferences of one user, for all stories; the names are those of the stories' settings form."""

from pydantic import Field

from schemas.document_models import ClosedModel
from schemas.settings.provider_settings import SpeechExtra
from schemas.speech_style import Dictionary, Style


class Preferences(ClosedModel):
    """Kept as events in the user's own session, so that every change has a time and can be looked up."""

    tts_enabled: bool = True
    """False: nothing is spoken by itself, neither afterwards nor while it is written. A
    narration that is asked for is still made."""
    auto_play_last_scene: bool = False
    """A scene that was only written is narrated by itself as soon as it is complete."""
    realtime_tts_enabled: bool = False
    """Scenes are heard while they are being written, where the page may choose."""
    min_sentence_length: int = Field(default=20, ge=1, le=500)
    """Characters; a shorter sentence waits and is joined to the next one."""
    default_voice: str | None = Field(default=None, min_length=1, max_length=64)
    """None: the server's own choice."""
    speech_speed: float = Field(default=1.0, ge=0.5, le=2.0)
    style: Style | None = None
    """How it is said; None: as the voice speaks by itself."""
    pronunciations: Dictionary = ()
    """Dictionary of this user, for every session that begins from now on."""
    tts_provider: str | None = Field(default=None, min_length=1, max_length=64)
    """Which of the configured voices' providers speaks; None: the one in this server."""
    tts_timeout: float | None = Field(default=None, ge=1, le=300)
    """Seconds that a provider may be silent; None: as configured."""
    tts_extra_params: SpeechExtra = {}
    """Further parameters that are handed to the voice's provider as they are."""
