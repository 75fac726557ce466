"""Cuts a Piper voice in two graphs, so that its sound can be made in windows while a sentence is spoken.

The frontend goes from phonemes to one latent vector per frame (and says how many frames each phoneme takes).
The random part of its rhythm is an input, so that a sentence is always equally long.
The decoder turns frames into samples, and each sample depends on a few dozen frames around it only: a window
with enough frames to both sides sounds exactly as the whole would.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
import onnxruntime

from pipeline.engines.model_files import DECODER, FRONTEND, SEAM
from pipeline.engines.weights.prepared_folders import UnusableWeights

_MARGINS: Final = (24, 34, 48, 64, 96)
_TOLERANCE: Final = 1e-4
"""Of full scale 1.0: -80 dB, far below the noise of the voices. "joe" has 9e-6 at a margin of 24."""


def split(voice: Path, folder: Path, progress: Callable[[float], None]) -> None:
    """Write frontend, decoder and seam of `voice` into `folder`; about 3 s.

    Raises UnusableWeights for a file that is not a single-speaker Piper voice.
    """
    try:
        model = onnx.load(voice)
    except Exception as error:  # onnx passes protobuf's private exception type on
        raise UnusableWeights(f"{voice} is not an ONNX model.") from error
    graph = model.graph
    inputs = [entry.name for entry in graph.input]
    if inputs != ["input", "input_lengths", "scales"]:
        raise UnusableWeights(f"{voice} is not a Piper voice with one speaker: its inputs are {inputs}.")
    try:
        latent, cut = _end_of_sampling(graph)
        mask = _mask(graph, latent, cut)
        frames = next(name for node in graph.node if node.op_type == "Ceil" for name in node.output)
        rhythm = [graph.node[number].output[0] for number in _noises(graph)[:-1]]
    except (LookupError, StopIteration) as error:
        raise UnusableWeights(f"{voice} is not built like a Piper voice; it cannot be cut.") from error
    del model.metadata_props[:]  # some voices carry the same key twice, which the checker refuses
    progress(0.1)
    extractor = onnx.utils.Extractor(onnx.shape_inference.infer_shapes(model, data_prop=True))
    onnx.save(extractor.extract_model([*inputs, *rhythm], [latent, mask, frames]), folder / FRONTEND)
    progress(0.5)
    onnx.save(extractor.extract_model([latent, mask], ["output"]), folder / DECODER)
    progress(0.8)
    seam = _measure(folder / DECODER)
    Path(folder, SEAM).write_text(json.dumps(seam), encoding="utf-8")


def _end_of_sampling(graph: Any) -> tuple[str, int]:
    """The latent z = mean + noise * deviation, and the number of the node that follows it."""
    noise = _noises(graph)[-1]
    reached = set(graph.node[noise].output)
    for number in range(noise + 1, len(graph.node)):
        node = graph.node[number]
        if reached.intersection(node.input):
            if node.op_type == "Add":
                return node.output[0], number + 1
            reached.update(node.output)
    raise LookupError("the noise is never added to anything")


def _noises(graph: Any) -> list[int]:
    """Numbers of the nodes that draw: for the durations, where a voice draws them, and last for z."""
    return [number for number, node in enumerate(graph.node) if node.op_type == "RandomNormalLike"]


def _mask(graph: Any, latent: str, cut: int) -> str:
    """The frame mask: the one other tensor from before the cut that the flow behind it uses in every step."""
    before = {name for node in graph.node[:cut] for name in node.output}
    uses: dict[str, int] = {}
    for node in graph.node[cut:]:
        for name in before.intersection(node.input) - {latent}:
            uses[name] = uses.get(name, 0) + 1
    return next(name for name, count in uses.items() if count > 5)


def _measure(decoder: Path) -> dict[str, int]:
    """Samples per frame, and the smallest margin at which a window equals the whole."""
    session = onnxruntime.InferenceSession(str(decoder), providers=["CPUExecutionProvider"])
    latent, mask = (entry.name for entry in session.get_inputs())
    width = session.get_inputs()[0].shape[1]
    total, start, end = 240, 110, 130
    z = np.random.default_rng(0).standard_normal((1, width, total)).astype(np.float32)

    def decode(first: int, last: int) -> Any:
        ones = np.ones((1, 1, last - first), np.float32)
        return session.run(None, {latent: z[:, :, first:last], mask: ones})[0].ravel()

    whole = decode(0, total)
    hop = len(whole) // total
    for margin in _MARGINS:
        window = decode(start - margin, end + margin)[margin * hop : (margin + end - start) * hop]
        if np.max(np.abs(window - whole[start * hop : end * hop])) < _TOLERANCE:
            return {"hop": hop, "margin": margin}
    raise UnusableWeights("The voice's decoder looks further than its windows can; it cannot be streamed.")
