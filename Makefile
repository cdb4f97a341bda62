# make table [CORES=4] [SUITE=paper]   set everything up and write results/table.md
# make table RULE=path/to/my_rule.py   the same with a row for a rule of your own
# make new-method NAME=x               write scripts/methods/x.py to begin with, and say how to try it
# make check                           fail if a cell of the last table failed or diverged, and say which
# make verify                          compare the tables kept in results/reference/ with their numbers
# make test                            run the tests
# make lint                            check code style, workflow and security
# make docs                            write docs/methods.md and the tables of docs/own-method.md and docs/calibration.md
# make bench [ARGS="..."]              measure speed and write results/bench.md; ARGS=--help lists what ARGS takes
# make clean                           remove the results and logs; data/ and .venv stay

CORES ?= 4
SUITE ?=
RULE ?=
NAME ?=
PYTHON ?= python3
BIN = .venv/bin
SETTINGS = $(if $(SUITE),suite=$(SUITE)) $(if $(RULE),rule=$(RULE))

.PHONY: table new-method check verify test lint docs bench clean

table: .venv/installed
	$(BIN)/snakemake --cores $(CORES) results/table.md $(if $(strip $(SETTINGS)),--config $(SETTINGS))

new-method: .venv/installed
	@$(BIN)/python scripts/commands/new_method.py "$(NAME)"

check: .venv/installed
	$(BIN)/python scripts/commands/check.py

verify: .venv/installed
	$(BIN)/python scripts/commands/verify.py

test: .venv/installed
	$(BIN)/python -m pytest

lint: .venv/installed-lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check workflow
	$(BIN)/snakemake --lint
	$(BIN)/bandit --quiet --recursive scripts
	$(BIN)/pip-audit --no-deps --disable-pip --progress-spinner off -r requirements.lock -r requirements-lint.lock

docs: .venv/installed
	$(BIN)/python scripts/commands/document_methods.py
	$(BIN)/python scripts/commands/document_rule.py
	$(BIN)/python scripts/commands/document_calibration.py

bench: .venv/installed
	$(BIN)/python scripts/commands/bench.py $(ARGS)

clean:
	find results -mindepth 1 -maxdepth 1 ! -name README.md ! -name reference -exec rm -rf {} +
	rm -rf .snakemake .pytest_cache .ruff_cache .hypothesis

# The stamp is written last: an installation that was cut short starts again.
.venv/installed: requirements.lock
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	touch $@

.venv/installed-lint: .venv/installed requirements-lint.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-lint.lock
	touch $@
