"""How this server answers to OpenAI's names: its models, its voices, and what one request may hold."""

from typing import Annotated, Final, Literal

from pydantic import Field

from schemas.document_models import ClosedModel

DEFAULT: Final = "default"
"""As an alias: the language model that sessions here begin with, or the voice that they do."""
VOICE_MODEL: Final = "tts-1"
"""Public name of this server's voice."""
WHOLE_EAR: Final = "whisper-1"
"""Public name of the quality transcription."""
QUICK_EAR: Final = "gpt-4o-mini-transcribe"
"""Public name of the realtime transcription."""
EMBEDDING: Final = "embedding"
"""As an alias: the embedding model of the documents here."""
EMBEDDINGS: Final = {"e5": "multilingual-e5-small-q4", "wordllama": "wordllama-l2-supercat-256"}
"""Public names of the embedding models, by their names in the settings."""

_OPENAI_VOICES: Final = (
    *("alloy", "ash", "ballad", "coral", "echo", "fable", "onyx"),
    *("nova", "sage", "shimmer", "verse", "marin", "cedar"),
)


class OpenAiSettings(ClosedModel):
    """The surface that OpenAI's clients speak to."""

    aliases: dict[Annotated[str, Field(min_length=1, max_length=128)], str] = {
        "tts-1*": VOICE_MODEL,
        "*-tts*": VOICE_MODEL,
        "whisper*": WHOLE_EAR,
        "*/*whisper*": WHOLE_EAR,
        "*-mini-transcribe*": QUICK_EAR,
        "*-transcribe*": WHOLE_EAR,
        "text-embedding-*": EMBEDDING,
        "gpt-*": DEFAULT,
        "chatgpt-*": DEFAULT,
        "o[0-9]*": DEFAULT,
        "claude-*": DEFAULT,
    }
    """Patterns of names that clients ask for (`*`, `?`, `[...]`), and which model of /v1/models answers then;
    the first that fits counts, after the names themselves."""
    voices: dict[Annotated[str, Field(min_length=1, max_length=64)], str] = dict.fromkeys(
        _OPENAI_VOICES, DEFAULT
    )
    """Names of voices that clients ask for, and who speaks then; after the names of voices that exist."""
    unknown: Literal["ignore", "refuse"] = "ignore"
    """Fields of a request that nothing here knows: `ignore` names them in the answer's header
    `X-Rhapsode-Ignored`, `refuse` answers 400 `unknown_parameter`."""
    input_chars: int = Field(default=4_096, ge=1)
    """Longer texts for `/v1/audio/speech` are refused."""
    chat_bytes: int = Field(default=10_000_000, ge=1_000)
    """Larger bodies of `/v1/chat/completions`, `/v1/responses`, `/v1/messages`, `/v1/ui/chat` and `/v1/mcp`
    are refused."""
    max_tokens: int = Field(default=1_024, ge=1, le=4_096)
    """Of an answer whose request names no limit."""
    grace_s: float = Field(default=2.0, ge=0, le=600)
    """How long an answer is still made for a client that has gone away, without `store`."""
