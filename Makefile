# make run    everything in one process on SQLite, with demo data: http://127.0.0.1:8000
# make test   the everyday suite on SQLite, then on PostgreSQL and Redis (started for the occasion)
# make slow   kills processes and waits;  make lint   style, types, migrations;  make bench   figures
# Flags:      PORT=8000 HOST=127.0.0.1 DEMO=1 LIVESTREAM=1 BOTS=1 PYTHON=python3 TESTS="tests/orders -k offer"

IS_NEW_ENOUGH := 'import sys; sys.exit(sys.version_info < (3, 11))'
PYTHON ?= $(firstword $(shell for p in python3 python3.13 python3.12 python3.11; do \
	command -v $$p >/dev/null 2>&1 && $$p -c $(IS_NEW_ENOUGH) >/dev/null 2>&1 && echo $$p; done) python3)
HOST ?= 127.0.0.1
PORT ?= 8000
DEMO ?= 1
BIN := .venv/bin
RUNTIME := .venv/.runtime
DEVELOPMENT := .venv/.development
PACKAGES := oms_project dealers inventory orders bots

.DEFAULT_GOAL := run
.PHONY: run test slow lint bench clean

run: export YIPAN_DEMO := $(DEMO)
run: export YIPAN_LIVESTREAM := $(LIVESTREAM)
run: export YIPAN_BOTS := $(BOTS)
run: export PUBLIC_URL ?= http://$(HOST):$(PORT)
run: $(RUNTIME)
	@$(BIN)/python manage.py prepare
	@exec $(BIN)/python manage.py serve --host $(HOST) --port $(PORT)

test: $(DEVELOPMENT)
	@$(BIN)/python -m tests.suites $(TESTS)

slow: $(DEVELOPMENT)
	@$(BIN)/python -m tests.suites --slow $(TESTS)

lint: $(DEVELOPMENT)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy $(PACKAGES)
	$(BIN)/python manage.py makemigrations --check --dry-run

bench: $(DEVELOPMENT)
	@$(BIN)/python -m tests.bench

clean:
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache

# A stamp is written only after everything is installed, so an interrupted start is taken up again.
define install
	@$(PYTHON) -c $(IS_NEW_ENOUGH) || { echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11" >&2; exit 2; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear .venv
	@echo "installing the packages of $(1) (once)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r $(1)
	@touch $@
endef

$(RUNTIME): requirements.lock
	$(call install,$<)

$(DEVELOPMENT): requirements-dev.lock
	$(call install,$<)
	@touch $(RUNTIME)
