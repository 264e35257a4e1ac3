# Addonry. `make demo` and `make test` need Python 3.11+ and make, nothing else.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
QUICK  := $(BIN)/python -m pytest -q -m 'not slow' --numprocesses auto --dist loadfile
BESIDE := $(BIN)/python -m pytest -q -m 'slow and not alone' --numprocesses auto --dist loadfile
PIP    := $(BIN)/python -m pip --quiet --disable-pip-version-check --no-input

.DEFAULT_GOAL := help
.PHONY: help demo test test-cluster check chaos format bench clean

help: ## this list
	@grep -hE '^[a-z-]+:.*?## ' $(MAKEFILE_LIST) | awk -F ':.*?## ' '{printf "  make %-12s %s\n", $$1, $$2}'

$(VENV)/.run: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Addonry needs Python 3.11 or newer: make PYTHON=python3.12 ..." >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Setting up $(VENV) (once)"
	@$(PIP) install --constraint constraints.txt --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.run
	@echo "Installing the development tools into $(VENV) (once)"
	@$(PIP) install --constraint constraints.txt --editable '.[dev]'
	@touch $@

demo: $(VENV)/.run ## the whole story on simulated clusters, in about a minute
	@$(BIN)/addonry demo

test: $(VENV)/.dev ## every test that this machine can run, the quick ones first, and those that may on all cores
	@status=0; \
	  $(QUICK) -ra || status=$$?; \
	  $(BESIDE) -ra || status=$$?; \
	  $(BIN)/python -m pytest -m 'slow and alone' || status=$$?; \
	  exit $$status

test-cluster: $(VENV)/.dev ## the scenarios on a cluster of yours, and where simulated ones differ; KUBECONFIG=FILE [ARGS=NAME]
	@test -n "$(KUBECONFIG)" || { echo "Which cluster? make test-cluster KUBECONFIG=FILE" >&2; exit 2; }
	@$(BIN)/python -m tests.conformance --kubeconfig "$(KUBECONFIG)" $(ARGS)

check: $(VENV)/.dev ## what a review runs first: format, lint, types, import directions, quick tests
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache
	@$(QUICK)

chaos: $(VENV)/.dev ## long storms over several workers: kills, freezes, faults; ARGS="--minutes 10 --storms 6"
	@$(BIN)/python -m tests.chaos $(ARGS)

format: $(VENV)/.dev ## format and mend what can be mended
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: $(VENV)/.dev ## the budgets of the design, as ratios
	@$(BIN)/python -m bench

clean: ## forget the environment and caches
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist
