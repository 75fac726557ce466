"""How vLLM is started: settings as its arguments. Imports vLLM, so only its own environment can."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from vllm.config import StructuredOutputsConfig
from vllm.engine.arg_utils import AsyncEngineArgs
from vllm.platforms import current_platform
from vllm.v1.engine.async_llm import AsyncLLM

from pipeline.engines.llm.vllm.vllm_environment import adapter_folders, rank_of
from pipeline.engines.weights.prepared_folders import UnusableWeights
from schemas.settings import LanguageModelSettings

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
    """What vLLM is told to load: a folder, or a name that only the hub knows."""
    if settings.model is None:
        return str(packaged)
    folder = Path(settings.model).expanduser()
    return str(folder) if folder.is_dir() else settings.model
