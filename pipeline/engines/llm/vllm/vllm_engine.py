"""vLLM: models of any size on a GPU, hundreds of requests decoded together, and what was read is kept.

It runs in an environment of its own, which is the only place where this can be imported. The same code runs
on a CPU, where it is tested.
"""

import asyncio
import logging
import re
import secrets
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path, PurePath
from typing import Any, Final, Literal

from vllm.config import StructuredOutputsConfig
from vllm.engine.arg_utils import AsyncEngineArgs
from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest
from vllm.exceptions import VLLMClientError, VLLMError
from vllm.inputs import tokens_input
from vllm.lora.request import LoRARequest
from vllm.outputs import CompletionOutput
from vllm.parser import ParserManager
from vllm.platforms import current_platform
from vllm.sampling_params import RequestOutputKind, SamplingParams, StructuredOutputsParams
from vllm.v1.engine.async_llm import AsyncLLM
from vllm.v1.engine.exceptions import EngineDeadError

from pipeline.engines.forced_calls import calls_of, forced, plain
from pipeline.engines.llm.chat_body import CallsInPieces, wishes_of
from pipeline.engines.llm.vllm.vllm_environment import SPARE, adapter_folders, rank_of
from pipeline.engines.llm.vllm.vllm_prompt import Prompt, Prompts
from pipeline.engines.model_files import vllm_folder
from pipeline.engines.own_thread import OwnThread
from pipeline.engines.ports import ChatRequest, Completion, ToolCall, Written
from pipeline.engines.slots import Slots
from pipeline.engines.watchdog import WatchedEngine
from pipeline.engines.weights.prepared_folders import UnusableWeights
from schemas.errors import EngineDead, EngineFailed, SchemaInvalid, UnknownModel
from schemas.settings import LanguageModelSettings

_log: Final = logging.getLogger(__name__)
_SCHEMA: Final = re.compile("schema|grammar|structured", re.IGNORECASE)
_OURS: Final = ("temperature", "max_tokens")
"""Every request says these; the rest is as the model's makers advise, unless the request says otherwise."""


class Sampling:
    """How tokens are chosen."""

    def __init__(self, advised: Mapping[str, Any]) -> None:
        """`advised`: by the model's generation_config.json."""
        self._advised = {name: value for name, value in advised.items() if name not in _OURS}

    def of(self, request: ChatRequest, room: int, *, special: bool) -> SamplingParams:
        """`special`: tokens that are no text are written out, as some families mark calls with them.

        Raises EngineFailed.
        """
        wished = {
            "top_p": request.top_p,
            "presence_penalty": request.presence_penalty,
            "frequency_penalty": request.frequency_penalty,
            "seed": request.seed,
        }
        with in_our_words(held=request.json_schema is not None):
            return SamplingParams(
                **self._advised | {name: value for name, value in wished.items() if value is not None},
                temperature=request.temperature,
                max_tokens=min(request.max_tokens, room),
                stop=list(request.stop),
                output_kind=RequestOutputKind.DELTA,
                skip_special_tokens=not special,
                structured_outputs=None
                if request.json_schema is None
                else StructuredOutputsParams(json=dict(request.json_schema)),
            )


@contextmanager
def in_our_words(*, held: bool = False) -> Iterator[None]:
    """Around calls of vLLM. `held`: the answer is held to a schema, which may be what is refused."""
    try:
        yield
    except EngineDeadError as error:
        raise EngineDead("vLLM has stopped.") from error
    except (VLLMClientError, ValueError) as error:
        if held and _SCHEMA.search(str(error)):
            raise SchemaInvalid(f"vLLM refused: {error}") from error
        raise EngineFailed(f"vLLM refused: {error}") from error
    except VLLMError as error:
        _log.warning("vLLM failed", exc_info=True)
        raise EngineFailed(f"vLLM failed: {error or type(error).__name__}") from error


_HERMES: Final = "<tool_call>"


class Readers:
    """Makes a reader for each answer, by the rules of the model's family, of which vLLM knows dozens."""

    def __init__(self, tokenizer: Any, template: str, settings: LanguageModelSettings) -> None:
        """Raises UnusableWeights if vLLM knows no such rules, or the tokenizer does not go with them."""
        self._tokenizer = tokenizer
        self._options = dict(settings.template_options)
        tools = settings.tool_parser or ("hermes" if _HERMES in template else None)
        self.knows_calls = tools is not None
        """The model can be offered functions."""
        self._with_calls = self._parser(tools, settings.reasoning_parser)
        self._without = self._parser(None, settings.reasoning_parser)

    def reader(self, request: ChatRequest, prompt: list[int], *, calls: bool) -> "Reader":
        """`calls`: there may be some."""
        kind = self._with_calls if calls else self._without
        if kind is None:
            return Reader(None, None, prompt)
        tools = wishes_of(request).get("tools") if calls else None
        chat = ChatCompletionRequest(messages=[], tools=tools, include_reasoning=False)
        return Reader(kind(self._tokenizer, chat.tools, chat_template_kwargs=self._options), chat, prompt)

    def _parser(self, tools: str | None, thoughts: str | None) -> Any:
        """vLLM's class for it; None: there is nothing to tell apart."""
        try:
            return ParserManager.get_parser(
                tools, thoughts, enable_auto_tools=True, tokenizer=self._tokenizer
            )
        except TypeError as error:
            raise UnusableWeights(f"The model's answers cannot be read: {error}") from error


class Reader:
    """Reads one answer as it comes."""

    def __init__(self, parser: Any, chat: ChatCompletionRequest | None, prompt: list[int]) -> None:
        self._parser = parser
        self._chat = chat
        self._prompt = prompt
        self._calls = CallsInPieces()

    def read(self, text: str, tokens: list[int], *, finished: bool) -> str:
        """The next piece: what of it is the answer's text."""
        if self._parser is None:
            return text
        delta = self._parser.parse_delta(text, tokens, self._chat, self._prompt, finished=finished)
        if delta is None:
            return ""
        self._calls.take([piece.model_dump(exclude_none=True) for piece in delta.tool_calls or ()])
        return delta.content or ""

    def calls(self, *, parallel: bool) -> list[ToolCall]:
        calls = self._calls.calls()
        return calls if parallel else calls[:1]


_KV_ON_CPU_MB: Final = 512
_BLOCK_ON_CPU: Final = 32
"""Tokens that are kept or forgotten together. With 128 of them, as usual on a CPU, what short questions
begin with would never be found again."""


def start(model: str, settings: LanguageModelSettings, stat_loggers: Sequence[Any] = ()) -> AsyncLLM:
    """The engine with the model in memory, in a process of its own; takes 10 s, on a GPU a minute and more.

    Raises UnusableWeights; RuntimeError for what only shows in that process, which has then said so itself.
    """
    try:
        arguments = _arguments(model, settings)
        return AsyncLLM.from_engine_args(arguments, stat_loggers=list(stat_loggers))
    except (ValueError, OSError) as error:
        raise UnusableWeights(f"vLLM cannot load {model}: {error}") from error


def _arguments(model: str, settings: LanguageModelSettings) -> AsyncEngineArgs:
    on_cpu = current_platform.is_cpu()
    adapters = adapter_folders(settings)
    kv_mb = settings.kv_cache_mb or (_KV_ON_CPU_MB if on_cpu else None)
    return AsyncEngineArgs(
        model=model,
        tokenizer_mode="hf",
        dtype=settings.dtype,
        quantization=settings.quantization,
        max_model_len=settings.window,
        max_num_seqs=settings.slots,
        gpu_memory_utilization=settings.gpu_memory_utilization,
        kv_cache_memory_bytes=None if kv_mb is None else kv_mb << 20,
        block_size=_BLOCK_ON_CPU if on_cpu else None,
        enable_prefix_caching=True,
        enforce_eager=on_cpu if settings.eager is None else settings.eager,
        tensor_parallel_size=settings.tensor_parallel,
        # Within Ray, vLLM would make actors of its own, and wait for a placement group that is not there.
        distributed_executor_backend="mp" if settings.tensor_parallel > 1 else None,
        enable_lora=bool(adapters),
        max_loras=max(1, len(adapters)),
        max_lora_rank=rank_of(adapters),
        # Small models write blanks for ever where the schema lets them.
        structured_outputs_config=StructuredOutputsConfig(
            backend="xgrammar", disable_any_whitespace=True, reasoning_parser=settings.reasoning_parser or ""
        ),
        disable_log_stats=True,
    )


def model_of(settings: LanguageModelSettings, packaged: Path | None) -> str:
    """Names the model for vLLM: a folder, or a name that only the hub knows."""
    if settings.model is None:
        return str(packaged)
    folder = Path(settings.model).expanduser()
    return str(folder) if folder.is_dir() else settings.model


_PACKAGED: Final = "SmolLM2-135M-Instruct"


def build(
    settings: LanguageModelSettings, cache: Path, stat_loggers: Sequence[Any] = ()
) -> "VllmLanguageModel":
    """Load it. `stat_loggers`: vLLM's own, to which it tells its figures."""
    packaged = vllm_folder(cache) if settings.model is None else None
    return VllmLanguageModel(start(model_of(settings, packaged), settings, stat_loggers), settings)


class VllmLanguageModel(WatchedEngine):
    """Answers `slots` requests at once, by a model or one of its adapters; what is too many is EngineBusy.

    A conversation longer than the window loses its oldest messages, unless the request is to be told whole;
    that, or a single question longer than the window, is ContextTooLong. A last message of the
    assistant is continued, not answered.
    """

    def __init__(self, engine: AsyncLLM, settings: LanguageModelSettings) -> None:
        super().__init__(Slots(settings.slots, waiting=SPARE), settings.stall_s)
        self._engine = engine
        self._name = _PACKAGED if settings.model is None else PurePath(settings.model).name
        tokenizer = engine.get_tokenizer()
        self._prompts = Prompts(tokenizer, settings.window, settings.template_options)
        self._readers = Readers(tokenizer, self._prompts.template, settings)
        self._sampling = Sampling(engine.model_config.get_diff_sampling_param())
        self._adapters: dict[str, LoRARequest] = {
            name: LoRARequest(name, number, str(folder))
            for number, (name, folder) in enumerate(adapter_folders(settings).items(), start=1)
        }
        self._thread = OwnThread("vllm-prompts")
        self._open: set[str] = set()
        self._closed = False

    @property
    def open_streams(self) -> int:
        """Requests at work in the engine and waiting for it."""
        in_engine: int = self._engine.get_num_unfinished_requests()
        return max(super().open_streams, in_engine)

    async def load_adapters(self) -> None:
        """Not only when they are first asked for. Raises UnusableWeights, naming the broken one."""
        for name, adapter in self._adapters.items():
            try:
                await self._engine.add_lora(adapter)
            except Exception as error:  # any error of the engine's own process
                raise UnusableWeights(f"vLLM cannot load the adapter {name!r}: {error}") from error

    def check(self) -> None:
        """Raises EngineDead if the engine's process is gone, has given up or does not move any more."""
        self._alive()
        super().check()

    def _alive(self) -> None:
        if self._closed or self._engine.errored:
            raise EngineDead("vLLM has stopped.")

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Written, None]:
        """See `LanguageModel.stream`. Closing aborts the request in the engine."""
        if request.model is not None and request.model not in self._adapters:
            raise UnknownModel(f"There is no adapter {request.model!r}.", field="llm_model")
        async with self._slots.take(), aclosing(self._items(request)) as items:
            async for item in items:
                named = request.model or self._name
                yield replace(item, model=named) if isinstance(item, Completion) else item

    async def aclose(self) -> None:
        """Stop all answers (they fail with EngineDead) and the engine's process."""
        self._closed = True
        with suppress(Exception):  # it may be dead already
            await self._engine.abort(tuple(self._open))
        await self._thread.aclose()
        await asyncio.to_thread(self._engine.shutdown)

    def _items(self, request: ChatRequest) -> AsyncGenerator[Written, None]:
        knows = self._readers.knows_calls
        if request.must_call:
            wished = forced(request)
            if knows:  # its template tells it of the functions; only the form of the answer is forced
                wished = replace(request, json_schema=wished.json_schema)
            return calls_of(self._answer(wished))
        if knows:
            return self._answer(request, calls=bool(request.functions) and request.choice != "none")
        return self._answer(plain(request))

    async def _answer(self, request: ChatRequest, *, calls: bool = False) -> AsyncGenerator[Written, None]:
        """`calls`: it may hold any, in the words of the model's family."""
        self._alive()
        prompt = await self._thread.do(self._prompts.make, request)
        self._alive()  # it may have been shut down meanwhile
        reader = self._readers.reader(request, prompt.tokens, calls=calls)
        params = self._sampling.of(request, prompt.room, special=calls)
        tokens_out = 0
        async with aclosing(self._outputs(prompt, params, request.model)) as outputs:
            async for output in outputs:
                tokens_out += len(output.token_ids)
                ended = output.finish_reason
                if text := reader.read(output.text, list(output.token_ids), finished=bool(ended)):
                    yield text
                if ended:
                    called = reader.calls(parallel=request.parallel) if ended == "stop" else []
                    for call in called:
                        yield call
                    yield Completion(_finish(ended, called), len(prompt.tokens), tokens_out)

    async def _outputs(
        self, prompt: Prompt, params: SamplingParams, adapter: str | None
    ) -> AsyncGenerator[CompletionOutput, None]:
        """Raises EngineFailed or EngineDead, whatever vLLM raises."""
        name = secrets.token_hex(8)
        self._open.add(name)
        try:
            with in_our_words(held=params.structured_outputs is not None):
                lora = None if adapter is None else self._adapters[adapter]
                outputs = self._engine.generate(tokens_input(prompt.tokens), params, name, lora_request=lora)
                async with aclosing(outputs):
                    while (output := await self._next(outputs)) is not None:
                        yield output.outputs[0]
        finally:
            self._open.discard(name)

    async def _next(self, outputs: AsyncGenerator[Any, None]) -> Any:
        """While it is waited for the engine has work; the time of who reads the answer does not count."""
        with self._watchdog.working():
            output = await anext(outputs, None)
        self._watchdog.moved()
        return output


def _finish(ended: str, calls: Sequence[ToolCall]) -> Literal["stop", "length", "tool_calls"]:
    match ended:
        case "length":
            return "length"
        case "stop":
            return "tool_calls" if calls else "stop"
        case "abort":
            raise EngineDead("vLLM was shut down.")
        case _:
            raise EngineFailed(f"vLLM gave up: {ended}.")
