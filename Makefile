# Needs Python 3.11 or newer, and make. Everything else goes into .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
EVENTS ?= 20000
# The machine's own pip, if it has one: to install another into .venv takes five seconds. It is looked for once, if needed.
PIP = $(eval PIP := $(shell $(PYTHON) -c 'import pip' 2>/dev/null && echo $(PYTHON) -m pip --python $(BIN)/python || echo $(BIN)/python -m pip))$(PIP)
NEW_VENV = $(PYTHON) -m venv $(if $(findstring --python,$(PIP)),--without-pip) $(VENV)
# In a terminal uv shows how far it is.
INSTALL := $(BIN)/uv pip install $(if $(MAKE_TERMERR),,--quiet) --python $(BIN)/python

# A process starts in 1.5 s of CPU time if it may keep what it compiled, and in 4 s if not. The tests start many.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: setup demo bench bench-latency bench-scaling bench-guard test test-fast test-faults simulate lint format docs screenshot schema lock clean

setup: $(STAMP)

# uv installs all that is pinned in a few seconds. It comes by pip, pinned like the rest.
$(STAMP): requirements.txt requirements-setup.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@echo "Setting up, 1 of 4: an environment in $(VENV)"
	@$(NEW_VENV)
	@echo "Setting up, 2 of 4: uv, which installs the rest"
	@$(PIP) install --quiet --disable-pip-version-check --require-hashes -r requirements-setup.txt
	@echo "Setting up, 3 of 4: $$(grep -c '^[a-z]' requirements.txt) packages that requirements.txt pins"
	@$(INSTALL) --require-hashes -r requirements.txt || $(PIP) install --quiet --require-hashes -r requirements.txt
	@echo "Setting up, 4 of 4: reelsync itself"
	@$(INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

demo: setup
	$(BIN)/python -m demo --events $(EVENTS) $(if $(KEEP),--keep)

# EVENTS, ROUNDS, WORKLOADS, CONTENDERS, PARTITIONS, SEED, JSON and PLOT are its options, BROKER=kafka runs Apache Kafka in
# Docker, BENCH_BOOTSTRAP_SERVERS and BENCH_DATABASE_URL name servers of your own: docs/performance.md.
bench: setup
	$(BIN)/python -m benchmarks

# The age of events at their commit; cost as the work grows; whether it has become slower. docs/performance.md.
bench-latency bench-scaling bench-guard: bench-%: setup
	$(BIN)/python -m benchmarks.$*

# The tests wait more than they work, so three files run at once. Those of faults have brokers behind a proxy.
# In their order: all of one tier, then all of the other, and last those that need no server and take no time.
PARALLEL := --numprocesses 3 --dist loadfile --no-loadscope-reorder
test: setup
ifdef ARGS
	$(BIN)/python -m pytest $(PARALLEL) $(ARGS)
else
	$(BIN)/python -m pytest $(PARALLEL) --ignore tests/faults
	$(BIN)/python -m pytest $(PARALLEL) tests/faults
endif

# For the loop of a developer: what needs no server.
test-fast: setup
	$(BIN)/python -m pytest tests/unit tests/contract --numprocesses auto $(ARGS)

# The fault suite at length: 20 rounds of each fault with 5 seeds, or FAULTS_ROUNDS with FAULTS_SEEDS="1 2". `make test` runs
# a short form of it. FAULTS_JSON=FILE keeps what it finds (docs/faults.md).
test-faults: setup
	FAULTS=long $(BIN)/python -m pytest tests/faults --timeout 1800 $(ARGS)

# The consumer on simulated servers, in virtual time: many seeds, or the trace of one (docs/faults.md).
SEEDS ?= 20000
simulate: setup
	$(BIN)/python -m tests.simulation $(if $(SEED),--seed $(SEED),--seeds $(SEEDS)) $(if $(FIRST),--first $(FIRST))

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Pin every dependency, with hashes and without the addresses that it was downloaded from. What the image installs is a
# part of what development installs, at the same versions.
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --custom-compile-command "make lock"

lock:
	$(NEW_VENV)
	$(PIP) install --quiet uv
	echo 'uv' | $(COMPILE) - --no-annotate --output-file requirements-setup.txt
	$(COMPILE) pyproject.toml --extra consumer --extra otel --extra testing --group dev --output-file requirements.txt
	$(COMPILE) pyproject.toml --extra consumer --extra otel --constraints requirements.txt --no-annotate --output-file requirements-run.txt
	echo 'setuptools>=80' | $(COMPILE) - --constraints requirements.txt --no-annotate --output-file requirements-build.txt

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis

# Write the contract from the models. A test fails until this was run, so that its diff stands in review.
schema: setup
	$(BIN)/reelsync schema export events/schema
	$(BIN)/python -m tests.contract.vectors

# Write the parts of docs/ that are made from the code: settings, commands, tables.
docs: setup
	$(BIN)/python -m docs.settings_table
	$(BIN)/python -m docs.command_table
	$(BIN)/python -m docs.table_diagram

# Take the picture of the status page that the README shows, in Chromium.
screenshot: setup
	SCREENSHOT=take $(BIN)/python -m pytest --timeout 1200 tests/browser/test_screenshot.py
