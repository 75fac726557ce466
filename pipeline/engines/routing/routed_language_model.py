"""Several language models as one: the chosen provider answers, or else the next one of the fallback order.

The module imports no audio library, since the environment of vLLM has none.
"""

from collections.abc import Sequence
from dataclasses import replace

from pipeline.core.clock import Clock, SystemClock
from pipeline.engines.ports import ChatRequest, Completion, LanguageModel, Stream, Written
from pipeline.engines.registry import build_chat_provider
from pipeline.engines.routing.routed import Routed, RoutedStream, Target, provider_retry
from schemas.errors import EngineError, UnknownModel
from schemas.settings import LanguageModelSettings
from schemas.settings.provider_settings import LOCAL


class RoutedLanguageModel(Routed[LanguageModel]):
    """Satisfies LanguageModel. The next provider is asked only as long as nothing came of the answer.

    When all fail, the error is of the last one's kind and gives the reasons of all.
    """

    def __init__(self, targets: Sequence[Target[LanguageModel]], fallback: tuple[str, ...]) -> None:
        super().__init__(targets, fallback, field="llm_provider")

    def stream(self, request: ChatRequest) -> Stream[Written]:
        """See `LanguageModel.stream`. A model that a fallback does not have becomes its usual one."""
        first = self.target(request.provider)
        if request.model is not None and request.model not in first.choices:
            known = ", ".join(first.choices) or "none to choose"
            raise UnknownModel(
                f"{first.name} has no model {request.model!r}; there is: {known}.", field="llm_model"
            )

        def ask(target: Target[LanguageModel]) -> Stream[Written]:
            model = request.model if request.model in target.choices else None
            return target.engine.stream(replace(request, provider=target.name, model=model))

        return RoutedStream(self.route(first), ask, _verdict, _named)


def _named(item: Written) -> Written:
    """The engine in this server does not name itself."""
    if isinstance(item, Completion) and not item.provider:
        return replace(item, provider=LOCAL)
    return item


def _verdict(target: Target[LanguageModel], error: EngineError, reasons: Sequence[str]) -> EngineError:
    return type(error)(" ".join(reasons), field=error.field)


def open_language_model(
    local: LanguageModel, settings: LanguageModelSettings, *, clock: Clock | None = None
) -> RoutedLanguageModel:
    """Opens `local` and all configured providers as one language model, which closes them all.

    Providers are connected when they are first asked.
    """
    clock = clock or SystemClock()
    targets = [Target(LOCAL, local, choices=settings.adapters)]
    for name, one in settings.providers.items():
        model = build_chat_provider(name, one)
        targets.append(Target(name, model, provider_retry(one, clock), choices=one.choices))
    return RoutedLanguageModel(targets, settings.fallback)
