"""Settings of the language model for vLLM only; other engines ignore them."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, field_validator

from schemas.settings.provider_settings import LOCAL, ModelName


class VllmSettings(BaseModel):
    """A part of LanguageModelSettings; `slots` are the sequences that vLLM works on at once."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

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
