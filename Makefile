# Every target installs what it needs into .venv; nothing outside this folder is touched.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: setup demo test check bench bench-search chaos train lock clean

setup: $(STAMP)

$(STAMP): requirements/dev.txt pyproject.toml build_backend.py
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "agenttts needs Python 3.11 or newer, $(PYTHON) is $$($(PYTHON) --version). Try: make PYTHON=python3.12" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: setup   ## Run the example's search end to end: no GPU, no key, no network.
	cd examples/01-two-hop-qa && ../../$(BIN)/agenttts search pipeline.json

test: setup   ## Run all tests.
	$(BIN)/python -m pytest -n 2 --dist loadgroup

check: setup  ## Lint, types, layers.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: setup  ## Measure the embedded models, the example's landscape and our own overhead, the bank, live searches, agents; rewrite docs/*benchmark*.md.
	$(BIN)/python -m tests.bench.run
	$(BIN)/python -m tests.bench.bank
	$(BIN)/python -m tests.bench.live
	$(BIN)/python -m tests.bench.agents

bench-search: setup  ## Measure every searcher where the truth is known; rewrite docs/search-benchmark.md. SEEDS=200
	OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 $(BIN)/python -m tests.bench.search --seeds $(or $(SEEDS),200)

chaos: setup  ## Kill every part of a few searches at random moments, see that nothing is lost; rewrite docs/chaos.md.
	AGENTTTS_LIMIT_SEARCHES=1000 $(BIN)/python -m pytest -q -n 2 tests/runtime/test_limits_hold.py
	$(BIN)/python -m tests.chaos.run

train: setup  ## Train the three embedded models again (CPU, about an hour a size).
	$(BIN)/python -m pip install --quiet --disable-pip-version-check torch==2.13.0
	for size in tiny small base; do $(BIN)/python -m agenttts.runtime.embedded.train --size $$size || exit 1; done

lock:         ## Pin the newest compatible versions again (needs uv).
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --upgrade \
	  pyproject.toml --extra postgres --extra bayes requirements/dev.in -o requirements/dev.txt
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
	  -c requirements/dev.txt pyproject.toml -o requirements/runtime.txt

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache
