"""Converts the packaged GGUF: to Q8_0 for llama.cpp, and to the folder that vLLM reads. No torch is needed.

The folder holds safetensors, configuration and tokenizer. Only the packaged model can be converted, a Llama
with SmolLM's tokenizer; every other model comes as a folder. The file with all its matrices as Q8_0 answers
twice as fast as the packaged Q4_1.
"""

import json
import struct
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from gguf import GGMLQuantizationType, GGUFReader, GGUFValueType, GGUFWriter, TokenType, quants
from numpy.typing import NDArray

from pipeline.engines.weights.prepared_folders import UnusableWeights


def to_q8_0(source: Path, target: Path, progress: Callable[[float], None]) -> None:
    """Write `target`; the same source always gives the same bytes. Takes about 5 s and 500 MB for 135M."""
    reader = GGUFReader(source)
    writer = GGUFWriter(target, reader.fields["general.architecture"].contents())
    for key, field in reader.fields.items():
        if key.startswith("GGUF.") or key == "general.architecture":
            continue
        value_type = field.types[0]
        item_type = field.types[-1] if value_type == GGUFValueType.ARRAY else None
        writer.add_key_value(key, field.contents(), value_type, sub_type=item_type)
    for number, tensor in enumerate(reader.tensors):
        values = quants.dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        # Norms are vectors: tiny, and llama.cpp wants them exact.
        kind = GGMLQuantizationType.F32 if values.ndim == 1 else GGMLQuantizationType.Q8_0
        writer.add_tensor(tensor.name, quants.quantize(values, kind), raw_dtype=kind)
        progress(0.9 * (number + 1) / len(reader.tensors))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def bfloat16(values: NDArray[np.float32]) -> bytes:
    """The upper half of each number, rounded to the nearest, ties to the even one."""
    bits = np.ascontiguousarray(values).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype("<u2").tobytes()


def write_tensors(path: Path, weights: Mapping[str, tuple[Sequence[int], bytes]]) -> None:
    """The format: how long the description is, the description, then all numbers in its order.

    Its own package takes nothing that numpy has no type for, or addresses in memory.
    """
    described: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, (shape, data) in weights.items():
        begin, end = end, end + len(data)
        described[name] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [begin, end]}
    description = json.dumps(described).encode()
    description += b" " * (-len(description) % 8)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(description)) + description)
        file.writelines(data for _, data in weights.values())


_WHOLE: Final = {
    "token_embd": "model.embed_tokens.weight",
    "output_norm": "model.norm.weight",
    "output": "lm_head.weight",
}
_OF_A_LAYER: Final = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
_SAMPLING: Final = {"top_k": 40, "top_p": 0.9, "min_p": 0.08, "repetition_penalty": 1.1}
"""As with llama.cpp: without the penalty a 135M model repeats its last sentence for ever."""


def to_folder(source: Path, folder: Path, progress: Callable[[float], None]) -> None:
    """Write the model's files; the same source always gives the same bytes. Takes 10 s and 1 GB for 135M."""
    reader = GGUFReader(source)
    if _field(reader, "general.architecture") != "llama":
        raise UnusableWeights(f"{source.name} is no Llama, which is all that can be converted.")
    weights: dict[str, tuple[Sequence[int], bytes]] = {}
    for number, tensor in enumerate(reader.tensors):
        values = quants.dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        name, values = _as_transformers_has_it(reader, tensor.name, values)
        weights[name] = (values.shape, bfloat16(values))
        progress(0.8 * (number + 1) / len(reader.tensors))
    write_tensors(folder / "model.safetensors", weights)
    progress(0.9)
    _write(folder / "config.json", _config(reader, tied="lm_head.weight" not in weights))
    _write(folder / "generation_config.json", {**_special(reader), **_SAMPLING})
    _write(folder / "tokenizer.json", _tokenizer(reader))
    _write(folder / "tokenizer_config.json", _tokenizer_config(reader))


def _as_transformers_has_it(
    reader: GGUFReader, name: str, values: NDArray[np.float32]
) -> tuple[str, NDArray[np.float32]]:
    match name.split("."):
        case [whole, "weight"]:
            return _WHOLE[whole], values
        case ["blk", layer, part, "weight"]:
            if part in ("attn_q", "attn_k"):
                values = _halves(values, _heads(reader, part))
            return f"model.layers.{layer}.{_OF_A_LAYER[part]}.weight", values
    raise UnusableWeights(f"The model has a part that is not known here: {name}.")


def _heads(reader: GGUFReader, part: str) -> int:
    which = "head_count" if part == "attn_q" else "head_count_kv"
    return int(_field(reader, f"llama.attention.{which}"))


def _halves(values: NDArray[np.float32], heads: int) -> NDArray[np.float32]:
    """llama.cpp rotates neighbouring rows of a head together, transformers rows of its two halves."""
    rows, columns = values.shape
    return values.reshape(heads, rows // heads // 2, 2, columns).swapaxes(1, 2).reshape(rows, columns)


def _config(reader: GGUFReader, *, tied: bool) -> dict[str, Any]:
    llama = {
        "hidden_size": "embedding_length",
        "intermediate_size": "feed_forward_length",
        "num_hidden_layers": "block_count",
        "num_attention_heads": "attention.head_count",
        "num_key_value_heads": "attention.head_count_kv",
        "head_dim": "rope.dimension_count",
        "rope_theta": "rope.freq_base",
        "max_position_embeddings": "context_length",
    }
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        **{ours: _field(reader, f"llama.{theirs}") for ours, theirs in llama.items()},
        "rms_norm_eps": round(_field(reader, "llama.attention.layer_norm_rms_epsilon"), 8),
        "hidden_act": "silu",
        "attention_bias": False,
        "mlp_bias": False,
        "vocab_size": len(_field(reader, "tokenizer.ggml.tokens")),
        "tie_word_embeddings": tied,
        "torch_dtype": "bfloat16",
        **_special(reader),
    }


def _special(reader: GGUFReader) -> dict[str, int]:
    names = {"bos_token_id": "bos", "eos_token_id": "eos", "pad_token_id": "padding"}
    return {ours: _field(reader, f"tokenizer.ggml.{theirs}_token_id") for ours, theirs in names.items()}


def _tokenizer(reader: GGUFReader) -> dict[str, Any]:
    tokens: list[str] = _field(reader, "tokenizer.ggml.tokens")
    kinds: list[int] = _field(reader, "tokenizer.ggml.token_type")
    plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    bytes_as_letters = {"type": "ByteLevel", "trim_offsets": True, "use_regex": True}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {"id": number, "content": token, **plain}
            for number, (token, kind) in enumerate(zip(tokens, kinds, strict=True))
            if kind == TokenType.CONTROL
        ],
        "normalizer": None,
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [
                {"type": "Digits", "individual_digits": True},
                {**bytes_as_letters, "add_prefix_space": False},
            ],
        },
        "post_processor": None,
        "decoder": {**bytes_as_letters, "add_prefix_space": True},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": {token: number for number, token in enumerate(tokens)},
            "merges": [pair.split(" ") for pair in _field(reader, "tokenizer.ggml.merges")],
        },
    }


def _tokenizer_config(reader: GGUFReader) -> dict[str, Any]:
    tokens = _field(reader, "tokenizer.ggml.tokens")
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "add_prefix_space": False,
        "clean_up_tokenization_spaces": False,
        "model_max_length": _field(reader, "llama.context_length"),
        "chat_template": _field(reader, "tokenizer.chat_template"),
        **{name.removesuffix("_id"): tokens[number] for name, number in _special(reader).items()},
    }


def _field(reader: GGUFReader, name: str) -> Any:
    field = reader.fields.get(name)
    if field is None:
        raise UnusableWeights(f"The model does not say what its {name} is.")
    return field.contents()


def _write(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False, indent=1), encoding="utf-8")
