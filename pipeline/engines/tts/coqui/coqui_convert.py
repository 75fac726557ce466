"""Turns a Piper voice into a checkpoint of Coqui's VITS: the same network, under other names.

Only imported in the environment that has Coqui. Parameters that a Piper file lacks serve training only (the
posterior encoder, a half of the duration predictor), and keep their initial values.
"""

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import onnx
import torch
from onnx import numpy_helper
from TTS.config.shared_configs import BaseAudioConfig
from TTS.tts.configs.shared_configs import CharactersConfig
from TTS.tts.configs.vits_config import VitsArgs, VitsConfig
from TTS.tts.models.vits import Vits

from pipeline.engines.tts.coqui.coqui_phonemes import PHONEMIZER, use_in_process_espeak
from pipeline.engines.tts.coqui.coqui_weights import CHECKPOINT, CONFIG
from pipeline.engines.weights.prepared_folders import UnusableWeights

_PAD, _BEGIN, _END = "_", "^", "$"
_PUNCTUATION: Final = "!'(),-.:;? \""
_WEIGHT_NORM: Final = re.compile(r"\.parametrizations\.weight\.original(?P<half>[01])$")
_ONLY_TRAINED: Final = re.compile(r"posterior_encoder|disc\.|duration_predictor\.(post_|flows\.1\.)")
_NAMES: Final = (
    (re.compile(r"^text_encoder\."), lambda _: "enc_p."),
    (re.compile(r"^duration_predictor\.flows\.0\.translation$"), lambda _: "dp.flows.0.m"),
    (re.compile(r"^duration_predictor\.flows\.0\.log_scale$"), lambda _: "dp.flows.0.logs"),
    # Piper counts the layers between them that turn the channels round.
    (re.compile(r"^duration_predictor\.flows\.(\d+)\."), lambda it: f"dp.flows.{2 * int(it[1]) - 1}."),
    (re.compile(r"^duration_predictor\."), lambda _: "dp."),
    (re.compile(r"^flow\.flows\.(\d+)\."), lambda it: f"flow.flows.{2 * int(it[1])}."),
    (re.compile(r"^waveform_decoder\."), lambda _: "dec."),
)
"""How Coqui's names become Piper's; the first that fits."""

Weights = Mapping[str, Any]


def convert(voice: Path, folder: Path, progress: Callable[[float], None]) -> None:
    """Write checkpoint and configuration of `voice` into `folder`; about 5 s.

    Raises UnusableWeights for a file that is not a single-speaker Piper voice.
    """
    piper_config = json.loads(voice.with_name(f"{voice.name}.json").read_text(encoding="utf-8"))
    if piper_config.get("num_speakers", 1) > 1:
        raise UnusableWeights(f"{voice} has several speakers; only voices of one can be converted.")
    try:
        graph = onnx.load(voice).graph
    except Exception as error:  # onnx passes protobuf's private exception type on
        raise UnusableWeights(f"{voice} is not an ONNX model.") from error
    weights, convolutions = dict(_weights(graph)), dict(_convolutions(graph))
    progress(0.2)
    use_in_process_espeak()
    try:
        config = _config(piper_config, _shape(weights, convolutions))
        torch.manual_seed(0)
        model = Vits(config)
        progress(0.5)
        state = _filled(model, weights, piper_config["phoneme_id_map"])
    except (LookupError, ValueError) as error:
        raise UnusableWeights(f"{voice} is not built like a Piper voice: {error}") from error
    torch.save({"model": state, "step": 0}, folder / CHECKPOINT)
    config.save_json(str(folder / CONFIG))


def _weights(graph: Any) -> Iterator[tuple[str, Any]]:
    """Every parameter by Piper's own name for it."""
    stored = {one.name: torch.from_numpy(numpy_helper.to_array(one).copy()) for one in graph.initializer}
    yield from stored.items()
    for node in graph.node:
        if node.op_type in ("Conv", "ConvTranspose") and node.input[1] in stored and len(node.input) > 2:
            # The export folded weight norms, and forgot the names of the results; their biases kept theirs.
            yield f"{node.input[2].removesuffix('.bias')}.weight", stored[node.input[1]]
        if node.name.startswith("/enc_p/emb/"):
            yield "enc_p.emb.weight", stored[node.input[0]]
        if node.name.startswith("/dp/flows.0/Mul") and node.input[1] in stored:
            # Likewise: what is stored is exp(-logs).
            yield "dp.flows.0.logs", -torch.log(stored[node.input[1]])


def _convolutions(graph: Any) -> Iterator[tuple[str, dict[str, list[int]]]]:
    for node in graph.node:
        if node.op_type in ("Conv", "ConvTranspose") and len(node.input) > 2:
            attributes = {one.name: list(one.ints) for one in node.attribute}
            yield node.input[2].removesuffix(".bias"), attributes


def _shape(weights: Weights, convolutions: Mapping[str, dict[str, list[int]]]) -> VitsArgs:
    """The network's measures, read off its weights."""

    def many(pattern: str) -> int:
        return 1 + max(int(found[1]) for name in weights if (found := re.match(pattern, name)))

    ups = [f"dec.ups.{at}" for at in range(many(r"dec\.ups\.(\d+)"))]
    short = "dec.resblocks.0.convs.0.weight" in weights
    inner = "convs" if short else "convs1"
    blocks = range(many(r"dec\.resblocks\.(\d+)") // len(ups))
    layers = range(many(rf"dec\.resblocks\.0\.{inner}\.(\d+)"))
    hidden = weights["enc_p.emb.weight"].shape[1]
    ffn = weights["enc_p.encoder.ffn_layers.0.conv_1.weight"]
    return VitsArgs(
        hidden_channels=hidden,
        hidden_channels_ffn_text_encoder=ffn.shape[0],
        kernel_size_text_encoder=ffn.shape[-1],
        num_layers_text_encoder=many(r"enc_p\.encoder\.attn_layers\.(\d+)"),
        num_heads_text_encoder=hidden // weights["enc_p.encoder.attn_layers.0.emb_rel_k"].shape[-1],
        resblock_type_decoder="2" if short else "1",
        resblock_kernel_sizes_decoder=[
            weights[f"dec.resblocks.{block}.{inner}.0.weight"].shape[-1] for block in blocks
        ],
        resblock_dilation_sizes_decoder=[
            [convolutions[f"dec.resblocks.{block}.{inner}.{layer}"]["dilations"][0] for layer in layers]
            for block in blocks
        ],
        upsample_rates_decoder=[convolutions[up]["strides"][0] for up in ups],
        upsample_kernel_sizes_decoder=[weights[f"{up}.weight"].shape[-1] for up in ups],
        upsample_initial_channel_decoder=weights["dec.conv_pre.weight"].shape[0],
        use_sdp=True,
        init_discriminator=False,
    )


def _config(piper_config: Mapping[str, Any], shape: VitsArgs) -> VitsConfig:
    inference = piper_config.get("inference", {})
    shape.inference_noise_scale = inference.get("noise_scale", 0.667)
    shape.inference_noise_scale_dp = inference.get("noise_w", 0.8)
    shape.length_scale = inference.get("length_scale", 1.0)
    hop = math.prod(shape.upsample_rates_decoder)
    known = {symbol for symbol in piper_config["phoneme_id_map"] if len(symbol) == 1} - {_PAD, _BEGIN, _END}
    language = piper_config["espeak"]["voice"]
    return VitsConfig(
        model_args=shape,
        audio=BaseAudioConfig(
            sample_rate=piper_config["audio"]["sample_rate"],
            hop_length=hop, win_length=4 * hop, fft_size=4 * hop, num_mels=80,
        ),
        use_phonemes=True,
        phonemizer=PHONEMIZER,
        phoneme_language=language,
        text_cleaner="english_cleaners" if language.startswith("en") else "multilingual_cleaners",
        add_blank=True,
        enable_eos_bos_chars=True,
        compute_input_seq_cache=False,
        run_eval=False,
        test_sentences=[],
        characters=CharactersConfig(
            characters_class="TTS.tts.utils.text.characters.IPAPhonemes",
            pad=_PAD, bos=_BEGIN, eos=_END, blank=_PAD,
            characters="".join(sorted(known.difference(_PUNCTUATION))),
            punctuations="".join(symbol for symbol in _PUNCTUATION if symbol in known),
            phonemes=None, is_unique=False, is_sorted=False,
        ),
    )  # fmt: skip


def _filled(model: Any, weights: Weights, piper_ids: Mapping[str, list[int]]) -> dict[str, Any]:
    """The state of Coqui's model with Piper's weights in it. Raises LookupError or ValueError."""
    state: dict[str, Any] = model.state_dict()
    # Both have a row for each symbol, in orders of their own.
    rows = [piper_ids[symbol][0] for symbol in model.tokenizer.characters.vocab]
    weights = {**weights, "enc_p.emb.weight": weights["enc_p.emb.weight"][rows]}
    for name in [name for name in state if not _ONLY_TRAINED.match(name)]:
        norm = _WEIGHT_NORM.search(name)
        plain = name if norm is None else _WEIGHT_NORM.sub(".weight", name)
        weight = weights[_piper_name(plain)].float()
        if norm is not None and norm["half"] == "0":
            weight = weight.flatten(1).norm(dim=1).reshape(-1, *[1] * (weight.ndim - 1))
        if weight.shape != state[name].shape:
            raise ValueError(f"{name} is {tuple(weight.shape)}, expected was {tuple(state[name].shape)}")
        state[name] = weight.contiguous()
    return state


def _piper_name(name: str) -> str:
    for pattern, replacement in _NAMES:
        if pattern.match(name):
            return pattern.sub(replacement, name)
    raise LookupError(name)
