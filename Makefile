# Every target makes .venv first, from the pinned and hashed constraints.txt; a second run starts in seconds.
PYTHON ?= python3
BIN := .venv/bin
# What the system lacks is said before it is installed, which takes root, or a sudo that asks for no password.
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo -n)
MAY_INSTALL := command -v apt-get >/dev/null && $(SUDO) true 2>/dev/null
INSTALL := $(SUDO) apt-get update -qq && $(SUDO) apt-get install -y -qq >/dev/null
# So many tests run side by side: twice the cores of a small machine, since some wait for servers and databases.
WORKERS ?= 4
PYTEST := -m pytest -q -n $(WORKERS) --dist worksteal

.PHONY: help demo test coverage check format reference cassettes bench soak proof mutants fuzz constraints clean
.DEFAULT_GOAL := help

help:  ## what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*##/\t/' | expand -t 14

.venv/installed: constraints.txt pyproject.toml examples/payhub-acme/pyproject.toml examples/payhub-epay/pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "payhub needs Python 3.11 or later: make PYTHON=python3.12 ..."; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { \
	  $(MAY_INSTALL) || { echo "payhub's checks need python3-venv, which cannot be installed here by apt-get as root"; exit 1; }; \
	  echo "Installing on this system: python3-venv, which Debian keeps apart"; $(INSTALL) python3-venv; }
	@echo "Setting up .venv: about a minute, once"
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r constraints.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e . -e examples/payhub-acme -e examples/payhub-epay
	@touch $@

demo: .venv/installed  ## play one order from creation to query, on this machine
	@$(BIN)/payhub demo

test: browser check  ## everything: checks, then the whole suite
	$(BIN)/python $(PYTEST) -m "$$($(HAS_BROWSER) || echo not browser)"

coverage: browser check  ## the suite without its proofs, each line and branch counted, which takes twice as long
	$(BIN)/coverage erase
	$(BIN)/coverage run $(PYTEST) -m "not proof$$($(HAS_BROWSER) || echo ' and not browser')"
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

check: .venv/installed  ## lint, format, types, architecture, dependencies
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/basedpyright --level error tests/typing_api.py
	PYTHONPATH=src:examples/payhub-acme/src:examples/payhub-epay/src:$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))'); export PYTHONPATH; \
	for package in payhub_core payhub_dummy payhub_gpu payhub_sandbox payhub_acme payhub_epay; do \
	  $(BIN)/basedpyright --verifytypes $$package --ignoreexternal --level error || exit 1; done
	$(BIN)/lint-imports
	$(BIN)/deptry src

format: .venv/installed  ## make the code look right
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

reference: .venv/installed  ## write the generated tables of docs/reference.md anew
	$(BIN)/python -m tests.docs.reference

cassettes: .venv/installed  ## record every cassette again from the sandbox, then compare
	$(BIN)/python -m tests.record

bench: .venv/installed  ## what payhub costs beside hand-written code, in one run
	$(BIN)/python bench/run.py
	$(BIN)/python bench/peers.py
	$(BIN)/python bench/concurrency.py
	$(BIN)/python bench/ledger.py
	$(BIN)/python bench/report.py
	$(BIN)/python bench/server.py

soak: .venv/installed  ## 50,000 orders with a tenth of the exchanges failing, then an hour behind real servers
	$(BIN)/python tests/soak/soak.py
	$(BIN)/python -m tests.soak.server
	$(BIN)/python -m tests.soak.server --database sqlite --minutes 10

proof: .venv/installed  ## the proofs of crashes, races and any sequence at full length, on SQLite and PostgreSQL
	PAYHUB_PROOF_ROUNDS=200 $(BIN)/python -m pytest tests/checkout/test_crash.py tests/checkout/test_races.py tests/checkout/test_machine.py

mutants: .venv/installed  ## break each line that guards money, one at a time; a test has to notice
	$(BIN)/python tests/mutants/mutants.py --workers $(WORKERS)

fuzz: .venv/installed  ## ten million inputs, made from genuine ones, into everything that reads bytes
	$(BIN)/python tests/fuzz/fuzz.py

constraints: .venv/installed  ## resolve the pinned versions anew
	$(PYTHON) -m venv .venv/uv
	.venv/uv/bin/pip install --quiet uv
	.venv/uv/bin/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-annotate --no-header --extra dev pyproject.toml -o constraints.txt

# The sandbox's pay page is tested in a real browser, with fonts for Chinese.
HAS_BROWSER := command -v chromium >/dev/null
.PHONY: browser
browser:
	@if ! $(HAS_BROWSER) && $(MAY_INSTALL); then \
	  echo "Installing on this system: chromium and fonts-noto-cjk, for the browser tests"; \
	  $(INSTALL) chromium fonts-noto-cjk; fi; \
	$(HAS_BROWSER) || echo "Leaving out the browser tests: chromium cannot be installed here by apt-get as root"

clean:  ## remove what these targets made
	rm -rf .venv .coverage* build dist
