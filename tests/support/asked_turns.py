"""A question is put to a session in memory; its turn's events come back."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

from pipeline.core.clock import SystemClock
from pipeline.engines.ports import ChatRequest, LanguageModel, Speaker, ToolCall, Written
from pipeline.eventlog.recorder import Recorder
from pipeline.eventlog.tailer import Tailer
from pipeline.observability.tracer import Tracing
from pipeline.sessions.owner_pool import OwnerPool
from pipeline.sessions.session_owner import OwnerServices
from pipeline.tools.tool_registry import ToolRegistry
from pipeline.turn.generation import Engines
from pipeline.turn.retrieval_step import Retriever
from schemas.events import SessionStarted, TurnRequested
from schemas.events.recorded import Recorded
from schemas.ids import Seq, TurnId, new_id, new_session_id
from schemas.settings import SessionSettings
from schemas.settings.limit_settings import LimitSettings
from schemas.settings.model_settings import FunctionOffer, GivenMessage, ToolSettings
from schemas.settings.retrieval_settings import CollectionId, DocumentId, Passage, SearchToolConfig
from schemas.settings.tool_settings import RegisteredFunction, ToolRegistrySettings
from tests.pipeline.sessions.test_session_owner import until_over
from tests.pipeline.turn.test_turn import Voice
from tests.support.eventlog.memory_log import MemoryEventLog

TURN = TurnId(2)
COLLECTION = new_id()


class Author:
    """A language model that says what is next on its list; texts, calls, a completion."""

    def __init__(self, *answers: Sequence[Written]) -> None:
        self._answers = answers
        self.asked: list[ChatRequest] = []

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Written, None]:
        self.asked.append(request)
        said = sum(bool(message.calls) for message in request.messages)
        last = request.messages[-1]
        begun = last.content if last.role == "assistant" and not last.calls else ""
        for item in self._answers[min(said, len(self._answers) - 1)]:
            if isinstance(item, str) and begun:
                begun = begun.removeprefix(item)  # of an answer that is gone on with
            else:
                yield item

    async def aclose(self) -> None:
        """Nothing to close."""


class Shelf:
    """A finder with one thing on it, or with trouble."""

    def __init__(self, *texts: str, error: Exception | None = None, headings: tuple[str, ...] = ()) -> None:
        self._texts, self._error, self._headings = texts, error, headings

    async def find(
        self, question: str, collections: Sequence[CollectionId], config: SearchToolConfig
    ) -> list[Passage]:
        if self._error is not None:
            raise self._error
        under = {"headings": self._headings}
        return [passage(text, collections[0], config).model_copy(update=under) for text in self._texts]


def passage(text: str, collection: CollectionId, config: SearchToolConfig) -> Passage:
    return Passage(
        collection=collection,
        document=DocumentId(COLLECTION),
        title="The lamp",
        media_type="application/pdf",
        page=3,
        start=0,
        end=len(text),
        text=text,
        score=1.0,
        strategy=config.strategy,
    )


def tool_registry(
    filler_after_ms: int = 60_000,
    charge: Callable[[str], Awaitable[None]] | None = None,
    **functions: RegisteredFunction,
) -> ToolRegistry:
    settings = ToolRegistrySettings(functions=functions, rounds=2, filler_after_ms=filler_after_ms)
    return ToolRegistry(settings, charge)


def registered(*names: str) -> SessionSettings:
    return SessionSettings(tools=ToolSettings(registered=names), speak=False)


def offered(*names: str) -> SessionSettings:
    functions = tuple(FunctionOffer(name=name) for name in names)
    return SessionSettings(tools=ToolSettings(functions=functions), speak=False)


def call(name: str, arguments: str = "{}", *, id: str = "") -> ToolCall:
    return ToolCall(id or f"call_{name}", name, arguments)


@asynccontextmanager
async def owning(
    log: MemoryEventLog,
    recorder: Recorder,
    models: Engines,
    name: str = "first",
    *,
    tracing: Tracing | None = None,
) -> AsyncGenerator[OwnerPool, None]:
    async with Tailer(log) as tailer:
        services = OwnerServices(
            log, recorder, tailer, models, SystemClock(), LimitSettings(), tracing=tracing
        )
        async with OwnerPool(node=name, services=services) as owners:
            yield owners


async def events_of(  # noqa: PLR0913 - all that a turn depends on
    model: LanguageModel,
    settings: SessionSettings,
    *,
    functions: ToolRegistry | None = None,
    finder: Retriever | None = None,
    voice: Speaker | None = None,
    given: tuple[GivenMessage, ...] | None = None,
    text: str = "When was it lit?",
    tracing: Tracing | None = None,
    principal: str = "",
    by: str = "",
    result_of: int | None = None,
) -> list[Recorded]:
    """Events of a turn in the log, its request excepted."""
    log, session = MemoryEventLog(), new_session_id()
    models = Engines(model, voice or Voice(), finder, functions)
    async with Recorder(log) as recorder, owning(log, recorder, models, tracing=tracing) as owners:
        started = SessionStarted(settings=settings, principal=principal)
        await recorder.post(session, started, mode="create")
        wish = TurnRequested(
            kind="prompt", text=text, settings=settings, given=given, by=by, result_of=result_of
        )
        await recorder.post(session, wish)
        owners.wake(session, Seq(TURN))
        await until_over(log, session, "turn.completed")
    return (await log.read(session, Seq(0), limit=5_000))[2:]


def of_type(events: Sequence[Recorded], *kinds: str) -> list[Recorded]:
    return [event for event in events if event.type in kinds]
