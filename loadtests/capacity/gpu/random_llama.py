"""Language models of a given shape with random weights: right for speed and memory, and nothing else.

The tokens are made-up words, and every fourteenth or so ends a sentence: what such a model writes can be
cut into sentences and spoken. Speed does not depend on what the weights are.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice, product
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

_DEVIATION: Final = 0.02
_TILE: Final = 1 << 21
"""Random numbers that are made once, and repeated: making 8 billion would take longer than the run."""
_SHARD_BYTES: Final = 4 << 30
_SPECIAL: Final = ("<unk>", "<s>", "</s>")
_ENDS_EVERY: Final = 14
_TEMPLATE: Final = (
    "{% for message in messages %}{{ message['content'] }} {% endfor %}"  # every word is an unknown one
)


@dataclass(frozen=True, slots=True)
class LlamaShape:
    """As in a Llama's config.json."""

    hidden: int
    inner: int
    layers: int
    heads: int
    kv_heads: int
    vocabulary: int
    context: int = 8_192

    @property
    def head(self) -> int:
        return self.hidden // self.heads

    @property
    def parameters(self) -> int:
        return sum(int(np.prod(shape)) for _, shape in tensors(self))


SHAPES: Final = {
    "tiny": LlamaShape(256, 512, 2, 4, 2, 2_048, 2_048),
    "1b": LlamaShape(2_048, 8_192, 16, 32, 8, 128_256),
    "8b": LlamaShape(4_096, 14_336, 32, 32, 8, 128_256),
}


def tensors(shape: LlamaShape) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Names and shapes, as a Llama of Hugging Face's has them."""
    width, kv = shape.hidden, shape.kv_heads * shape.head
    yield "model.embed_tokens.weight", (shape.vocabulary, width)
    for number in range(shape.layers):
        layer = f"model.layers.{number}"
        for name, rows in (("q", width), ("k", kv), ("v", kv)):
            yield f"{layer}.self_attn.{name}_proj.weight", (rows, width)
        yield f"{layer}.self_attn.o_proj.weight", (width, width)
        for name in ("gate", "up"):
            yield f"{layer}.mlp.{name}_proj.weight", (shape.inner, width)
        yield f"{layer}.mlp.down_proj.weight", (width, shape.inner)
        for name in ("input_layernorm", "post_attention_layernorm"):
            yield f"{layer}.{name}.weight", (width,)
    yield "model.norm.weight", (width,)
    yield "lm_head.weight", (shape.vocabulary, width)


def prepare(name: str, cache: Path, say: Callable[[str], None]) -> Path:
    """The folder of the model of this shape; made once."""
    shape = SHAPES[name]
    folder = cache / f"random-llama-{name}"
    if (folder / "complete").exists():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    say(f"random weights of the shape {name}: {shape.parameters / 1e9:.2f} billion, {folder}")
    (folder / "config.json").write_text(json.dumps(_config(shape), indent=1))
    (folder / "generation_config.json").write_text(json.dumps({"bos_token_id": 1, "eos_token_id": 2}))
    tokenizer(shape.vocabulary).save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps(_tokenizer_config(shape), indent=1))
    write_shards(folder, list(tensors(shape)))
    (folder / "complete").touch()
    return folder


def _config(shape: LlamaShape) -> dict[str, Any]:
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": shape.hidden,
        "intermediate_size": shape.inner,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads,
        "head_dim": shape.head,
        "vocab_size": shape.vocabulary,
        "max_position_embeddings": shape.context,
        "rms_norm_eps": 1e-5,
        "rope_theta": 500_000.0,
        "hidden_act": "silu",
        "attention_bias": False,
        "mlp_bias": False,
        "tie_word_embeddings": False,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "torch_dtype": "bfloat16",
    }


def _tokenizer_config(shape: LlamaShape) -> dict[str, Any]:
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "unk_token": _SPECIAL[0],
        "bos_token": _SPECIAL[1],
        "eos_token": _SPECIAL[2],
        "model_max_length": shape.context,
        "chat_template": _TEMPLATE,
    }


def words(many: int) -> list[str]:
    """So many different words that a voice can say; some of them end a sentence."""
    syllables = ["".join(pair) for pair in product("bdfgklmnprstvz", "aeiou")]
    # With capitals: a full stop before a small letter would end no sentence.
    made = ("".join(parts).capitalize() for parts in product(syllables, repeat=3))
    plain = list(islice(made, many))
    return [word + "." if number % _ENDS_EVERY == 0 else word for number, word in enumerate(plain)]


def tokenizer(vocabulary: int) -> Tokenizer:
    """A token is a word, with the space before it."""
    names = [*_SPECIAL, *(f"\u2581{word}" for word in words(vocabulary - len(_SPECIAL)))]
    made = Tokenizer(models.WordLevel({name: number for number, name in enumerate(names)}, _SPECIAL[0]))
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    made.decoder = decoders.Metaspace()
    made.add_special_tokens(list(_SPECIAL))
    return made


def write_shards(folder: Path, wanted: list[tuple[str, tuple[int, ...]]]) -> None:
    """Files of the safetensors format, a few GB each, with their index."""
    tile = _random_tile()
    places: dict[str, str] = {}
    shards = list(_shards(wanted))
    for number, shard in enumerate(shards):
        name = f"model-{number + 1:05}-of-{len(shards):05}.safetensors"
        _write(folder / name, shard, tile)
        places |= dict.fromkeys((tensor for tensor, _ in shard), name)
    total = sum(_bytes(shape) for _, shape in wanted)
    index = {"metadata": {"total_size": total}, "weight_map": places}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=1))


def _shards(wanted: list[tuple[str, tuple[int, ...]]]) -> Iterator[list[tuple[str, tuple[int, ...]]]]:
    shard: list[tuple[str, tuple[int, ...]]] = []
    for tensor in wanted:
        if shard and sum(_bytes(shape) for _, shape in (*shard, tensor)) > _SHARD_BYTES:
            yield shard
            shard = []
        shard.append(tensor)
    yield shard


def _bytes(shape: tuple[int, ...]) -> int:
    return 2 * int(np.prod(shape))


def _random_tile() -> NDArray[np.uint16]:
    """The upper halves of 32-bit numbers are the 16-bit ones called bfloat16."""
    values = np.random.default_rng(1).normal(0.0, _DEVIATION, _TILE).astype("<f4")
    return (values.view("<u4") >> 16).astype("<u2")


def _write(file: Path, shard: list[tuple[str, tuple[int, ...]]], tile: NDArray[np.uint16]) -> None:
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, shape in shard:
        begin, end = end, end + _bytes(shape)
        header[name] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [begin, end]}
    head = json.dumps(header).encode()
    head += b" " * (-len(head) % 8)
    with file.open("wb") as out:
        out.write(len(head).to_bytes(8, "little") + head)
        for name, shape in shard:
            _put(out.write, tile, _bytes(shape) // 2, ones=name.endswith("norm.weight"))


def _put(write: Callable[[bytes], object], tile: NDArray[np.uint16], numbers: int, *, ones: bool) -> None:
    if ones:
        tile = np.full(numbers, 0x3F80, "<u2")
    while numbers > 0:
        step = min(numbers, len(tile))
        write(tile[:step].tobytes())
        numbers -= step
