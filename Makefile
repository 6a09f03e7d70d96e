# Parley's commands. `make` alone lists them.
#
# Only Python 3.11 or 3.12 and make are needed. Poetry lives in .poetry/, the project's packages in .venv/, the embedding
# model in .models/; a stamp file beside each tells make that it is up to date, so a second `make run` starts at once.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help run setup test test-deps test-torch check lint format migrate bench eval load clean
MAKEFLAGS += --no-print-directory
# Without compiled files each start would take several times as long.
unexport PYTHONDONTWRITEBYTECODE

POETRY_PINS = 'poetry>=2.5,<2.6' poetry-plugin-pypi-mirror==0.6.5 poetry-plugin-export==1.10.1
RUN_GROUPS = main,orchestrator,channel-gateway,ingestion-worker,embedded
MAIN_TESTS = not faults and not e2e
COVER = --cov --cov-report= --cov-fail-under=0
CODE = packages services tests $(wildcard bench evaluation)

BIN = .venv/bin
POETRY_STAMP = .poetry/.ready
RUN_STAMP = .venv/.ready-run
ALL_STAMP = .venv/.ready-all
MODEL_STAMP = .models/.ready
TORCH_STAMP = .venv-torch/.ready

# The first interpreter of a version that the lock supports; PYTHON=… on the command line goes before.
PYTHON ?= $(shell for name in python3.11 python3.12 python3 python; do \
	"$$name" -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' >/dev/null 2>&1 \
	&& { echo "$$name"; break; }; done)
NO_PYTHON = Parley needs Python 3.11 or 3.12 with venv (on Debian and Ubuntu: apt install python3-venv). \
	None was found on PATH; if you have one elsewhere, say: make $(or $(MAKECMDGOALS),run) PYTHON=/path/to/python3.11

# An activated environment must not receive the packages. The mirror plugin takes pip's own index, so that Poetry also
# works behind an index that serves no JSON; elsewhere it changes nothing.
POETRY = env -u VIRTUAL_ENV -u CONDA_PREFIX -u CONDA_DEFAULT_ENV POETRY_VIRTUALENVS_IN_PROJECT=true \
	POETRY_PYPI_MIRROR_URL="$$(.poetry/bin/python -c 'from pip._internal.models.index import PyPI; print(PyPI.simple_url)')" \
	.poetry/bin/poetry --no-interaction

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

run: $(RUN_STAMP) $(MODEL_STAMP) ## install what is missing, start everything, print the URLs; Ctrl-C ends it
	@exec $(BIN)/python -m services.local

setup: $(ALL_STAMP) $(MODEL_STAMP) ## install all that developing needs, and the embedding model

test: $(ALL_STAMP) $(MODEL_STAMP) test-deps ## run the whole suite, with coverage
	@$(BIN)/coverage erase
	$(BIN)/pytest -n 2 --dist loadfile -m '$(MAIN_TESTS)' $(COVER)
	$(BIN)/pytest -m 'not ($(MAIN_TESTS))' $(COVER) --cov-append
	@$(BIN)/coverage report

check: lint test ## formatting, lint, types, import rules, then the whole suite; CI runs this

lint: $(ALL_STAMP) ## formatting, ruff, mypy, import rules, lock up to date; changes nothing
	$(BIN)/black --check --quiet $(CODE)
	$(BIN)/ruff check --quiet $(CODE)
	$(BIN)/mypy $(CODE)
	$(BIN)/lint-imports --no-cache
	@$(POETRY) check --lock --quiet

format: $(ALL_STAMP) ## format the code and fix what ruff can fix
	$(BIN)/ruff check --fix --quiet $(CODE)
	$(BIN)/black --quiet $(CODE)

migrate: $(RUN_STAMP) ## bring the schema of PARLEY_POSTGRES__ADMIN_URL to the newest version
	$(BIN)/python -m alembic upgrade head

bench: $(ALL_STAMP) $(MODEL_STAMP) ## measure speed and memory against the reference programs
	$(BIN)/python -m bench

eval: $(ALL_STAMP) $(MODEL_STAMP) ## measure the quality of retrieval and answers on data that others wrote
	$(BIN)/python -m evaluation

load: $(ALL_STAMP) $(MODEL_STAMP) ## put load on a running Parley with Locust
	$(BIN)/locust -f tests/load/locustfile.py --headless

test-deps: # Debian packages that some tests need; skipped where they cannot be installed, but for CI
	@scripts/install-test-tools

test-torch: $(TORCH_STAMP) ## check the sentence-transformers embedder, in an environment of its own (gigabytes)
	PYTHONPATH=. .venv-torch/bin/pytest tests/torch -q

clean: ## remove environments, model and caches; data in .parley/ stays
	rm -rf .venv .venv-torch .poetry .models .mypy_cache .ruff_cache .pytest_cache .import_linter_cache htmlcov .coverage .coverage.*

$(POETRY_STAMP): Makefile
	@test -n "$(PYTHON)" || { echo "$(NO_PYTHON)" >&2; exit 1; }
	@echo "Installing Poetry into .poetry/ …"
	@"$(PYTHON)" -m venv .poetry
	@.poetry/bin/python -m pip install --quiet --disable-pip-version-check $(POETRY_PINS)
	@touch $@

# Poetry would make .venv without pip, which brings the model.
.venv/bin/python:
	@test -n "$(PYTHON)" || { echo "$(NO_PYTHON)" >&2; exit 1; }
	@"$(PYTHON)" -m venv .venv

$(RUN_STAMP): poetry.lock $(POETRY_STAMP) | .venv/bin/python
	@echo "Installing what Parley runs on into .venv/ …"
	@$(POETRY) install --quiet --no-root --only $(RUN_GROUPS)
	@touch $@

$(ALL_STAMP): poetry.lock $(POETRY_STAMP) | .venv/bin/python
	@echo "Installing what running and developing Parley needs into .venv/ …"
	@$(POETRY) install --quiet --no-root
	@touch $(RUN_STAMP) $@

$(MODEL_STAMP): packages/rag/embeddings/weights.py packages/rag/embeddings/onnx_graph.py | $(RUN_STAMP)
	@echo "Bringing the embedding model into .models/ …"
	@$(BIN)/python -m packages.rag.embeddings.weights
	@touch $@

$(TORCH_STAMP): poetry.lock $(POETRY_STAMP)
	@"$(PYTHON)" -m venv .venv-torch
	@$(POETRY) export --quiet --without-hashes --only main,rag,embedded,dev --output .venv-torch/requirements.txt
	@.venv-torch/bin/python -m pip install --quiet --disable-pip-version-check --requirement .venv-torch/requirements.txt \
		torch==2.13.0 'sentence-transformers>=6.2,<7'
	@touch $@
