"""Adapters as people train them, but untrained: PEFT's format, written without PEFT and without torch."""

import json
from pathlib import Path

import numpy as np

from pipeline.engines.weights.gguf_conversion import bfloat16, write_tensors

_LAYERS, _HIDDEN, _HEADS, _HEAD = 30, 576, 9, 64
"""Of SmolLM2-135M."""


def write_adapter(folder: Path, *, rank: int = 4, strength: float = 16.0, seed: int = 1) -> Path:
    """Turns every query that the packaged model makes; strong enough to change what it says."""
    chance = np.random.default_rng(seed)
    weights: dict[str, tuple[tuple[int, int], bytes]] = {}
    for layer in range(_LAYERS):
        name = f"base_model.model.model.layers.{layer}.self_attn.q_proj"
        for part, shape in (("A", (rank, _HIDDEN)), ("B", (_HEADS * _HEAD, rank))):
            values = chance.normal(0, 0.1, shape).astype(np.float32)
            weights[f"{name}.lora_{part}.weight"] = (shape, bfloat16(values))
    folder.mkdir(parents=True)
    write_tensors(folder / "adapter_model.safetensors", weights)
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "r": rank,
        "lora_alpha": strength * rank,
        "target_modules": ["q_proj"],
        "bias": "none",
    }
    (folder / "adapter_config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder
