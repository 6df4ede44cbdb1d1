# Each thing a developer does is one target. ARGS go to the command: make demo ARGS=--once

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUN_NEEDS := $(VENV)/.run-needs
DEMO_NEEDS := $(VENV)/.demo-needs
TEST_NEEDS := $(VENV)/.test-needs
FUZZ_NEEDS := $(VENV)/.fuzz-needs

.DEFAULT_GOAL := help
.PHONY: help demo run test fuzz histories chaos bench bench-trips bench-memory bench-figures bench-pages screenshots messages lint clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(DEMO_NEEDS)  ## sync three real mailboxes and show them (ARGS=--once ends after the sync)
	@$(BIN)/python -m mailhelper.demo $(ARGS)

run: $(RUN_NEEDS)  ## web pages and worker on this machine, data in var/ (ARGS='--port 9000')
	@$(BIN)/python manage.py migrate --verbosity 0
	@$(BIN)/python manage.py serve $(ARGS)

test: $(TEST_NEEDS)  ## every test, on both engines, nothing skipped (ARGS=tests/mail runs a part)
	@bash tests/servers/install_servers.sh
	@$(BIN)/ruff check .
	@$(BIN)/python manage.py makemigrations --check --dry-run --verbosity 0
	@$(BIN)/python -m pytest -n 2 -q $(ARGS)
	@$(BIN)/python -m tests.on_servers -n 2 -q $(ARGS)

fuzz: $(FUZZ_NEEDS)  ## look for mails that break the parser (ARGS=600 for that many seconds, else 60)
	@$(BIN)/python -m tests.fuzz.parse $(ARGS)

histories: $(TEST_NEEDS)  ## look for orders of events after which ledger and server differ (some 20 minutes)
	@bash tests/servers/install_servers.sh
	@$(BIN)/python -m pytest -n 2 -q --hypothesis-profile=campaign $(ARGS) tests/pipeline/test_ledger_equals_server.py

chaos: $(TEST_NEEDS)  ## kill workers at random and account for every mail (ARGS=500 kills on each engine)
	@bash tests/servers/install_servers.sh
	@$(BIN)/python -m tests.chaos $(ARGS)

bench: $(TEST_NEEDS)  ## a first sync beside mbsync's (ARGS=20000 for that many mails)
	@bash tests/servers/install_servers.sh
	@$(BIN)/python -m bench.first_sync $(ARGS)

bench-trips: $(TEST_NEEDS)  ## round trips and bytes of syncs, by what the server offers (ARGS=1000 mails)
	@bash tests/servers/install_servers.sh
	@$(BIN)/python -m bench.round_trips $(ARGS)

bench-memory: $(TEST_NEEDS)  ## a worker's peak memory (ARGS=0.1 for a tenth of the mails)
	@bash tests/servers/install_servers.sh
	@$(BIN)/python -m bench.memory $(ARGS)

bench-figures: $(TEST_NEEDS)  ## the figures of a million runs, and how long reading them takes (ARGS=100000 runs)
	@$(BIN)/python -m bench.figures $(ARGS)

bench-pages: $(TEST_NEEDS)  ## how long pages take with 100,000 runs and 50,000 mails (ARGS=postgres for there)
	@bash tests/servers/install_servers.sh
	@$(BIN)/python -m bench.pages $(ARGS)

screenshots: $(TEST_NEEDS)  ## a picture of every page in build/screenshots, and the README's two in docs/
	@bash tests/servers/install_servers.sh
	@$(BIN)/python -m pytest -n 2 -q tests/browser/test_gallery_page.py
	@cp build/screenshots/top/overview-1280-light.png build/screenshots/top/overview-390-dark.png docs/

messages: $(TEST_NEEDS)  ## bring the German catalogue up to date with the code; says what has no words yet
	@$(BIN)/python -m tests.catalogue

lint: $(TEST_NEEDS)  ## put the code into its style
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

clean:  ## remove what make made, keys and mail excepted
	rm -rf $(VENV) build var/demo var/fuzz .pytest_cache .ruff_cache .hypothesis

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11 …")'
	@$(PYTHON) -m venv $(VENV)

$(RUN_NEEDS): $(VENV)/bin/python requirements.txt
	@echo "Installing what mailhelper runs on …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

$(DEMO_NEEDS): $(RUN_NEEDS) mailhelper/demo/requirements.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r mailhelper/demo/requirements.txt
	@touch $@

$(TEST_NEEDS): $(DEMO_NEEDS) tests/requirements.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r tests/requirements.txt
	@touch $@

$(FUZZ_NEEDS): $(TEST_NEEDS) tests/fuzz/requirements.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r tests/fuzz/requirements.txt
	@touch $@
