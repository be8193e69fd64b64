# The commands of README. Everything is installed below this folder: .tools/ (uv), .venv/ (the project).
# Needed: Python 3.11–3.13, git, make. UV=… takes another uv than the one installed here.

UV_VERSION := 0.13.8
PYTHON := $(shell for python in python3 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null && echo $$python && break; \
	done)
UV ?= .tools/uv/bin/uv
export UV_PYTHON_DOWNLOADS := never
unexport VIRTUAL_ENV PYTHONPATH PYTHONHOME
RUN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help demo up shell down test test-fast lint bench clean

help:  ## Show the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

demo: .venv/.ready  ## Run every job, from the landing zone to the archive and back, in about three minutes
	@$(RUN)/python -m demo run

up: .venv/.ready  ## Start the same servers and leave them running; prints the address and the password
	@$(RUN)/python -m demo up

shell: .venv/.ready  ## A shell in which `reelkeeper …` and `airflow …` work on what `make up` started
	@$(RUN)/python -m demo shell $(COMMAND)

down: .venv/.ready  ## Stop what `make up` started
	@$(RUN)/python -m demo down

test: .venv/.ready  ## Run all tests, on real servers and the real stack
	$(RUN)/python -m pytest -n 2 --dist loadfile

test-fast: .venv/.ready  ## Run the tests that need no server and no encoder
	$(RUN)/python -m pytest -n 2 --dist loadfile -m "not servers and not stack and not encodes"

lint: .venv/.ready  ## Check style, types and the direction of imports
	$(RUN)/ruff check
	$(RUN)/ruff format --check
	$(RUN)/mypy
	$(RUN)/lint-imports

bench: .venv/.ready  ## Run the benchmarks beside their peers; takes a while
	$(UV) sync --frozen --quiet --python $(PYTHON) --group bench
	$(RUN)/python -m benchmarks

clean:  ## Stop everything and remove all that was made here
	@test -z "$(PYTHON)" || $(PYTHON) -m demo.folders clean .estate
	rm -rf .estate .venv .tools .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/.ready: pyproject.toml uv.lock | $(UV)
	$(UV) sync --frozen --python $(PYTHON)
	@touch $@

.tools/uv/bin/uv:
	@test -n "$(PYTHON)" || { echo "no suitable Python: expected python3, python3.11, python3.12 or python3.13" \
		"on PATH, of version 3.11 to 3.13; found $$(python3 --version 2>&1)" >&2; exit 1; }
	@mkdir -p .tools/uv/bin
	@{ $(PYTHON) -m venv .tools/uv >.tools/log 2>&1 && \
		.tools/uv/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION) >>.tools/log 2>&1; } || \
		ln -sf "$$(command -v uv || { cat .tools/log >&2; exit 1; })" $@  # a Python without venv or pip: uv from PATH
