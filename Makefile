# Everything one does with a checkout. `make run` and `make test` need nothing but Python >= 3.11 with venv, and make;
# see "What Debian lacks" in README.md. Nothing is installed outside .venv, except by `make test` as root (see .ci/services).

PYTHON ?= python3
UV     ?= uv
BIN    := .venv/bin
# Without its caches Python compiles every module again in every process: half of the time of the fast tests.
unexport PYTHONDONTWRITEBYTECODE
SHELL  := /bin/bash

.PHONY: help setup run test check bench bench-edge prove docs lock clean

help:
	@echo "make run     the demo: platform, edge gateway and a street of homes, live"
	@echo "make test    every test, each campaign small; as root it installs the programs that some tests drive"
	@echo "make check   lint, types, import contracts, fast tests: under a minute"
	@echo "make bench   side by side with mosquitto, in one run"
	@echo "make bench-edge   our edge gateway beside that of ThingsBoard, under the same black holes: eight minutes"
	@echo "make prove   the campaigns at full figures, with a report: up to an hour"
	@echo "make docs    write the generated parts of the documentation"
	@echo "make lock    resolve requirements.lock anew (needs uv)"
	@echo "make clean   remove .venv, caches and reports; never data"

setup: .venv/.package

.venv/bin/python:
	@.ci/python "$(PYTHON)"
	"$(PYTHON)" -m venv .venv

# The stamps hold what was installed from which lock, so that a second `make` starts at once.
.venv/.locked: requirements.lock | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@touch $@

.venv/.package: pyproject.toml .venv/.locked
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

run: setup
	$(BIN)/ringmain demo

test: setup
	@.ci/services
	@mkdir -p reports
	@# On both cores, a file at a time: tests of one platform build on each other. Then, one after another, what starts many processes and looks at clocks.
	@export PATH="$$PATH:/usr/sbin:/sbin"; status=0; \
	$(BIN)/python -m pytest -m "not campaign and not alone" -n 2 --dist loadfile || status=$$?; \
	$(BIN)/python -m pytest -m "campaign or alone" || status=$$?; exit $$status

check: setup
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q -m "not slow and not campaign" -n 2 --dist worksteal --hypothesis-profile quick

bench: setup
	@mkdir -p reports
	PATH="$$PATH:/usr/sbin:/sbin" $(BIN)/python bench/run.py

bench-edge: setup
	@mkdir -p reports
	PATH="$$PATH:/usr/sbin:/sbin" $(BIN)/python bench/edge.py

prove: setup
	@.ci/services
	@mkdir -p reports
	PATH="$$PATH:/usr/sbin:/sbin" RINGMAIN_PROVE=1 $(BIN)/python -m pytest -m campaign --timeout 3600 --junitxml reports/prove.xml

docs: setup
	$(BIN)/python -m ringmain.apps.docs

lock:
	@command -v "$(UV)" >/dev/null || { echo "uv is missing: pip install uv, then make lock UV=/path/to/uv" >&2; exit 1; }
	"$(UV)" pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --extra dev -p 3.11 pyproject.toml -o requirements.lock

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .schemathesis reports build dist bench/build
	find src tests bench -name __pycache__ -type d -prune -exec rm -rf {} +
