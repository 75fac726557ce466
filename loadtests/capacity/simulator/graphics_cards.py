"""Graphics cards on paper: what memory and arithmetic allow (docs/scaling.md compares an H200 with it).

A step of a batch reads the weights once and every sequence's context once, and multiplies each sequence by
the weights; a part of the data sheet's speed is reached, and starting the kernels takes a while.
"""

from dataclasses import dataclass
from typing import Final

from loadtests.capacity.simulator.simulation import RateCurve

REACHED: Final = 0.6
"""Of the memory's bandwidth and of the arithmetic, as an assumption."""
STEP_S: Final = 0.003
"""Of a step that is not the card's: scheduling, sampling, starting kernels."""
BATCHES: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256)


@dataclass(frozen=True, slots=True)
class GraphicsCard:
    """From its data sheet: GB, GB/s, and dense 16-bit arithmetic in Tflop/s."""

    name: str
    memory_gb: float
    bandwidth_gb_s: float
    tflops: float


@dataclass(frozen=True, slots=True)
class ModelShape:
    """A language model that is not sparse, in 16 bits."""

    name: str
    parameters_bn: float
    layers: int
    kv_width: int
    """Heads that keep keys and values, times the width of each."""

    @property
    def weights_gb(self) -> float:
        return 2 * self.parameters_bn

    @property
    def token_kb(self) -> float:
        """Of keys and values, for each token of context."""
        return 2 * 2 * self.layers * self.kv_width / 1_000


H200: Final = GraphicsCard("H200", 141, 4_800, 989)
L40S: Final = GraphicsCard("L40S", 48, 864, 362)
L4: Final = GraphicsCard("L4", 24, 300, 121)
CARDS: Final = (H200, L40S, L4)
EIGHT_BILLION: Final = ModelShape("8B", 8.03, 32, 1_024)
CONTEXT: Final = 1_000
"""Tokens that a sequence has behind it, at the mean."""
_WHISPER_ENCODER_TFLOP: Final = 1.95
"""Of large-v2 for one window of 30 s: twice 637 million parameters, 1,500 times."""
_WHISPER_DECODER_GB: Final = 1.8
_WORDS_PER_S: Final = 4.0
"""Tokens that Whisper writes for a second of speech."""
WHISPER_BATCH: Final = 8
"""Utterances that are decoded together."""
VOICE_REAL_TIME: Final = 0.0116
"""Seconds of a replica for a second of VITS speech: one replica on an H200 made 86 s of sound a second for 16
callers on 2026-11-27. The card was at most 8 % busy; the replica's process is the bound."""


def step_s(card: GraphicsCard, shape: ModelShape, batch: float, context: float = CONTEXT) -> float:
    """Seconds in which each of `batch` sequences gets a token."""
    read_gb = shape.weights_gb + batch * context * shape.token_kb / 1e6
    multiplied_tflop = batch * 2 * shape.parameters_bn / 1e3
    reading = read_gb / (card.bandwidth_gb_s * REACHED)
    return STEP_S + max(reading, multiplied_tflop / (card.tflops * REACHED))


def steps(card: GraphicsCard, shape: ModelShape, context: float = CONTEXT) -> RateCurve:
    return RateCurve(tuple((float(batch), step_s(card, shape, batch, context)) for batch in BATCHES))


def prefill_s(card: GraphicsCard, shape: ModelShape, tokens: float) -> float:
    """Before an answer's first token, where nothing of the question is known already."""
    return tokens * 2 * shape.parameters_bn / 1e3 / (card.tflops * REACHED)


def sequences(card: GraphicsCard, shape: ModelShape, context: float = CONTEXT) -> int:
    """That have room beside the weights; a tenth of the memory stays free."""
    room_gb = 0.9 * card.memory_gb - shape.weights_gb
    return max(0, int(room_gb * 1e6 / (shape.token_kb * context)))


def utterance_s(card: GraphicsCard, speech_s: float) -> float:
    """Of the card for one utterance: a whole window is encoded, and words are decoded with others'."""
    encoding = _WHISPER_ENCODER_TFLOP / (card.tflops * REACHED)
    step = STEP_S + _WHISPER_DECODER_GB / (card.bandwidth_gb_s * REACHED)
    return encoding + speech_s * _WORDS_PER_S * step / WHISPER_BATCH
