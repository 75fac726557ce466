"""Models that sherpa-onnx runs: Moonshine, Kokoro and Pocket TTS."""
