"""Networks of some kilobytes with the inputs, outputs and metadata of Moonshine, Kokoro and Pocket TTS.

sherpa-onnx runs them as it runs the real ones. Their weights are written here: loud sound is a phrase, a text
is a tone that is as long as its pronunciation, and a recording decides how high it is.
"""

import base64
import io
import json
import wave
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
import onnxruntime
from onnx import parser

HEARD = "tell me a story"
"""Text of every loud sound, by Moonshine's model; faint sound has none."""
KOKORO_VOICES = ("af_heart", "zf_xiaobei", "ef_dora")
KOKORO_TOKEN_S, POCKET_FRAME_S = 0.05, 0.08
_WORDS = "one of the foxes ran by and old keeper saw it good morning a b c zero"
LEXICON = {
    **{word: "abcd" for word in _WORDS.split()},
    **{letter: "ab" for letter in "xyz"},
}
_HEAD = '<ir_version: 8, opset_import: ["": 17]>\n'
_VOCABULARY = ("<unk>", "<s>", "</s>", *(f" {word}" for word in HEARD.split()))


def moonshine_files() -> dict[str, bytes]:
    """A file's bytes by its name: the encoder measures loudness, the decoder is a chain of words."""
    tokens = "".join(
        f"{base64.b64encode(token.encode()).decode()} {number}\n" for number, token in enumerate(_VOCABULARY)
    )
    return {
        "encoder_model.ort": _ort(_MOONSHINE_ENCODER),
        "decoder_model_merged.ort": _ort(_moonshine_decoder()),
        "tokens.txt": tokens.encode(),
    }


_MOONSHINE_ENCODER = """
encoder (float[1, N] input_values) => (float[1, T, 1] last_hidden_state)
<int64[1] one = {1}> {
  loud = Abs(input_values)
  rows = Unsqueeze(loud, one)
  means = AveragePool <kernel_shape: ints = [384], strides: ints = [384]> (rows)
  last_hidden_state = Transpose <perm: ints = [0, 2, 1]> (means)
}
"""


def _moonshine_decoder() -> str:
    """Logits of the next word by the last one; whether there is a first one depends on the loudness.

    As in the real ones, every 384th value of the mask belongs to a frame, so its length has to fit.
    """
    size = len(_VOCABULARY)
    chain, loud = np.zeros((size, size)), np.zeros((size, size))
    for number in range(3, size):
        chain[number, number + 1 if number + 1 < size else 2] = 1
    chain[1, 2], loud[1, 3] = 1, 100
    kept = ", ".join(f"float[1, 1, P{at}, 1] past_key_values_{name}" for at, name in enumerate(_CACHE))
    now = ", ".join(f"float[1, 1, Q{at}, 1] present_{name}" for at, name in enumerate(_CACHE))
    return f"""
decoder (int64[1, M] encoder_attention_mask, int64[1, 1] input_ids, float[1, T, 1] encoder_hidden_states,
         {kept}, bool[1] use_cache_branch) => (float[1, 1, {size}] logits, {now})
<float[{size}, {size}] chain = {_floats(chain)}, float[{size}, {size}] loud = {_floats(loud)},
 int64[1] zero = {{0}}, int64[1] last = {{1000000000}}, int64[1] axis = {{1}}, int64[1] step = {{384}},
 int64[2] flat = {{1, -1}}, int64[4] key = {{1, 1, -1, 1}}> {{
  frames = Slice(encoder_attention_mask, zero, last, axis, step)
  weights = Cast <to: int = 1> (frames)
  heard = Reshape(encoder_hidden_states, flat)
  weighted = Mul(heard, weights)
  mean = ReduceMean <axes: ints = [0, 1], keepdims: int = 0> (weighted)
  next = Gather(chain, input_ids)
  first = Gather(loud, input_ids)
  louder = Mul(first, mean)
  logits = Add(next, louder)
  present_decoder_key = Identity(past_key_values_decoder_key)
  present_decoder_value = Identity(past_key_values_decoder_value)
  present_encoder_key = Reshape(heard, key)
  present_encoder_value = Reshape(heard, key)
}}
"""


_CACHE = ("decoder_key", "decoder_value", "encoder_key", "encoder_value")


def kokoro_files() -> dict[str, bytes]:
    """A file's bytes by its name: a tone of 50 ms for each phoneme, as high as its voice."""
    model = _model(
        """
kokoro (int64[1, N] tokens, float[1, 2] style, float[1] speed) => (float[M] audio)
<float per_token = {1200.0}, float zero = {0.0}, float one = {1.0}, float quiet = {0.3}, int64 index = {0}> {
  shape = Size(tokens)
  count = Cast <to: int = 1> (shape)
  natural = Mul(count, per_token)
  factor = ReduceMean <keepdims: int = 0> (speed)
  length = Div(natural, factor)
  times = Range(zero, length, one)
  pitch = ReduceMean <keepdims: int = 0> (style)
  angle = Mul(times, pitch)
  wave = Sin(angle)
  audio = Mul(wave, quiet)
}
"""
    )
    names = ",".join(KOKORO_VOICES)
    told = {"sample_rate": "24000", "version": "2", "n_speakers": str(len(KOKORO_VOICES)), "has_espeak": "1"}
    told |= {"style_dim": "510,1,2", "speaker_names": names, "voice": "en-us", "model_type": "kokoro"}
    onnx.helper.set_model_props(model, told)
    styles = [np.full((510, 2), 0.03 * (number + 1), np.float32) for number in range(len(KOKORO_VOICES))]
    tokens = "".join(f"{sign} {number}\n" for number, sign in enumerate(["$", *";:,.!?", " ", *"abcd"]))
    return {
        "model.int8.onnx": model.SerializeToString(),
        "voices.bin": np.concatenate(styles).astype("<f4").tobytes(),
        "tokens.txt": tokens.encode(),
        "lexicon-us-en.txt": "".join(f"{word} {' '.join(one)}\n" for word, one in LEXICON.items()).encode(),
        "lexicon-zh.txt": "你好 a b c d\n早 a b\n".encode(),
    }


def pocket_files() -> dict[str, bytes]:
    """A file's bytes by its name: a frame of 80 ms for each token, a tone as high as its speaker is loud."""
    signs = ["<unk>", *(f"<0x{byte:02X}>" for byte in range(256)), "▁", *map(chr, range(33, 127))]
    vocabulary = {sign: number for number, sign in enumerate(signs)}
    return {
        "lm_main.int8.onnx": _bytes(_POCKET_MAIN),
        "lm_flow.int8.onnx": _bytes(_POCKET_FLOW),
        "encoder.onnx": _bytes(_POCKET_ENCODER),
        "decoder.int8.onnx": _bytes(_POCKET_DECODER),
        "text_conditioner.onnx": _bytes(_POCKET_TEXT),
        "vocab.json": json.dumps(vocabulary).encode(),
        "token_scores.json": json.dumps(dict.fromkeys(vocabulary, -1.0)).encode(),
        "test_wavs/bria.wav": recording(0.1),
        "README.md": b"License: ask Kyutai",
    }


_POCKET_ENCODER = """
encoder (float[1, 1, N] audio) => (float[1, 1, 1024] embedding)
<int64[3] shape = {1, 1, 1024}> {
  loud = Abs(audio)
  mean = ReduceMean <keepdims: int = 1> (loud)
  embedding = Expand(mean, shape)
}
"""
_POCKET_TEXT = """
text (int64[1, N] token_ids) => (float[1, N, 1024] embedding)
<int64[1] last = {2}, int64[3] shape = {1, 1, 1024}, float zero = {0.0}> {
  numbers = Cast <to: int = 1> (token_ids)
  nothing = Mul(numbers, zero)
  columns = Unsqueeze(nothing, last)
  embedding = Expand(columns, shape)
}
"""
_POCKET_MAIN = """
main (float[1, S, 32] sequence, float[1, T, 1024] embeddings, float[1] voice, float[1] tokens, float[1] steps)
  => (float[1, 1, 1] conditioning, float[1, 1] eos_logit, float[1] next_voice, float[1] next_tokens,
      float[1] next_steps)
<int64 one = {1}, int64[1] first = {1}, float[1] most = {4.0}, int64[3] column = {1, 1, 1},
 int64[2] pair = {1, 1}, int64[1] flat = {1}> {
  length = Shape <start: int = 1, end: int = 2> (embeddings)
  count = Cast <to: int = 1> (length)
  sum = ReduceSum <keepdims: int = 0> (embeddings)
  total = Reshape(sum, flat)
  next_voice = Add(voice, total)
  next_tokens = Add(tokens, count)
  steps_now = Shape <start: int = 1, end: int = 2> (sequence)
  step = Cast <to: int = 1> (steps_now)
  next_steps = Add(steps, step)
  reached = Sub(next_steps, next_tokens)
  logit = Sub(reached, most)
  eos_logit = Reshape(logit, pair)
  conditioning = Reshape(next_voice, column)
}
"""
_POCKET_FLOW = """
flow (float[1, 1, 1] c, float[1, 1] s, float[1, 1] t, float[1, 32] x) => (float[1, 32] direction)
<int64[2] pair = {1, 1}, int64[2] shape = {1, 32}> {
  level = Reshape(c, pair)
  wanted = Expand(level, shape)
  direction = Sub(wanted, x)
}
"""
_POCKET_DECODER = """
decoder (float[1, C, 32] latent, float[1] position) => (float[1, 1, N] audio, float[1] next_position)
<float[1] frame = {1920.0}, float zero = {0.0}, float one = {1.0}, float quiet = {0.3}, float pitch = {0.05},
 int64[3] row = {1, 1, -1}> {
  counted = Shape <start: int = 1, end: int = 2> (latent)
  frames = Cast <to: int = 1> (counted)
  size = Mul(frames, frame)
  length = ReduceSum <keepdims: int = 0> (size)
  times = Range(zero, length, one)
  angle = Mul(times, pitch)
  wave = Sin(angle)
  soft = Mul(wave, quiet)
  audio = Reshape(soft, row)
  next_position = Add(position, size)
}
"""


def recording(level: float, *, seconds: float = 2.0) -> bytes:
    """A WAV file of a tone at 24 kHz."""
    tone = np.sin(np.arange(int(24_000 * seconds)) * 0.05) * level
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(24_000)
        sound.writeframes((tone * 32_767).astype("<i2").tobytes())
    return file.getvalue()


def written(files: dict[str, bytes], folder: Path) -> Path:
    """The folder, with the files side by side, as a download has them."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / Path(name).name).write_bytes(content)
    return folder


def _floats(values: np.ndarray) -> str:
    return "{" + ", ".join(f"{value:.1f}" for value in values.ravel()) + "}"


def _model(graph: str) -> onnx.ModelProto:
    model = parser.parse_model(_HEAD + graph)
    onnx.checker.check_model(model)
    return model


def _bytes(graph: str) -> bytes:
    return bytes(_model(graph).SerializeToString())


def _ort(graph: str) -> bytes:
    """In the format that Moonshine's files have."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.add_session_config_entry("session.save_model_format", "ORT")
    with TemporaryDirectory() as scratch:
        options.optimized_model_filepath = str(Path(scratch, "model.ort"))
        onnxruntime.InferenceSession(_bytes(graph), options, providers=["CPUExecutionProvider"])
        return Path(scratch, "model.ort").read_bytes()
