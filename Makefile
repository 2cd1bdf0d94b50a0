# Everything lives in .venv, from the exact versions in constraints.txt. A second run installs nothing.

PYTHON   ?= $(shell command -v python3.11 || command -v python3)
PATTERN  ?= canary
DURATION ?=
FUZZ_SECONDS ?= 60
# `router` is what was compiled, and never the sources beside the tests.
AS_COMPILED := PYTHONSAFEPATH=1 PYTHONPATH=$(CURDIR)/build/compiled:$(CURDIR)
RUN_COMPILED := -n 3 --dist worksteal tests/integration tests/faults tests/rfc tests/unit/dataplane tests/unit/http1 \
  tests/unit/telemetry
PIP      := .venv/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: help demo test test-all test-compiled check search fuzz fuzz-api soak sbom bench bench-full screenshots page-cost clean
.DEFAULT_GOAL := help

help:
	@echo "make demo [PATTERN=shadow|canary|blue-green] [DURATION=20]  see it work"
	@echo "make test       the fast tests"
	@echo "make test-all   all tests, the slow ones too"
	@echo "make test-compiled  those that run the real program, with the data plane compiled; needs a C compiler"
	@echo "make check      lint, format, types and structure"
	@echo "make search     the properties of hypothesis over new examples, many more of them"
	@echo "make fuzz       a fuzzer on everything that reads bytes, for FUZZ_SECONDS=$(FUZZ_SECONDS) [FUZZ_RUNS=1000: the same inputs each time]"
	@echo "make bench      CPU per request, beside other proxies, in less than five minutes [BENCH='canary rollback']"
	@echo "make bench-full the same with more rounds and cases, in about half an hour; docs/performance.md has the method"
	@echo "make screenshots  the pictures of the documentation; needs chromium"
	@echo "make page-cost  what an open page costs the controller, in twenty minutes; needs chromium"
	@echo "make soak       SOAK_SECONDS=600 of mixed traffic; fails on any leak or unexplained error"
	@echo "make fuzz-api   Schemathesis against the admin API of a real router"
	@echo "make sbom       what is installed to run, as sbom.json (CycloneDX)"
	@echo "make clean      remove what these commands made"

demo: .venv/.installed
	@exec .venv/bin/router demo $(PATTERN) $(if $(DURATION),--duration $(DURATION))

test: .venv/.installed-test
	.venv/bin/python -m pytest -n 3 --dist worksteal

test-all: .venv/.installed-test
	.venv/bin/python -m pytest -m "slow or not slow"

test-compiled: .venv/.installed-test build/compiled/.built
	$(AS_COMPILED) .venv/bin/python -m pytest -o pythonpath= $(RUN_COMPILED)

check: .venv/.installed-test
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/python -m pytest tests/unit/test_structure.py

search: .venv/.installed-test
	HYPOTHESIS_PROFILE=search .venv/bin/python -m pytest -n auto --dist worksteal --timeout 1800 -m hypothesis

fuzz: .venv/.installed-fuzz
	.venv/bin/python -m tests.fuzz $(if $(FUZZ_RUNS),--runs $(FUZZ_RUNS),--seconds $(FUZZ_SECONDS))

bench: .venv/.installed build/compiled/.built
	$(AS_COMPILED) .venv/bin/python -m bench run $(BENCH)

bench-full: .venv/.installed build/compiled/.built
	$(AS_COMPILED) .venv/bin/python -m bench run --effort full $(BENCH)

screenshots: .venv/.installed-test
	.venv/bin/python -m tests.browser.screenshots docs/images

page-cost: .venv/.installed-test
	.venv/bin/python -m tests.browser.cost

soak: .venv/.installed-test
	.venv/bin/python -m tests.soak

fuzz-api: .venv/.installed-api-fuzz
	.venv/bin/python -m pytest -n 0 -m "slow or not slow" tests/integration/test_api_fuzzing.py

# An environment of its own: what tests and tools need is not what runs.
sbom: .venv/.installed-sbom
	@rm -rf .venv/runtime && $(PYTHON) -m venv --without-pip .venv/runtime
	@ROUTER_COMPILE=0 .venv/bin/python -m pip --python .venv/runtime/bin/python install --quiet \
	  --disable-pip-version-check --constraint constraints.txt .
	.venv/bin/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible --of JSON -o sbom.json \
	  .venv/runtime/bin/python

clean:
	rm -rf sbom.json .venv bench/.venv bench/results build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis var
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

.venv/.installed-api-fuzz: .venv/.installed-test
	@echo "installing the pinned Schemathesis into .venv, once"
	@$(PIP) --editable '.[test,api-fuzz]'
	@touch $@

build/compiled/.built: $(wildcard router/*.py router/*/*.py router/*/*/*.py) setup.py build_backend.py | .venv/bin/python
	@echo "compiling the data plane into build/compiled, about a minute"
	@rm -rf build && ROUTER_COMPILE=1 .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps \
	  --target build/compiled .
	@$(AS_COMPILED) .venv/bin/python -c 'import router; assert router.COMPILED, "the data plane is not compiled"'
	@touch $@

.venv/.installed-sbom: .venv/.installed-test
	@echo "installing the pinned generator of SBOMs into .venv, once"
	@$(PIP) --editable '.[test,sbom]'
	@touch $@

.venv/.installed-fuzz: .venv/.installed-test
	@echo "installing the pinned fuzzer into .venv, once"
	@$(PIP) --editable '.[test,fuzz]'
	@touch $@
