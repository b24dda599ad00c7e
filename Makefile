# Two commands matter: `make demo` shows the product on an embedded market, `make test` proves it.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := demo

PYTHON ?= $(firstword $(shell command -v python3.11 python3))
BIN := .venv/bin
DATA ?= demo-data

# `make serve` asks the embedded market; `make serve SOURCE=live SERVE_DATA=house` the venues.
SOURCE ?= simulator
SERVE_DATA ?= serve-data
PORT ?= 3000
MARKET_PORT ?= 8931
SEED ?= 1
SIZE ?= 0.25
MARKET_RATE ?= 20

export DBT_SEND_ANONYMOUS_USAGE_STATS := false
export DO_NOT_TRACK := 1
export GX_ANALYTICS_ENABLED := false

.PHONY: demo test lint bench lock serve clean

demo: .venv/.installed
	$(BIN)/hedgehouse demo --data $(DATA)

test: .venv/.installed-dev lint
	$(BIN)/python -m pytest

lint: .venv/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache
	$(BIN)/mypy
	$(BIN)/sqlfluff lint dbt/models dbt/tests --disable-progress-bar

bench: .venv/.installed-dev
	$(BIN)/python -m bench

serve: .venv/.installed
	exec $(BIN)/python -m assets.serving --source $(SOURCE) --data "$(SERVE_DATA)" --port $(PORT) \
		--market-port $(MARKET_PORT) --seed $(SEED) --size $(SIZE) --rate-scale $(MARKET_RATE)

# Each install is complete before its mark is written, so an interrupted one is done again.
.venv/bin/uv: requirements-uv.lock
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements-uv.lock
	touch $@

.venv/.installed: .venv/bin/uv requirements.lock pyproject.toml
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r requirements.lock
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --no-build-isolation --no-deps -e .
	touch $@

.venv/.installed-dev: .venv/bin/uv requirements-dev.lock pyproject.toml
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r requirements-dev.lock
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --no-build-isolation --no-deps -e .
	touch $@ .venv/.installed

# Compiled for all platforms; the build backend is locked with the rest, and no index is named.
LOCK := $(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate --quiet
lock: .venv/bin/uv
	$(LOCK) <(echo setuptools==80.9.0) --extra dev -o requirements-dev.lock
	$(LOCK) <(echo setuptools==80.9.0) -c requirements-dev.lock -o requirements.lock

clean:
	rm -rf .venv demo-data serve-data dbt/target dbt/logs .mypy_cache .ruff_cache .pytest_cache
