"""What the model wrote: text, calls of functions, and thoughts that are nobody's business. Imports vLLM."""

from typing import Any, Final

from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest
from vllm.parser import ParserManager

from pipeline.engines.llm.chat_body import CallsInPieces, wishes_of
from pipeline.engines.ports import ChatRequest, ToolCall
from pipeline.engines.weights.prepared_folders import UnusableWeights
from schemas.settings import LanguageModelSettings

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
