"""Providers of speech and answers besides this server, and the users' choices among them."""

import re
from collections.abc import Container, Iterable, Mapping
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

from pydantic import (
    BeforeValidator,
    Field,
    JsonValue,
    SecretStr,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    field_validator,
)
from pydantic_core import PydanticCustomError

from schemas.document_models import ClosedModel
from schemas.languages import LanguageTag
from schemas.speech_style import Style

LOCAL: Final = "local"
"""The name of this server's own engine, among the providers."""


def _in_one_sentence(value: Any, check: ValidatorFunctionWrapHandler) -> Any:
    try:
        return check(value)
    except ValidationError:
        raise ValueError("is no text of at most 500 characters, no number, and not true or false") from None


_EXTRA: Final = 32


def _few(extra: Any) -> Any:
    """Before each is looked at: nobody else has a turn while 49,000 wrong ones are told."""
    if isinstance(extra, Mapping) and len(extra) > _EXTRA:
        raise PydanticCustomError("too_many_fields", "has more than {most} parameters", {"most": _EXTRA})
    return extra


VoiceName = Annotated[str, Field(min_length=1, max_length=64)]
ModelName = Annotated[str, Field(min_length=1, max_length=128)]
SpeechExtra = Annotated[
    dict[
        Annotated[str, Field(min_length=1, max_length=64)],
        Annotated[
            Annotated[str, Field(max_length=500)] | int | float | bool, WrapValidator(_in_one_sentence)
        ],
    ],
    Field(max_length=_EXTRA),
    BeforeValidator(_few),
]


def plain_address(url: str) -> str:
    """Returns the address of a provider's API without "/v1". Raises ValueError."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0:
        raise ValueError("is not an http(s) address")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ValueError("holds more than a place: keys belong in api_key, parameters in extra")
    return url.rstrip("/").removesuffix("/v1")


def check_names(providers: Container[str], fallback: Iterable[str]) -> None:
    """Raises ValueError for a provider called as this server is, and for a fallback that is none."""
    if LOCAL in providers:
        raise ValueError(f'the name "{LOCAL}" is taken by what is in this server')
    for name in fallback:
        if name != LOCAL and name not in providers:
            raise ValueError(f"fallback names {name!r}, which is no provider")


class ServerElsewhere(ClosedModel):
    """Address of a provider, and the key for it."""

    url: str
    """Address of its API, without "/v1"; without user name and password: a key belongs in `api_key`."""
    api_key: SecretStr | None = None
    """Sent as a bearer token, and never shown."""

    @field_validator("url")
    @classmethod
    def _plain_address(cls, url: str) -> str:
        return plain_address(url)

    @field_validator("api_key")
    @classmethod
    def _fits_into_a_header(cls, key: SecretStr | None) -> SecretStr | None:
        if key is not None and not re.fullmatch(r"[\x21-\x7e]+", key.get_secret_value()):
            raise ValueError("is empty or holds more than printable ASCII")
        return key


class _ProviderSettings(ServerElsewhere):
    attempts: int = Field(default=2, ge=1, le=10)
    """Tries of a request, as long as nothing came of it."""
    breaker_failures: int = Field(default=5, ge=1, le=1_000)
    """After so many failures in a row the server is left alone ..."""
    breaker_reset_s: float = Field(default=15.0, gt=0, le=3_600)
    """... for so long; then one request tries it."""
    extra: dict[str, JsonValue] = {}
    """Further parameters of every request; they win over our own."""


class SpeechProviderSettings(_ProviderSettings):
    """A server elsewhere that speaks; docs/providers.md shows one of each kind."""

    kind: Literal["openai", "chatterbox"]
    api: Literal["speech", "tts"] = "speech"
    """Chatterbox only: "speech" for chatterbox-tts-api, "tts" for Chatterbox-TTS-Server."""
    model: str | None = None
    """None: the kind's usual one, or none where the server has but one."""
    default_voice: str = Field(min_length=1, max_length=64)
    """Speaks where a wished voice is not known to this provider."""
    voices: tuple[VoiceName, ...] = ()
    """None given: the server is asked when the deployment starts; the default voice is always one of them."""
    languages: tuple[LanguageTag | Literal["*"], ...] = ()
    """Languages that its voices speak, as `[en, pt-BR]`; `["*"]`: every one. None given: nobody knows,
    and they are asked for sentences in the session's language only."""
    voice_languages: dict[VoiceName, tuple[LanguageTag | Literal["*"], ...]] = {}
    """The same for voices that speak others, by their names."""
    sample_rate: int = Field(default=24_000, ge=8_000, le=48_000)
    """Of the sound that comes without saying its rate."""
    styles: dict[Style, dict[str, JsonValue]] = {}
    """Parameters of a request by the style that a session wishes for, instead of the kind's usual ones."""
    timeout_s: float = Field(default=20.0, gt=0, le=300)
    """How long the server may be silent, before the first byte and between bytes."""


class ChatProviderSettings(_ProviderSettings):
    """A server elsewhere that answers by OpenAI's chat completions; docs/providers.md shows some."""

    path: str = Field(default="/v1/chat/completions", pattern=r"^/[!-~]*$")
    """Path after the address; few servers have another one."""
    model: ModelName
    """Answers where no other one is chosen."""
    models: tuple[ModelName, ...] = ()
    """Further ones that users may choose."""
    context_tokens: int = Field(default=4_096, ge=256)
    """Context window of its models: as much of a session is sent to them."""
    timeout_s: float = Field(default=30.0, ge=0.5, le=600)
    """How long it may be silent, before the first token and between tokens. Thoughts that it sends count as
    tokens, comments and empty events do not."""
    limit_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    """Its parameter for the longest answer: newer models of OpenAI know the second name only."""
    going_on: Literal["prefill", "vllm", "ask"] = "prefill"
    """How it is told to go on with an answer whose replica of ours died. `prefill`: what there is of the
    answer comes last (llama.cpp, Ollama); `vllm`: the same, and vLLM's parameters for it; `ask`: it is asked
    for the rest (OpenAI)."""

    @property
    def choices(self) -> tuple[str, ...]:
        """All models that may be chosen, the usual one first."""
        return tuple(dict.fromkeys((self.model, *self.models)))
