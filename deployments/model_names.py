"""Which of our models and voices is meant by a name that OpenAI's clients use; the one place that knows."""

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import PurePath
from typing import Final, Literal

from pipeline.engines.ports import is_ours
from pipeline.sessions.catalog import Catalog
from schemas.errors import UnknownVoice
from schemas.errors.openai_errors import ModelNotFound
from schemas.settings import AppSettings, LanguageModelSettings
from schemas.settings.listening_settings import Mode, SpeechToTextSettings
from schemas.settings.openai_settings import DEFAULT, EMBEDDING, EMBEDDINGS, QUICK_EAR, VOICE_MODEL, WHOLE_EAR
from schemas.settings.provider_settings import LOCAL

Kind = Literal["chat", "speech", "transcription", "embedding"]
OPENAI: Final = "openai"
"""The provider that clients name together with OpenAI's models."""
_PACKAGED: Final = "smollm2-135m-instruct"
_WHAT_IT_DOES: Final[dict[Kind, str]] = {
    "chat": "answers",
    "speech": "speaks",
    "transcription": "writes speech down",
    "embedding": "makes embeddings",
}


@dataclass(frozen=True, slots=True)
class NamedModel:
    """One model as clients see it."""

    id: str
    kind: Kind
    provider: str | None = None
    """None: this server itself."""
    model: str | None = None
    """As the provider calls it; None: its usual one."""
    mode: Mode = "quality"
    """Of those that write speech down: in which way."""

    @property
    def owner(self) -> str:
        return self.provider or "rhapsode"


class Names:
    """All models and voices, by every name that they answer to."""

    def __init__(self, settings: AppSettings, choices: Catalog) -> None:
        self._settings = settings.openai
        self._choices = choices
        self._local = local_name(settings.language_model)
        self._speech_to_text = settings.speech_to_text
        self._embedding = EMBEDDINGS[settings.retrieval.embedding]
        self._models = {one.id: one for one in self._all()}

    @property
    def choices(self) -> Catalog:
        """Lists the available models by their names here."""
        return self._choices

    @property
    def models(self) -> tuple[NamedModel, ...]:
        return tuple(self._models.values())

    def find(self, name: str) -> NamedModel:
        """Raises ModelNotFound."""
        return self._found(name, tuple(_WHAT_IT_DOES))

    def chat(self, name: str) -> NamedModel:
        """Returns the language model of this name. Raises ModelNotFound."""
        return self._found(name, ("chat",))

    def answering(self, name: str) -> tuple[str | None, str | None]:
        """Provider and model of who answers by this name; "local": whoever answers here anyway. Raises
        ModelNotFound.
        """
        if name == LOCAL:
            return None, None
        found = self.chat(name)
        return found.provider, found.model

    def chosen(self, provider: str | None, model: str | None) -> tuple[str | None, str | None]:
        """Provider and model of a request that names them apart; an alias is replaced by what it stands for.

        An alias counts with no provider, and with "openai" where no provider of that name is configured.
        Names that are unknown are returned as they are: `Catalog.check` refuses them.
        """
        answerers = self._choices.answerers
        aliased = provider is None or (provider == OPENAI and OPENAI not in answerers)
        if model is None or not aliased or model in answerers.get(provider or LOCAL, ()):
            return provider, model
        try:
            return self.answering(model)
        except ModelNotFound:
            return provider, model

    def same(self, one: str, other: str) -> bool:
        """Whether both names mean the same language model. Raises ModelNotFound."""
        first, second = (self._default() if name == LOCAL else self.chat(name) for name in (one, other))
        return first == second

    def speech(self, name: str) -> NamedModel:
        """Returns the voice of this name. Raises ModelNotFound."""
        return self._found(name, ("speech",))

    def transcription(self, name: str) -> NamedModel:
        """Returns the transcription model of this name. Raises ModelNotFound."""
        return self._found(name, ("transcription",))

    def embedding(self, name: str) -> NamedModel:
        """Returns the embedding model of this name. Raises ModelNotFound."""
        return self._found(name, ("embedding",))

    def voice(self, name: str, provider: str | None, *, field: str = "voice") -> str:
        """The voice of that provider (None: this server) that is meant. Raises UnknownVoice."""
        known = tuple(self._choices.speakers.get(provider or LOCAL, ()))
        if name in known:
            return name
        meant = self._settings.voices.get(name)
        if meant in known:
            return meant
        if meant is not None and known:
            usual = self._choices.defaults.voice
            return usual if usual in known else known[0]
        raise UnknownVoice(f"there is no voice {name[:80]!r}; there is: {', '.join(known)}", field=field)

    def voice_names(self) -> Iterator[tuple[str, str]]:
        """Every voice with its provider, then the other names that the voices here answer to."""
        for provider, voices in self._choices.speakers.items():
            yield from ((voice, provider) for voice in voices)
        here = self._choices.speakers.get(LOCAL, ())
        yield from ((alias, LOCAL) for alias in self._settings.voices if alias not in here)

    def answered(self, provider: str, model: str) -> str:
        """Returns the public name of a model that the log names."""
        if provider in ("", LOCAL):
            return model if model in self._choices.answerers.get(LOCAL, ()) else self._local
        return f"{provider}/{model}" if model else provider

    def _found(self, name: str, kinds: tuple[Kind, ...]) -> NamedModel:
        for found in self._candidates(name):
            if found.kind in kinds:
                return found
        what = f" that {_WHAT_IT_DOES[kinds[0]]}" if len(kinds) == 1 else ""
        raise ModelNotFound(f"there is no model {name[:128]!r}{what} here", field="model")

    def _candidates(self, name: str) -> Iterator[NamedModel]:
        if name in self._models:
            yield self._models[name]
        yield from (one for one in self._models.values() if one.model == name)
        for pattern, meant in self._settings.aliases.items():
            if fnmatchcase(name, pattern):
                if meant == DEFAULT:
                    yield self._default()
                elif meant == EMBEDDING:
                    yield self._models[self._embedding]
                elif meant in self._models:
                    yield self._models[meant]
                return

    def _default(self) -> NamedModel:
        """The language model that sessions here begin with."""
        defaults = self._choices.defaults
        if is_ours(defaults.llm_provider):
            return self._models.get(defaults.llm_model or self._local, self._models[self._local])
        of_theirs = (one for one in self._models.values() if one.provider == defaults.llm_provider)
        wished = defaults.llm_model
        return next(one for one in of_theirs if one.kind == "chat" and wished in (None, one.model))

    def _all(self) -> Iterator[NamedModel]:
        yield NamedModel(self._local, "chat")
        for adapter in self._choices.answerers.get(LOCAL, ()):
            yield NamedModel(adapter, "chat", model=adapter)
        for provider, models in self._choices.answerers.items():
            if provider != LOCAL:
                yield from (NamedModel(f"{provider}/{one}", "chat", provider, one) for one in models)
        yield NamedModel(VOICE_MODEL, "speech")
        others = (name for name in self._choices.speakers if name != LOCAL)
        yield from (NamedModel(f"{name}/{VOICE_MODEL}", "speech", name) for name in others)
        yield NamedModel(WHOLE_EAR, "transcription", mode="quality")
        yield NamedModel(QUICK_EAR, "transcription", mode="realtime")
        yield from _speech_to_text_models(self._speech_to_text)
        yield NamedModel(self._embedding, "embedding")


def local_name(settings: LanguageModelSettings) -> str:
    """Returns the public name of this server's language model."""
    match settings.engine:
        case "llama":
            return _PACKAGED if settings.model_path is None else settings.model_path.stem
        case "vllm":
            return _PACKAGED if settings.model is None else PurePath(settings.model).name
        case engine:
            return engine


def _speech_to_text_models(settings: SpeechToTextSettings) -> Iterator[NamedModel]:
    for name, one in settings.providers.items():
        yield NamedModel(f"{name}/{one.model}", "transcription", name, one.model, mode="realtime")
