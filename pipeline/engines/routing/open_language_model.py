"""From settings to the language model that they describe. Loads no sound: vLLM's place has none."""

from pipeline.core.clock import Clock, SystemClock
from pipeline.engines.ports import LanguageModel
from pipeline.engines.registry import build_chat_provider
from pipeline.engines.routing.language_model_chain import ChainLanguageModel, GuardedLanguageModel, Writer
from pipeline.engines.routing.retry import guard_for
from schemas.settings import LanguageModelSettings
from schemas.settings.provider_settings import LOCAL


def open_language_model(
    local: LanguageModel, settings: LanguageModelSettings, *, clock: Clock | None = None
) -> ChainLanguageModel:
    """`local` and all configured providers as one language model, which closes them all.

    Providers are connected when they are first asked.
    """
    clock = clock or SystemClock()
    writers = [Writer(LOCAL, local, settings.adapters)]
    for name, one in settings.providers.items():
        model = GuardedLanguageModel(guard_for(name, one, clock), build_chat_provider(name, one))
        writers.append(Writer(name, model, one.choices))
    return ChainLanguageModel(writers, settings.fallback)
