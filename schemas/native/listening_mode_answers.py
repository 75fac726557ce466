"""The ways of listening as an answer, for whoever lets people choose."""

from schemas.document_models import ClosedModel
from schemas.settings.listening_settings import Mode


class ModeView(ClosedModel):
    """A way of listening that a session may choose, as `listening.mode`."""

    mode: Mode
    description: str
    latency: str
    """From the end of speech to its text, and to the answer."""
    quality: str
    engine: str
    """Providers that transcribe."""
    providers: tuple[str, ...] = ()
    """Other providers, by `listening.provider`."""


class ListeningModes(ClosedModel):
    default: Mode
    modes: tuple[ModeView, ...]
