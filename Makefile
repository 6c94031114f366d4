# Ferry. `make serve` on a fresh machine needs python3 (3.11 or newer) and make; everything else comes from the lock.
#   make serve PORT=8000 HOST=127.0.0.1
#   make serve TORCH_INDEX=https://download.pytorch.org/whl/cpu    # a PyTorch without CUDA where the index offers both

PYTHON ?= python3
PORT ?= 8000
HOST ?= 127.0.0.1
TORCH_INDEX ?=
DATA ?=
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
EXTRAS := $(VENV)/.installed-extras
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet install \
	$(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX))

.DEFAULT_GOAL := help
.PHONY: help serve test test-all bench lint format admin install extras clean

help: ## say what can be made
	@grep -hE '^[a-z-]+:.*?## ' $(MAKEFILE_LIST) | awk -F ':.*?## ' '{printf "  make %-10s %s\n", $$1, $$2}'

$(STAMP): requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Ferry needs Python 3.11 or newer; say which: make PYTHON=python3.12 ..." >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing what requirements.lock names (once)"
	@$(PIP) -r requirements.lock
	@touch $@

$(EXTRAS): requirements-extras.lock $(STAMP)
	@echo "installing what training and benchmarks need (once)"
	@$(PIP) -r requirements.lock -r requirements-extras.lock
	@touch $@

install: $(STAMP) ## make .venv with everything that serving and testing need

extras: $(EXTRAS) ## add what training from scratch and the benchmarks need

serve: $(STAMP) ## start everything: http://HOST:PORT/
	@exec $(BIN)/python manage.py serve --host $(HOST) --port $(PORT)

admin: $(STAMP) ## create the first administrator (asks, or reads ADMIN_USER and ADMIN_PASSWORD)
	@$(BIN)/python manage.py migrate --no-input --verbosity 0
	@$(BIN)/python manage.py make_admin

test: $(STAMP) ## the tests that take seconds
	@$(BIN)/python -m pytest -q

test-all: $(STAMP) ## all tests, slow ones too
	@$(BIN)/python -m pytest -q -m ''

bench: $(EXTRAS) ## the benchmarks, given the tables of NOTICE: make bench DATA=FOLDER; JSON in var/benchmarks
	@test -n "$(DATA)" || { echo "say where the public tables are: make bench DATA=FOLDER (see NOTICE)" >&2; exit 1; }
	$(BIN)/python -m benchmarks.search --molecules $(DATA)/chebi-20/candidates.tsv.gz --texts $(DATA)/chebi-20/train.tsv.gz --descriptions $(DATA)/chebi-20/validation.tsv.gz
	$(BIN)/python -m benchmarks.import --molecules $(DATA)/molecules/molecules.tsv.gz --model models/retrieval --limit 10000
	$(BIN)/python -m benchmarks.retrieval --data $(DATA)/chebi-20/train.tsv.gz --candidates $(DATA)/chebi-20/candidates.tsv.gz
	$(BIN)/python -m benchmarks.transport
	$(BIN)/python -m benchmarks.routing --data $(DATA)/chebi-classes/classes.parquet

lint: $(STAMP) ## ruff, mypy, and Django's own checks
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/python manage.py check --fail-level WARNING
	@$(BIN)/python manage.py makemigrations --check --dry-run

format: $(STAMP) ## bring the code into its form
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format --quiet .

clean: ## remove caches, nothing that anybody wrote
	@find . -path ./$(VENV) -prune -o -type d \( -name __pycache__ -o -name .pytest_cache -o -name .ruff_cache -o -name .mypy_cache \) -print0 | xargs -0 rm -rf
