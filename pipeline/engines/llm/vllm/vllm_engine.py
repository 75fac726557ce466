"""vLLM: models of any size on a GPU, hundreds of requests decoded together, and what was read is kept.

It runs in an environment of its own, which is the only place where this can be imported. The same code runs
on a CPU, where it is tested.
"""

import asyncio
import secrets
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, suppress
from dataclasses import replace
from pathlib import Path, PurePath
from typing import Any, Final, Literal

from vllm.inputs import tokens_input
from vllm.lora.request import LoRARequest
from vllm.outputs import CompletionOutput
from vllm.sampling_params import SamplingParams
from vllm.v1.engine.async_llm import AsyncLLM

from pipeline.engines.llm.forced_calls import calls_of, forced, must_call, plain
from pipeline.engines.llm.vllm.vllm_environment import SPARE, adapter_folders
from pipeline.engines.llm.vllm.vllm_params import Sampling, in_our_words
from pipeline.engines.llm.vllm.vllm_prompt import Prompt, Prompts
from pipeline.engines.llm.vllm.vllm_reader import Readers
from pipeline.engines.llm.vllm.vllm_start import model_of, start
from pipeline.engines.model_files import vllm_folder
from pipeline.engines.own_thread import OwnThread
from pipeline.engines.ports import ChatRequest, Completion, ToolCall, Written
from pipeline.engines.slots import Slots
from pipeline.engines.watchdog import Watchdog
from pipeline.engines.weights.prepared_folders import UnusableWeights
from schemas.errors import EngineDead, EngineFailed, UnknownModel
from schemas.settings import LanguageModelSettings

_PACKAGED: Final = "SmolLM2-135M-Instruct"


def build(
    settings: LanguageModelSettings, cache: Path, stat_loggers: Sequence[Any] = ()
) -> "VllmLanguageModel":
    """Load it. `stat_loggers`: vLLM's own, to which it tells its figures."""
    packaged = vllm_folder(cache) if settings.model is None else None
    return VllmLanguageModel(start(model_of(settings, packaged), settings, stat_loggers), settings)


class VllmLanguageModel:
    """Answers `slots` requests at once, by a model or one of its adapters; what is too many is EngineBusy.

    A conversation longer than the window loses its oldest messages, unless the request is to be told whole;
    that, or a single question longer than the window, is ContextTooLong. A last message of the
    assistant is continued, not answered.
    """

    def __init__(self, engine: AsyncLLM, settings: LanguageModelSettings) -> None:
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
        self._slots = Slots(settings.slots, waiting=SPARE)
        self._thread = OwnThread("vllm-prompts")
        self._open: set[str] = set()
        self._watchdog = Watchdog(settings.stall_s)
        self._closed = False

    @property
    def open_streams(self) -> int:
        """Requests at work in the engine and waiting for it."""
        in_engine: int = self._engine.get_num_unfinished_requests()
        return max(self._slots.taken, in_engine)

    async def load_adapters(self) -> None:
        """Not only when they are first asked for. Raises UnusableWeights, naming the broken one."""
        for name, adapter in self._adapters.items():
            try:
                await self._engine.add_lora(adapter)
            except Exception as error:  # whatever the engine's own process came up with
                raise UnusableWeights(f"vLLM cannot load the adapter {name!r}: {error}") from error

    def check(self) -> None:
        """Raises EngineDead if the engine's process is gone, has given up or does not move any more."""
        self._alive()
        self._watchdog.check()

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
        if must_call(request):
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
