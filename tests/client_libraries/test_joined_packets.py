"""The JavaScript client joins Opus packets; a decoder makes the same sound of them."""

import json
import shutil
import subprocess
from itertools import groupby
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from pipeline.audio.input_formats import OPUS_RATE, Incoming

ENCODER = Path(__file__).parents[2] / "clients/javascript/microphone/speech-encoder.js"
JOIN = f"""import {{ joined }} from {json.dumps(ENCODER.as_uri())};
let given = "";
for await (const part of process.stdin) given += part;
const packets = JSON.parse(given).map((group) => joined(group.map((packet) => Uint8Array.from(packet))));
console.log(JSON.stringify(packets.map((packet) => [...packet])));"""


def packets_of(sound: np.ndarray, bit_rate: int) -> list[bytes]:
    codec: Any = av.CodecContext.create("libopus", "w")
    codec.sample_rate, codec.layout, codec.format, codec.bit_rate = 16_000, "mono", "s16", bit_rate
    codec.options = {"frame_duration": "20", "application": "voip"}
    frame = av.AudioFrame.from_ndarray(sound[None], format="s16", layout="mono")
    frame.sample_rate, frame.pts = 16_000, 0
    return [bytes(packet) for packet in codec.encode(frame)]


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
@pytest.mark.parametrize("bit_rate", [12_000, 32_000, 256_000], ids=["short", "usual", "longer than 251"])
def test_joined_packets_are_decoded_to_the_same_sound(bit_rate: int) -> None:
    rng = np.random.default_rng(5)
    singles = packets_of(rng.integers(-9_000, 9_000, 16_000).astype(np.int16), bit_rate)
    sizes = (1, 2, 5, 6)
    groups: list[list[bytes]] = []
    at = 0
    while at < len(singles):
        size = sizes[len(groups) % len(sizes)]
        same = next(groupby(singles[at : at + size], key=lambda packet: packet[0]))[1]
        groups.append(list(same))
        at += len(groups[-1])
    told = json.dumps([[list(packet) for packet in group] for group in groups])
    command = ["node", "--input-type=module", "--eval", JOIN]
    done = subprocess.run(command, input=told, capture_output=True, text=True, timeout=60, check=True)
    whole, parts = Incoming("opus", OPUS_RATE), Incoming("opus", OPUS_RATE)
    expected = np.frombuffer(b"".join(map(parts.push, singles)) + parts.flush(), "<i2")
    joined = [bytes(packet) for packet in json.loads(done.stdout)]
    assert len(joined) == len(groups)
    found = np.frombuffer(b"".join(map(whole.push, joined)) + whole.flush(), "<i2")
    assert np.abs(found.astype(int) - expected).max() <= 1  # the resampler rounds by its blocks
    assert max(map(len, singles)) > 251 or bit_rate < 100_000
