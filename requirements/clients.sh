#!/bin/bash
# Makes .venv-clients, where clients of the field live: requirements/clients.sh PYTHON, by "make env-clients".
# They pin other versions than we run with, so they have an environment of their own and speak to us over the network.
# What was interrupted begins anew; pip keeps what it had downloaded.
set -euo pipefail
python="$1"
venv=.venv-clients
pip="$venv/bin/python -m pip --disable-pip-version-check"
pins=requirements/clients.txt
needs=2

made="$("$python" -V) $(cat $pins "$0" | cksum)"
if [ "$(cat $venv/.made 2>/dev/null)" = "$made" ]; then
    echo "$venv is there."
    exit 0
fi
free=$(($(df -Pk . | awk 'NR == 2 {print $4}') / 1024 / 1024))
if [ "$free" -lt "$needs" ]; then
    echo "The clients need $needs GB of disk while they are installed, and $free GB are free." >&2
    exit 1
fi

echo "Making $venv: Pipecat, LiveKit's agents and the Agents SDK, as clients of ours (0.8 GB; about 2 minutes)"
began=$SECONDS
"$python" -m venv --clear $venv
PYTHONUNBUFFERED=1 $pip install --progress-bar on --require-hashes --no-deps -r $pins \
    | grep --line-buffered -v -E '^(Ignoring|Looking in) '
echo "Trying it"
LOGURU_LEVEL=WARNING $venv/bin/python -c 'import agents.realtime, livekit.plugins.openai, pipecat.services.openai.llm'
echo "$made" >$venv/.made
echo "$venv is ready after $((SECONDS - began)) s, and takes $(du -sh $venv | cut -f1)."
