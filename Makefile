# The commands of this project; each of them first brings .venv up to date.
PYTHON ?= python3
PORT ?= 8000
BIN := .venv/bin

.PHONY: profile up test faults lint bench demo-model install

profile: .venv/installed
	exec $(BIN)/layerscope profile

up: .venv/installed
	exec $(BIN)/layerscope up --port $(PORT)

test: .venv/installed
	exec $(BIN)/pytest

faults: .venv/installed
	FAULTS=whole exec $(BIN)/pytest --timeout 1800 tests/faults

lint: .venv/installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: .venv/installed
	$(BIN)/python -m benchmarks $(BENCH)

demo-model: .venv/installed
	exec $(BIN)/python -m demo

install: .venv/installed

.venv/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit( \
	  "Layerscope needs Python 3.11 or newer; $(PYTHON) is %d.%d. Name another: make PYTHON=python3.12" \
	  % sys.version_info[:2])'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@
