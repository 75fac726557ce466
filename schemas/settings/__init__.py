"""All settings as one frozen tree; each part of the system gets only its branch."""

from schemas.settings.log_settings import (
    Address,
    LogSettings,
)
from schemas.settings.settings_tree import (
    AppSettings,
    ArchiveSettings,
    IdleSettings,
    LanguageModelSettings,
    ProviderName,
    SentenceSettings,
    SessionName,
    SessionSettings,
    TextToSpeechSettings,
    WorkerSettings,
)

__all__ = [
    "Address",
    "AppSettings",
    "ArchiveSettings",
    "IdleSettings",
    "LanguageModelSettings",
    "LogSettings",
    "ProviderName",
    "SentenceSettings",
    "SessionName",
    "SessionSettings",
    "TextToSpeechSettings",
    "WorkerSettings",
]
