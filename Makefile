# The same targets for people and for CI. `make demo` is the place to start.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
DEMO ?= build/demo
LEVEL ?= full
THREADS ?= 2

.PHONY: help setup demo study test lint format bench

help:
	@echo "make setup   install everything into $(VENV)"
	@echo "make demo    protect two portraits, edit them, measure; the page is $(DEMO)/index.html"
	@echo "make study   make docs/results.md again (LEVEL=quick: fewer people); resumable"
	@echo "make test    run the tests (make test TESTS=tests/test_cli.py for one file)"
	@echo "make lint    check format, style and types"
	@echo "make format  mend format and imports"
	@echo "make bench   speed and memory against the original formula, about ten minutes; writes docs/performance.md"

setup: $(READY)

# torch comes first and by its exact version, so that nothing else chooses another build of it.
$(READY): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet "$$(grep '^torch==' constraints.txt)"
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[eval,dev]'
	touch $@

demo: $(READY)
	$(BIN)/decontext demo --output $(DEMO) --force

study: $(READY)
	$(BIN)/python -m study.run --level $(LEVEL)

test: $(READY)
	$(BIN)/python -m pytest $(TESTS)

lint: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# Stopped and started again it goes on; remove build/bench.jsonl to measure anew.
bench: $(READY)
	$(BIN)/python -m benchmarks.run --threads $(THREADS)
