# `make help` lists the targets. Every target but `help` and `clean` prepares .venv first.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SUPPLY := .venv-supply
OUT ?= out/demo
CONSTRAINTS := constraints.txt
EXTRAS ?= steps,dev,bench
WORKERS := -n 2 --dist loadscope --no-loadscope-reorder

# Steps and servers are processes of their own: where the shell forbids bytecode, each compiles all it imports again, which
# makes every start two to three times as slow.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup demo check test soak lint type format bench lock image audit clean
.DEFAULT_GOAL := help

help: ## this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-8s %s\n", $$1, $$2}'

setup: $(VENV)/.stamp ## make .venv with everything pinned in constraints.txt

# The pinned pip first: an older one takes three times as long over the same pins. What is never imported is not compiled.
# The warnings that are ignored are setuptools' word on every editable install.
$(VENV)/.stamp: pyproject.toml $(CONSTRAINTS)
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "crossmix needs Python 3.11 or newer: make PYTHON=python3.11 setup")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check --quiet -c $(CONSTRAINTS) pip setuptools
	PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --no-compile -c $(CONSTRAINTS) -e ".[$(EXTRAS)]"
	$(BIN)/python -m pip check
	@touch $@

demo: setup ## train, gate and register a policy on a generated log; a report in out/demo
	$(BIN)/crossmix run --preset laptop --out $(OUT)
	@echo
	@echo "open $(OUT)/report.html, or ask the policy: $(BIN)/crossmix allocate $(OUT)"

check: lint type ## before every commit, three minutes on two cores: lint, types, the fast unit tests
	$(BIN)/pytest $(WORKERS) -m "not slow and not soak" tests/unit

test: setup ## the test suite, short fault and load tests included
	$(BIN)/pytest $(WORKERS)

soak: setup ## the long versions of the fault and load tests
	$(BIN)/pytest -m soak

lint: setup ## ruff, and the house's import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache

type: setup ## mypy, strict, on every package
	$(BIN)/mypy

format: setup ## format, and mend what can be mended
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: setup ## the figures of the README
	$(BIN)/python -m benchmarks

# uv and pip-audit in an environment of their own: what they need is no business of the project's.
$(SUPPLY)/.stamp: pyproject.toml $(CONSTRAINTS)
	$(PYTHON) -m venv $(SUPPLY)
	$(SUPPLY)/bin/python -m pip install --disable-pip-version-check --quiet -c $(CONSTRAINTS) pip
	$(SUPPLY)/bin/python -m pip install --disable-pip-version-check --quiet -c $(CONSTRAINTS) --group supply
	@touch $@

lock: setup $(SUPPLY)/.stamp ## the images' lock files; WHEELS=DIR has torch for CPUs, BASE=NAME:TAG the base image
	$(BIN)/python -m supply.lock --uv $(SUPPLY)/bin/uv $(if $(WHEELS),--find-links $(WHEELS)) $(if $(BASE),--base $(BASE))

image: ## one image: TARGET=steps|train|serve|spark, WHEELS=DIR has torch for CPUs (steps)
	@test -s locks/base.txt || { echo "locks/base.txt: missing; make lock BASE=NAME:TAG where an image registry is reached" >&2; exit 2; }
	docker build --target $(TARGET) --build-arg BASE="$$(cat locks/base.txt)" \
		$(if $(WHEELS),--build-context wheels=$(WHEELS)) -t crossmix-$(TARGET) .

audit: setup $(SUPPLY)/.stamp ## licences, bills of materials in build/sbom, known vulnerabilities; of the locks
	$(BIN)/python -m supply.audit --pip-audit $(SUPPLY)/bin/pip-audit --out build/sbom

clean: ## everything that can be made again, .venv included
	rm -rf $(VENV) $(SUPPLY) out build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
