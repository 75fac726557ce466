"""llama.cpp inside our process: GGUF models on any CPU, many requests decoded together."""

import asyncio
import json
import mmap
import os
import secrets
import struct
import sys
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import aclosing, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from pipeline.engines.forced_calls import calls_of, forced, plain
from pipeline.engines.llm.chat_body import CallsInPieces, messages_of, wishes_of
from pipeline.engines.llm.context_window import fitting, too_long, without_oldest
from pipeline.engines.llm.grammar_check import GrammarChecker
from pipeline.engines.llm.json_grammars import HeldAnswer, grammar
from pipeline.engines.llm.zero_pages import give_back_zeros, mapped
from pipeline.engines.model_files import language_model_file
from pipeline.engines.ports import ChatRequest, Completion, Function, Message, Written
from pipeline.engines.slots import Slots
from pipeline.engines.watchdog import WatchedEngine
from pipeline.engines.weights.prepared_folders import UnusableWeights
from schemas.errors import ContextTooLong, EngineDead, EngineFailed
from schemas.settings import LanguageModelSettings

_FIELD: Final = b"tokenizer.chat_template" + struct.pack("<I", 8)
"""The name, and that it is a string."""
_LENGTH: Final = struct.Struct("<Q")


def knows_calls(model: Path) -> bool:
    """True if the chat template in the GGUF file has a place for calls; False without a template.

    The package `gguf` would read the whole vocabulary for this, which takes seconds. So the function looks
    for the one field by its name, as the format writes it (GGUF specification, version 3): type, length, then
    the text.
    """
    with model.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        at = data.find(_FIELD)
        if at < 0:
            return False
        begin = at + len(_FIELD) + _LENGTH.size
        (length,) = _LENGTH.unpack(data[begin - _LENGTH.size : begin])
        return b"tool_call" in data[begin : begin + length]


_PACKAGED: Final = "SmolLM2-135M-Instruct"
_SAMPLING: Final = {"top_k": 40, "top_p": 0.9, "min_p": 0.08, "repeat_penalty": 1.1, "repeat_last_n": 256}
"""Without the penalty a 135M model repeats its last sentence for ever; above 1.15 it starts to ramble."""

_PIECE_TOKENS: Final = 512
"""Of a prompt that are read before the other answers go on; it is read no faster in larger pieces."""
_NICE: Final = 5
"""Niceness: the speech of a first sentence goes ahead of the text of a fourth. Where both want a core, the
voice, speech to text or the gateway gets three quarters of it. In a container it ranks
only what is in the same one."""


def build(settings: LanguageModelSettings, cache: Path) -> "LlamaLanguageModel":
    """The registry's factory: prepares the weights if need be, then loads them."""
    file = language_model_file(settings, cache)
    return LlamaLanguageModel(load(file, settings), settings, knows_calls=knows_calls(file))


def load(model: Path, settings: LanguageModelSettings, *, key: str | None = None) -> Any:
    """An engine with the model in memory; takes 2 to 4 s. Its HTTP port takes requests with the `key` too."""
    # llama.cpp's threads must sleep, not spin, while they wait for each other: with other work on the same
    # cores, spinning made it ten times slower. Read once, when the library is loaded. Deployments set it too.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    import xllamacpp

    parameters = _parameters(xllamacpp.CommonParams(), model, settings, key)
    try:
        # The library's threads begin with the niceness of the one that starts them; it does nothing else.
        with ThreadPoolExecutor(1, "llama-start") as starting:
            return starting.submit(_behind, partial(_started, xllamacpp.Server, parameters)).result()
    except RuntimeError as error:
        raise UnusableWeights(f"llama.cpp cannot load {model}: {error}") from error


def _started(server: Callable[[Any], Any], parameters: Any) -> Any:
    """The engine after a first grammar, for which it reads its vocabulary: that takes a second or more.

    Its context, 23 kB a token with the packaged model, takes memory when a token is first in it.
    """
    before = mapped()
    engine = server(parameters)
    first = {"messages": [{"role": "user", "content": "?"}], "max_tokens": 1, "grammar": grammar({})}
    engine.handle_chat_completions(first, lambda _: False)
    with suppress(OSError, ValueError):  # memory that cannot be read is kept
        give_back_zeros(before)
    return engine


def _behind(start: Callable[[], Any]) -> Any:
    if sys.platform == "linux":  # elsewhere it is the whole process that would be
        with suppress(OSError):
            os.nice(_NICE)
    return start()


def _parameters(params: Any, model: Path, settings: LanguageModelSettings, key: str | None) -> Any:
    params.model.path = str(model)
    params.n_parallel = settings.slots
    params.n_ctx = settings.slots * settings.context_tokens
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = settings.threads
    params.n_batch = max(_PIECE_TOKENS, settings.slots)
    params.n_gpu_layers = 0
    params.fit_params = False
    params.cache_ram_mib = 0  # finished prompts stay in their slot only
    params.verbosity = 0
    # The library insists on an HTTP port on loopback; a key that nobody knows keeps everybody out.
    params.api_keys = [key or secrets.token_hex(16)]
    params.ui = False
    return params


class LlamaLanguageModel(WatchedEngine):
    """Answers on `slots` slots at once; further requests wait, and a full queue is EngineBusy.

    A conversation longer than the context window loses its oldest messages, unless the request is to be told
    whole; that, or a single question longer than the window, is ContextTooLong. A last message of the
    assistant is continued, not answered.
    """

    def __init__(self, server: Any, settings: LanguageModelSettings, *, knows_calls: bool = False) -> None:
        """`knows_calls`: the model's template has a place for functions."""
        self._server = server
        self._knows_calls = knows_calls
        self._settings = settings
        super().__init__(Slots(settings.slots), settings.stall_s)
        self._name = _PACKAGED if settings.model_path is None else settings.model_path.stem
        self._grammars = GrammarChecker()
        self._pool = ThreadPoolExecutor(settings.slots, thread_name_prefix="llama")
        self._open: set[_Answer] = set()

    @property
    def address(self) -> str:
        """The engine's own HTTP port, which answers 401 to everybody."""
        return str(self._server.listening_address)

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Written, None]:
        """See `LanguageModel.stream`. Closing frees the slot after the token at work."""
        if request.must_call:
            wished = forced(request)
            if self._knows_calls:  # its template tells it of the functions; only the answer's form is forced
                wished = replace(request, json_schema=wished.json_schema)
            items = calls_of(self._whole(wished))
        elif self._knows_calls:
            items = self._whole(request)
        else:
            items = self._whole(plain(request))
        async with aclosing(items):
            async for item in items:
                yield replace(item, model=self._name) if isinstance(item, Completion) else item

    async def _whole(self, request: ChatRequest) -> AsyncGenerator[Written, None]:
        """Forgets the oldest messages until the rest fits. Raises SchemaInvalid."""
        text = None if request.json_schema is None else grammar(request.json_schema)
        held: HeldAnswer | None = None

        async def hold() -> None:
            nonlocal held
            if text is not None and held is None:
                await self._grammars.check(text)
                held = await asyncio.to_thread(HeldAnswer, text, cut=bool(request.stop))

        context = self._settings.context_tokens
        messages = request.messages
        if not request.whole:
            messages = fitting(messages, context_tokens=context, answer_tokens=request.max_tokens)
        while True:
            try:
                async with aclosing(self._attempt(_body(messages, request, text), hold)) as items:
                    async for item in items:
                        if held is not None:
                            held.take(item)
                        yield item
            except _TooLong as error:
                shorter = None if request.whole else without_oldest(messages)
                if shorter is None:
                    raise ContextTooLong(str(error)) from error
                messages = shorter
            else:
                return

    async def aclose(self) -> None:
        """Stop all answers (they fail with EngineDead) and unload the model."""
        for answer in self._open:
            answer.fail(EngineDead("The language model was shut down."))
        await asyncio.to_thread(self._pool.shutdown)
        self._server = None

    async def _attempt(
        self, body: dict[str, Any], hold: Callable[[], Awaitable[None]]
    ) -> AsyncGenerator[Written, None]:
        """`hold` compiles the answer's grammar: in a slot, so that a full queue is refused before."""
        await self._slots.acquire()
        answer = _Answer(body["max_tokens"])
        try:
            await hold()
            work = self._begin(body, answer)
        except BaseException:
            self._slots.release()
            raise
        work.add_done_callback(lambda done: answer.end(done, self._slots))
        self._open.add(answer)
        try:
            while True:
                for item in await answer.next():
                    yield item
                    if isinstance(item, Completion):
                        return
        finally:
            self._open.discard(answer)
            answer.stop()

    def _begin(self, body: dict[str, Any], answer: "_Answer") -> "Future[Any]":
        if self._server is None:
            raise EngineDead("The language model was shut down.")
        return self._pool.submit(
            self._watchdog.watched,
            self._server.handle_chat_completions,
            body,
            partial(self._add_chunk, answer),
        )

    def _add_chunk(self, answer: "_Answer", chunk: Mapping[str, Any]) -> bool:
        """One loop decodes all answers: a sign of life in one is one of all."""
        self._watchdog.moved()
        return answer.add_chunk(chunk)


class _TooLong(Exception):
    """The prompt has more tokens than the context window."""


class _Answer:
    """One answer on its way from the engine's thread to the event loop."""

    def __init__(self, max_tokens: int) -> None:
        self._loop = asyncio.get_running_loop()
        # A delta is a token or more: with the end and an error, that is all that can ever come.
        self._items: asyncio.Queue[Mapping[str, Any] | Exception] = asyncio.Queue(max_tokens + 4)
        self._stopped = threading.Event()
        self._calls = CallsInPieces()

    def add_chunk(self, chunk: Mapping[str, Any]) -> bool:
        """Called by the engine, in its thread, for each token; True tells it to stop."""
        if not self._stopped.is_set() and ("error" in chunk or _is_news(chunk)):
            self._put(chunk)
        return self._stopped.is_set()

    def end(self, work: "Future[Any]", slots: Slots) -> None:
        """Called in the engine's thread when it is through: only now is the slot free."""
        error = work.exception()
        self._put(
            error if isinstance(error, Exception) else EngineFailed("The answer ended without a reason.")
        )
        with suppress(RuntimeError):  # the loop is closed: nobody waits for a slot any more
            self._loop.call_soon_threadsafe(slots.release)

    def fail(self, error: Exception) -> None:
        self.stop()
        self._offer(error)

    def stop(self) -> None:
        self._stopped.set()

    async def next(self) -> list[Written]:
        """The next delta, or calls and the end. Raises what went wrong."""
        item = await self._items.get()
        if isinstance(item, EngineFailed | EngineDead):
            raise item
        if isinstance(item, Exception):
            raise EngineFailed(f"The language model failed: {item}") from item
        if "error" in item:
            problem = item["error"]
            if problem.get("type") == "exceed_context_size_error":
                found, most = problem["n_prompt_tokens"], problem["n_ctx"]
                raise _TooLong(too_long(found, most))
            raise EngineFailed(f"The language model refused: {problem.get('message', problem)}")
        choice = item["choices"][0]
        self._calls.take(choice["delta"].get("tool_calls"))
        if choice["finish_reason"] is None:
            text = choice["delta"].get("content")
            return [text] if text else []
        completion = _completion(item, called=bool(self._calls))
        return [*(self._calls.calls() if completion.finish == "tool_calls" else ()), completion]

    def _put(self, item: Mapping[str, Any] | Exception) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody is listening
            self._loop.call_soon_threadsafe(self._offer, item)

    def _offer(self, item: Mapping[str, Any] | Exception) -> None:
        with suppress(asyncio.QueueFull):  # the reader has left
            self._items.put_nowait(item)


def _is_news(chunk: Mapping[str, Any]) -> bool:
    """True for a delta with text or a call, and for the end; the first chunk only names the speaker."""
    return any(
        choice["finish_reason"] or choice["delta"].get("content") or choice["delta"].get("tool_calls")
        for choice in chunk["choices"]
    )


def _told(function: Function) -> Function:
    """The same with its schema as text: llama.cpp would make a grammar of its own of it, without bounds."""
    if not function.parameters:
        return function
    schema = json.dumps(dict(function.parameters))
    return replace(
        function,
        description=f"{function.description}\nJSON schema of the arguments: {schema}".strip(),
        parameters={"type": "object"},
    )


def _completion(chunk: Mapping[str, Any], *, called: bool) -> Completion:
    timings = chunk.get("timings", {})
    long = chunk["choices"][0]["finish_reason"] == "length"
    return Completion(
        finish="length" if long else "tool_calls" if called else "stop",
        tokens_in=timings.get("prompt_n", 0) + timings.get("cache_n", 0),
        tokens_out=timings.get("predicted_n", 0),
    )


def _body(messages: Sequence[Message], request: ChatRequest, grammar: str | None) -> dict[str, Any]:
    wishes = wishes_of(replace(request, json_schema=None, functions=tuple(map(_told, request.functions))))
    if grammar is not None:
        # The model is told of functions, but what it writes is a document; thoughts would be none.
        wishes |= {"grammar": grammar, "tool_choice": "none", "reasoning_format": "none"}
    return {
        "messages": messages_of(messages),
        "max_tokens": request.max_tokens,
        "temperature": request.temperature,
        "stream": True,
        "return_progress": True,  # a sign of life of each piece of a long prompt that was read
        **_SAMPLING,
        **wishes,
    }
