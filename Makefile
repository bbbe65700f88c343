# The same targets for people and for CI. `make demo` is the place to start.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
DEMO ?= build/demo
LEVEL ?= full
THREADS ?= 2
PROCESSES ?= 2
APT := DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o Acquire::Retries=0 -o Acquire::http::Timeout=20

.PHONY: help setup demo app study test lint format bench browser camera-tools docs docs-serve release-check

help:
	@echo "make setup   install everything into $(VENV)"
	@echo "make demo    protect two portraits, edit them, measure; the page is $(DEMO)/index.html"
	@echo "make app     the page for people who use no terminal, on this machine alone (APP='--port 8000')"
	@echo "make study   make docs/results.md again (LEVEL=quick: fewer people); resumable"
	@echo "make test    run the tests (make test TESTS=tests/test_cli.py for one file)"
	@echo "make lint    check format, style and types"
	@echo "make format  mend format and imports"
	@echo "make docs    the site, into build/site; make docs-serve shows it while writing"
	@echo "make release-check  build wheel and sdist, install the wheel into an empty environment, protect a photo there"
	@echo "make bench   speed and memory against the original formula, about ten minutes; writes docs/performance.md"

setup: $(READY)

# torch comes first and by its exact version, so that nothing else chooses another build of it.
$(READY): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet "$$(grep '^torch==' constraints.txt)"
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[app,cluster,eval,heif,dev]'
	touch $@

demo: $(READY)
	$(BIN)/decontext demo --output $(DEMO) --force

app: $(READY)
	$(BIN)/decontext app $(APP)

study: $(READY)
	$(BIN)/python -m study.run --level $(LEVEL)

# One thread a process: two processes of two threads each would wait for each other.
test: $(READY) browser camera-tools
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(PROCESSES) --dist loadfile $(TESTS)

# The pages are tested in Chromium. Where it is missing and cannot be had, those tests are skipped and say so.
browser:
	@if ! command -v chromium >/dev/null && ! command -v chromium-browser >/dev/null; then \
		if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && { \
			timeout 300 env $(APT) install chromium >/dev/null 2>&1 || \
			{ timeout 120 env $(APT) update && timeout 300 env $(APT) install chromium; } >/dev/null 2>&1; \
		}; then echo "installed chromium for the tests of the pages"; \
		else echo "no Chromium here: the tests of the pages will be skipped"; fi; fi
	@command -v jq >/dev/null && command -v curl >/dev/null || { [ "$$(id -u)" = 0 ] && \
		timeout 120 env $(APT) install jq curl >/dev/null 2>&1; } || \
		echo "no jq or curl here: the lines of docs/app.md with curl will not be tested"

# Round trips of photos are tested on files of these programs. Where they cannot be had, those tests
# are skipped and say so.
CAMERA_TOOLS := imagemagick libimage-exiftool-perl libheif-examples libavif-bin webp libtiff-tools \
	colord-data icc-profiles-free libgs-common
camera-tools:
	@if ! command -v exiftool >/dev/null || ! command -v convert >/dev/null || ! command -v heif-enc >/dev/null || \
		! command -v avifenc >/dev/null || ! command -v cwebp >/dev/null || ! command -v tiffinfo >/dev/null || \
		! test -d /usr/share/color/icc/colord; then \
		if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && { \
			timeout 300 env $(APT) install $(CAMERA_TOOLS) >/dev/null 2>&1 || \
			{ timeout 120 env $(APT) update && timeout 300 env $(APT) install $(CAMERA_TOOLS); } >/dev/null 2>&1; \
		}; then echo "installed what makes and reads photos for the tests of round trips"; \
		else echo "no ImageMagick, exiftool, libheif or libavif here: round trips of photos will be skipped"; fi; fi

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

# Strict: a broken link, an unknown anchor or a public name without a docstring fails.
docs: $(READY)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

docs-serve: $(READY)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs serve

release-check: $(READY)
	$(BIN)/python -m release.check
