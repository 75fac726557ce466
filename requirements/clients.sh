#!/bin/bash
# Makes .venv-clients, where clients of the field live: requirements/clients.sh PYTHON, by "make env-clients".
# They pin other versions than we run with, so they have an environment of their own and speak to us over the network.
set -euo pipefail
python="$1" venv=.venv-clients target=env-clients
name="Pipecat, LiveKit's agents and the Agents SDK, as clients of ours"
. requirements/environment.sh

begin 2 '(0.8 GB; about 2 minutes)' requirements/clients.txt
install_pins
export LOGURU_LEVEL=WARNING
finish 'import agents.realtime, livekit.plugins.openai, pipecat.services.openai.llm'
