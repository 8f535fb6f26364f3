# The targets a stranger expects. PYTHON, PORT and ARGS may be set: make run PORT=9800 ARGS="--services"
PYTHON ?= python3
PORT ?= 9713
VENV := .venv
BIN := $(VENV)/bin
RUNTIME := $(VENV)/.runtime
STAMP := $(VENV)/.installed
HOST_TESTS = $(if $(findstring tests/,$(ARGS)),,$$(grep -rlE 'mark\.host' tests --include='test_*.py'))
# RUNTIME: what the agent needs. STAMP: what developing it needs, too.

.PHONY: run test lint coverage demo changelog deb bench nightly e2e clean help

help:  ## show the targets
	@grep -E '^[a-z0-9]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t12

$(RUNTIME): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("cgstatd needs Python 3.11 or newer, this is " + sys.version.split()[0]) if sys.version_info < (3, 11) else 0'
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "Python's venv module is missing: apt install python3-venv" >&2; exit 1; }
	@echo "making $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@sh tools/make/install.sh $(BIN)/pip -e '.[top]'
	@touch $@

$(STAMP): $(RUNTIME)
	@sh tools/make/install.sh $(BIN)/pip -e '.[dev]'
	@touch $@

run: $(RUNTIME)  ## install into .venv, start the agent in the foreground, show stats
	@$(BIN)/python tools/make/run.py $(PORT) $(ARGS)

demo: $(RUNTIME)  ## the same on a recorded host that is played on, for a machine without containers
	@$(BIN)/python tools/make/run.py $(PORT) --sort cpu --recorded fixtures/demo-hybrid-docker.txt $(ARGS)

# Compiled once: some hundred programs are started, and each would compile the agent anew; so would each worker the
# tests, which pytest rewrites as it collects them. More workers than cores, since many tests wait for an agent or a
# browser. What needs this kernel's cgroups comes after that, from those files alone that have such tests.
test: export PYTHONDONTWRITEBYTECODE =
test: $(STAMP) lint  ## lint, then every test
	@$(BIN)/python -m compileall -q agent cgroups tools/attacks
	@$(BIN)/python -m pytest --collect-only -qq $(ARGS) >/dev/null || true
	$(BIN)/python -m pytest -n 8 --dist loadfile --no-loadscope-reorder -m "not host and not nightly" $(ARGS) || [ $$? = 5 ]
	$(BIN)/python -m pytest -n 4 --dist worksteal -m "host and not nightly" $(ARGS) $(HOST_TESTS) || [ $$? = 5 ]

lint: $(STAMP)  ## ruff, mypy --strict and the order of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check agent cgroups tests tools
	$(BIN)/mypy
	MYPYPATH=tests/e2e:tests/e2e/guest $(BIN)/mypy --cache-dir .mypy_cache/e2e tests/e2e/run.py tests/e2e/guest/*.py
	$(BIN)/lint-imports --no-cache

coverage: $(STAMP)  ## lines and branches that each room's quick tests run; ARGS="--only sampling,outputs"
	$(BIN)/python tools/make/room_coverage.py $(ARGS)

nightly: $(STAMP)  ## what is too long for `make test`, with a report in build/ (root); ARGS="--only siege"
	$(BIN)/python tools/nightly.py $(ARGS)

clean:  ## remove the virtual environment and caches
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis dist build

changelog: $(STAMP)  ## what the next release will say (docs/changes)
	@$(BIN)/towncrier build --draft --version next

deb:  ## the Debian package for this release, into dist/ (needs build-essential, debhelper, python3-venv)
	@systemd/debian/build

bench: $(STAMP)  ## what a reading costs beside a C program and others (root, cc); ARGS="-n 100,1000 --real 100"
	$(BIN)/python tools/bench/run.py $(ARGS)

e2e:  ## booted hosts: every cgroup mode, every engine (root; tests/e2e/README.md); ARGS="v2 --short"
	$(PYTHON) tests/e2e/run.py $(ARGS)
