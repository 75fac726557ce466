"""The ways of listening as an answer, for whoever lets people choose."""

from pydantic import BaseModel, ConfigDict

from schemas.settings.listening_settings import Mode


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class ModeView(_Answer):
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


class ListeningModes(_Answer):
    default: Mode
    modes: tuple[ModeView, ...]
