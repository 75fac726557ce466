#!/bin/bash
# Makes .venv-load, where Locust lives: requirements/load.sh PYTHON, by "make env-load".
set -euo pipefail
python="$1" venv=.venv-load target=env-load
name="Locust"
. requirements/environment.sh

begin 1 '(100 MB; half a minute)' requirements/load.txt
install_pins
finish 'import locust'
