"""Several language models as one: the chosen provider answers, or else the next one of the fallback order."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace

from pipeline.engines.ports import ChatRequest, Completion, LanguageModel, Written
from pipeline.engines.routing.fallback_order import in_order
from pipeline.engines.routing.retry import Guard
from schemas.errors import EngineError, UnknownModel, UnknownProvider
from schemas.settings.provider_settings import LOCAL


class GuardedLanguageModel:
    """Satisfies LanguageModel around a provider's one: asked again, or left alone."""

    def __init__(self, guard: Guard, model: LanguageModel) -> None:
        self._guard = guard
        self._model = model

    def stream(self, request: ChatRequest) -> AsyncGenerator[Written, None]:
        """See `LanguageModel.stream`, and `Guard.stream`."""
        return self._guard.stream(lambda: self._model.stream(request))

    async def aclose(self) -> None:
        await self._model.aclose()


@dataclass(frozen=True, slots=True)
class Writer:
    """One provider in the chain."""

    name: str
    language_model: LanguageModel
    models: tuple[str, ...] = ()
    """That can be chosen; none: there is but one, which has no name."""


class ChainLanguageModel:
    """Satisfies LanguageModel. The next provider is asked only as long as nothing came of the answer.

    When nobody can, what comes out is the last one's kind of error, with everybody's reasons.
    """

    def __init__(self, writers: Sequence[Writer], fallback: tuple[str, ...]) -> None:
        self._writers = {writer.name: writer for writer in writers}
        self._fallback = fallback

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Written, None]:
        """See `LanguageModel.stream`. A model that a fallback does not have becomes its usual one."""
        route = self._route(request)

        def ask(name: str) -> AsyncGenerator[Written, None]:
            writer = self._writers[name]
            model = request.model if request.model in writer.models else None
            return writer.language_model.stream(replace(request, provider=name, model=model))

        async with aclosing(in_order(route, ask, _verdict)) as items:
            async for item in items:
                if isinstance(item, Completion) and not item.provider:
                    item = replace(item, provider=LOCAL)
                yield item

    async def aclose(self) -> None:
        for writer in self._writers.values():
            await writer.language_model.aclose()

    def _route(self, request: ChatRequest) -> list[str]:
        wished = request.provider or LOCAL
        if wished not in self._writers:
            known = ", ".join(self._writers)
            raise UnknownProvider(
                f"There is no provider {wished!r}; there is: {known}.", field="llm_provider"
            )
        models = self._writers[wished].models
        if request.model is not None and request.model not in models:
            known = ", ".join(models) or "none to choose"
            raise UnknownModel(
                f"{wished} has no model {request.model!r}; there is: {known}.", field="llm_model"
            )
        return list(dict.fromkeys((wished, *self._fallback)))


def _verdict(name: str, error: EngineError, reasons: Sequence[str]) -> EngineError:
    return type(error)(" ".join(reasons), field=error.field)
