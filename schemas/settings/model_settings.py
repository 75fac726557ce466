"""Settings of a language model beside the question: sampling, and the functions that it may call."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, JsonValue, field_validator

from schemas.bounds import FewFields
from schemas.document_models import ClosedModel
from schemas.settings.provider_settings import LOCAL, ModelName

FunctionName = Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]
CallId = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[\x21-\x7e]+$")]
Choice = Annotated[str, Field(pattern=r"^(auto|none|required|function:[a-zA-Z0-9_-]{1,64})$")]
"""`auto`: as the model likes. `none`, `required`: never, at least once. `function:name`: this one."""

FUNCTIONS = 128
"""As many as OpenAI takes."""
DESCRIPTION_CHARS = 8_000
"""Of one function; all of them together have a limit, too (schemas.native.client_commands)."""
ARGUMENT_CHARS = 16_000
"""The longest arguments of one call."""
OUTPUT_CHARS = 16_000
"""The longest result of one call; more is cut off."""


class SamplingSettings(ClosedModel):
    """How the model chooses its words, beside `temperature`. None: as the engine likes."""

    top_p: float | None = Field(default=None, gt=0, le=1)
    seed: int | None = Field(default=None, ge=-(2**63), le=2**63 - 1)
    stop: tuple[Annotated[str, Field(min_length=1, max_length=200)], ...] = Field(default=(), max_length=4)
    """The answer ends before any of these."""
    presence_penalty: float | None = Field(default=None, ge=-2, le=2)
    frequency_penalty: float | None = Field(default=None, ge=-2, le=2)
    json_schema: dict[str, JsonValue] | None = None
    """The answer is one JSON document of this schema."""


class FunctionOffer(FewFields, ClosedModel):
    """A function that the model may call, as it is told of it."""

    name: FunctionName
    description: str = Field(default="", max_length=DESCRIPTION_CHARS)
    parameters: dict[str, JsonValue] = Field(default_factory=dict)
    """A JSON schema of its arguments."""


class ToolSettings(ClosedModel):
    """Functions that the model may call while it answers."""

    registered: tuple[FunctionName, ...] = Field(default=(), max_length=64)
    """Functions that this server knows and calls itself."""
    functions: tuple[FunctionOffer, ...] = Field(default=(), max_length=FUNCTIONS)
    """Functions that the client calls: the turn ends with that, and the result comes with the next one."""
    choice: Choice = "auto"
    parallel: bool = True
    """May the model call several at once?"""


class FunctionCall(ClosedModel):
    """The model wants this called."""

    call: CallId
    name: str = Field(max_length=64)
    arguments: str = Field(default="{}", max_length=ARGUMENT_CHARS)
    """JSON, as the model wrote it: it may be wrong."""


class GivenMessage(ClosedModel):
    """One message of a conversation that the client keeps itself."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str = ""
    calls: tuple[FunctionCall, ...] = ()
    """Of the assistant."""
    call: str | None = None
    """Of a tool: the call that it answers."""


class VllmSettings(ClosedModel):
    """A part of LanguageModelSettings; `slots` are the sequences that vLLM works on at once."""

    model: Annotated[str, Field(min_length=1, max_length=512)] | None = None
    """A folder as the Hugging Face hub has them, or a name there; None: the packaged SmolLM2-135M-Instruct,
    converted into the cache."""
    max_model_len: int | None = Field(default=None, ge=256)
    """Tokens of a question with its answer; None: `context_tokens`."""
    dtype: Literal["auto", "bfloat16", "float16", "float32"] = "auto"
    """Numbers that it calculates with; "auto": as the model was stored."""
    quantization: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    """By vLLM's names (fp8, awq, ...); None: as the model itself says."""
    gpu_memory_utilization: float = Field(default=0.9, gt=0, le=1)
    """This share of the whole card's memory is taken, and must be free at start."""
    kv_cache_mb: int | None = Field(default=None, ge=16)
    """Memory for what was read; None: what is left of the share above, and 512 on a CPU."""
    tensor_parallel: int = Field(default=1, ge=1, le=64)
    """GPUs that one replica is spread over."""
    eager: bool | None = None
    """True: no compilation and no CUDA graphs, which start faster and run slower; None: on a CPU only."""
    loras: dict[ModelName, Path] = Field(default={}, max_length=64)
    """Adapters in PEFT's format, by the names that sessions and OpenAI's clients choose them by."""
    tool_parser: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    """How the model writes calls of functions, by vLLM's names (hermes, llama3_json, mistral, ...); None:
    "hermes" where the chat template says so, else it only calls where it must."""
    reasoning_parser: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    """How the model marks its thoughts, by vLLM's names (qwen3, deepseek_r1, ...): they are no answer, and
    nobody sees them. None: it has none."""
    template_options: dict[str, JsonValue] = {}
    """Handed to the chat template as they are, as {"enable_thinking": false}."""
    python: Path | None = None
    """The interpreter of vLLM's environment; None: the one that "make env-vllm" makes."""

    @field_validator("loras")
    @classmethod
    def _not_the_provider(cls, loras: dict[str, Path]) -> dict[str, Path]:
        if LOCAL in loras:
            raise ValueError(f"{LOCAL!r} is the name of the provider: an adapter needs another one")
        return loras
