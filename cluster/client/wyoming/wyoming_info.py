"""Description of the services, as Home Assistant asks for it."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from wyoming.info import (
    AsrModel,
    AsrProgram,
    Attribution,
    HandleModel,
    HandleProgram,
    Info,
    TtsProgram,
    TtsVoice,
)

from schemas.languages import ANY, LANGUAGE_NAMES
from schemas.version import VERSION

_ABOUT: Final[Mapping[str, Any]] = {
    "attribution": Attribution(name="Rhapsode", url=""),
    "installed": True,
    "version": VERSION,
}


def info_of(voices: Mapping[str, Any]) -> Info:
    """The services of a server that has these voices; `voices` is the answer of `/v1/voices`."""
    known = sorted(LANGUAGE_NAMES)
    languages: Mapping[str, Sequence[str]] = voices.get("languages", {}).get("local", {})
    return Info(
        asr=[
            AsrProgram(
                name="rhapsode",
                description="Rhapsode's speech to text",
                models=[AsrModel(name="rhapsode", description="Whisper", languages=known, **_ABOUT)],
                supports_transcript_streaming=True,
                **_ABOUT,
            )
        ],
        tts=[
            TtsProgram(
                name="rhapsode",
                description="Rhapsode's voices",
                voices=[
                    TtsVoice(
                        name=name,
                        description=name,
                        languages=_named(languages.get(name, ()), known),
                        **_ABOUT,
                    )
                    for name in voices["voices"]
                ],
                supports_synthesize_streaming=True,
                **_ABOUT,
            )
        ],
        handle=[
            HandleProgram(
                name="rhapsode",
                description="Rhapsode's language model",
                models=[HandleModel(name="rhapsode", description="Conversation", languages=known, **_ABOUT)],
                supports_handled_streaming=True,
                **_ABOUT,
            )
        ],
    )


def _named(languages: Sequence[str], known: list[str]) -> list[str]:
    """Home Assistant has no tag for every language."""
    return known if ANY in languages or not languages else list(languages)
