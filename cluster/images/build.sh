#!/bin/bash
# Builds the images: cluster/images/build.sh [gateway] [llm] [speech], by "make images". All three if none is named.
#   PREFIX  where they will live, as registry.example.org/team (localhost unless said)
#   TAG     their version (that of pyproject.toml unless said)
#   ENGINE  podman, docker or buildah (the first that is found)
#   BASE    another Python than the pinned one; it must be the same for all three
#   PIPER   no: without the voice engine that is GPL-3.0 (docs/licences.md)
#   GPU     no: llm and speech for machines without a card
# A base is pinned by its version here; write the digest that you built from into BASE to pin the bytes as well.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
prefix="${PREFIX:-localhost}"
tag="${TAG:-$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)}"
engine="${ENGINE:-}"
for found in podman docker buildah; do
    [ -n "$engine" ] || ! command -v "$found" >/dev/null || engine="$found"
done
[ -n "$engine" ] || { echo 'Images are built by podman, docker or buildah, and none of them is here.' >&2 && exit 1; }

build() {
    local name="$1" file="cluster/images/$1/Containerfile"
    local options=(--file "$file" --tag "$prefix/rhapsode-$name:$tag")
    [ -z "${BASE:-}" ] || [ "$name" != gateway ] || options+=(--build-arg "BASE=$BASE")
    [ "$name" != gateway ] || options+=(--build-arg "PIPER=${PIPER:-yes}")
    [ "$name" = gateway ] || options+=(--build-arg "GATEWAY=$prefix/rhapsode-gateway:$tag" --build-arg "GPU=${GPU:-yes}")
    echo "Building $prefix/rhapsode-$name:$tag with $engine"
    case "$engine" in
    # Docker finds the list of what to leave out by its name, beside the file; the others are told.
    docker) DOCKER_BUILDKIT=1 docker build "${options[@]}" . ;;
    # Docker's format: the other one knows no HEALTHCHECK.
    *) "$engine" build --format docker --ignorefile "$file.dockerignore" --layers "${options[@]}" . ;;
    esac
}

[ $# -gt 0 ] || set -- gateway llm speech
for name in "$@"; do
    [ -f "cluster/images/$name/Containerfile" ] || { echo "There is no image $name." >&2 && exit 2; }
    build "$name"
done
