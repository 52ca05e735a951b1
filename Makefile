# All that one needs: `make demo` and `make test`. Both set up .venv by themselves.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.PHONY: help setup demo test check bench soak lock clean
help:  ## Show this help
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

setup: $(READY)  ## Create .venv from the locked constraints
$(READY): constraints.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv .venv
	@echo "Installing the locked packages into .venv (a minute or two) ..."
	@# The file is complete, so nothing is resolved here (pip could not: a hashed file has no extras).
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@# Byte code, whatever the environment says: without it every Dagster run compiles 800 modules anew.
	env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m compileall -q -j 0 .venv/lib enrichment_dagster assets sensors || true
	touch $(READY)

demo: $(READY)  ## Start everything against the emulators and watch leads being enriched (Ctrl-C ends it)
	$(BIN)/enrichment demo

test: $(READY) check  ## Run all checks and tests
	$(BIN)/python -m pytest -n 2 --dist loadscope --no-loadscope-reorder

check: $(READY)  ## Run the linters and the type checker
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

bench: $(READY)  ## Measure what the targets speak of (an hour, idle machine) and record it in benchmarks/
	$(BIN)/python benchmarks/run.py
	$(BIN)/python benchmarks/run.py --report

soak: $(READY)  ## Kill every process twenty times under load, audit the account; all event types at once (an hour, idle machine)
	$(BIN)/python benchmarks/soak.py --kills 20 --stacks 2
	ENRICHMENT_TEST_ECHO_LEADS=2000 $(BIN)/python -m pytest tests/faults/test_echoes.py
	$(BIN)/python benchmarks/run.py mixed

lock:  ## Resolve the dependencies anew (needs uv)
	uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-annotate --no-header --upgrade -o constraints.txt

clean:  ## Remove the environment and all local data
	rm -rf .venv .enrichment
