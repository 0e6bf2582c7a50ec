# `make help` lists the targets. Every target but `help` and `clean` prepares .venv first.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
OUT ?= out/demo
CONSTRAINTS := constraints.txt

.PHONY: help setup demo test soak lint type format bench clean
.DEFAULT_GOAL := help

help: ## this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-8s %s\n", $$1, $$2}'

setup: $(VENV)/.stamp ## make .venv with everything pinned in constraints.txt

$(VENV)/.stamp: pyproject.toml $(CONSTRAINTS)
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "crossmix needs Python 3.11 or newer: make PYTHON=python3.11 setup")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --disable-pip-version-check --quiet -c $(CONSTRAINTS) -e ".[dev,bench]"
	@touch $@

demo: setup ## train, gate and register a policy on a generated log; a report in out/demo
	$(BIN)/crossmix run --preset laptop --out $(OUT)
	@echo
	@echo "open $(OUT)/report.html, or ask the policy: $(BIN)/crossmix allocate $(OUT)"

test: setup ## the test suite, short fault and load tests included
	$(BIN)/pytest -n 2 --dist loadscope --no-loadscope-reorder

soak: setup ## the long versions of the fault and load tests
	$(BIN)/pytest -m soak

lint: setup ## ruff, and the house's import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache

type: setup ## mypy, strict on crossmix and serving
	$(BIN)/mypy

format: setup ## format, and mend what can be mended
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: setup ## the figures of the README
	$(BIN)/python -m benchmarks

clean: ## everything that can be made again, .venv included
	rm -rf $(VENV) out build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
