#!/bin/bash
# Makes .venv-peers, where the systems live that "make race" runs beside ours: requirements/peers.sh PYTHON, by
# "make env-peers". They pin other versions than we run with, and get the engines over the network.
set -euo pipefail
python="$1" venv=.venv-peers target=env-peers
name="Pipecat, LiveKit Agents and RealtimeTTS, which the race runs beside ours"
. requirements/environment.sh

# Part of what the environment is made of: with PortAudio installed later it is made anew.
if [ -f /usr/include/portaudio.h ]; then gpu=portaudio; else gpu=silent; fi
begin 2 '(1 GB; about 2 minutes)' requirements/peers.txt
if ! [ -f /usr/include/portaudio.h ]; then
    echo 'Without PortAudio (Debian: portaudio19-dev) RealtimeTTS is left out of the race.'
    awk '/^[a-z]/ {on = $0 !~ /^pyaudio==/} on' "$pins" >"$venv/pins.txt"
    pins="$venv/pins.txt"
fi
install_pins
export LOGURU_LEVEL=WARNING
finish 'import livekit.agents, livekit.plugins.openai, livekit.plugins.silero, pipecat.transports.websocket.fastapi'
