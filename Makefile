# make table [CORES=4] [SUITE=paper]    set everything up and write results/table.md
#   BENCHMARKS="..." METHODS="..." SEEDS="..."   a part of the suite, by names: METHODS="scrub delete" SEEDS=42
#   CONFIG=mine.yaml                    settings laid over config.yaml
#   METHOD=path/to/my_method.py         with a row for your own method
#   CHECKPOINT=path/to/weights.pt       with a row for a model that another program unlearned, or a folder with several
#   CHECKPOINTS=path/to/results         take what fits from the results of another copy, version or machine
# make report [...as for table]         the table, and results/report.zip, a folder to read and send: table, numbers, origin
# make figures [...as for table]        draw the figures of the table into results/figures/, after making it if need be
# make calibration [...as for table]    the baselines again, with each open choice of the protocol changed: results/calibration.md
#   CHOICES="epoch_of augment"          of some choices alone
# make preview [...as for table]        write results/preview.md, the table of all cells finished so far
# make status [...]                     print what is done, has failed, runs or waits
# make plan [...]                       measure this machine, and print what the table will cost
#   CALIBRATE=true                      for preview, status and plan: the calibration in place of the table
# make check [AUDIT=1]                  fail if a cell of the last table failed or diverged, and say which
# make audit                            fail if the checks of the last table cannot tell erasure; AUDIT=1 does both
# make new-method NAME=x                write a first scripts/methods/x.py, and say how to try it
# make keep ARGS="paper results"        keep a table and its numbers in results/reference/
# make dataset NAME=x FROM=path         write data/x.npz from a folder of pictures per class, from MNIST's format idx, from a
#   SIZE=32 TEST_SHARE=0.2 FORCE=1      folder of torchvision or a .npz file of MedMNIST; resize, split, replace
# make subset ARGS="..."                write a part of a data set, for trials; ARGS=--help lists what ARGS takes
# make verify                           compare the tables kept in results/reference/ with their numbers
# make test                             run the tests
# make test-quick                       run only the tests that start no Snakemake, while editing
# make test-slurm [ONLY=core]           run the tests on a real SLURM that they bring up (Debian, as root); ONLY=digits: more
# make format                           format the code
# make lint                             check style, hints, the direction of imports, the workflow and security
# make docs                             write the generated pages and tables of docs/ and results/reference/metrics.md
# make bench [ARGS="..."]               measure speed and write results/bench.md; ARGS=--help lists what ARGS takes
# make clean                            remove the results and logs; kept tables and models, data/ and .venv stay

CORES ?= 4
PYTHON ?= python3
BIN = .venv/bin
COMMAND = PYTHONPATH=scripts $(BIN)/python -m commands

# The request for a table, as words KEY=VALUE after snakemake's --config.
setting = $(if $(strip $($(1))),$(2)='$(strip $($(1)))')
SETTINGS = $(strip $(call setting,SUITE,suite) $(call setting,BENCHMARKS,benchmarks) $(call setting,METHODS,methods) \
	$(call setting,SEEDS,seeds) $(call setting,METHOD,method) $(call setting,RULE,rule) $(call setting,CHECKPOINT,checkpoint) \
	$(call setting,CHECKPOINTS,checkpoints) $(call setting,CHOICES,choices))

FILES = $(foreach file,$(CONFIG),$(if $(wildcard $(file)),,$(error CONFIG=$(file): there is no such file)))$(if \
	$(strip $(CONFIG)),--configfile $(CONFIG))

# Snakemake wants a folder for its caches; in a container, the home may not be writable.
ifneq ($(shell test -w "$${XDG_CACHE_HOME:-$$HOME}" && echo writable),writable)
export XDG_CACHE_HOME = $(CURDIR)/.snakemake/home
endif

.PHONY: help table calibration report figures preview status plan check audit new-method dataset keep subset verify test test-quick test-slurm format lint docs bench clean

help:
	@sed -n 's/^# \{0,1\}//p;/^$$/q' Makefile

REQUEST = $(strip $(FILES) $(if $(SETTINGS),--config $(SETTINGS)))

table: .venv/installed
	$(BIN)/snakemake --cores $(CORES) results/table.md $(REQUEST)

calibration: .venv/installed
	$(BIN)/snakemake --cores $(CORES) results/calibration.md $(strip $(FILES) --config calibrate=true $(SETTINGS))

report: .venv/installed
	$(BIN)/snakemake --cores $(CORES) all figures report_pages $(REQUEST)
	$(BIN)/snakemake all figures report_pages --report results/report.zip --report-stylesheet workflow/report/report.css $(REQUEST)

figures: .venv/installed
	$(BIN)/snakemake --cores $(CORES) figures $(REQUEST)

INSPECTED = $(strip $(call setting,CALIBRATE,calibrate) $(SETTINGS) $(FILES))

preview status: .venv/installed
	@$(COMMAND).$@ $(INSPECTED)

plan: .venv/installed
	@$(COMMAND).plan --cores $(CORES) $(INSPECTED)

check: .venv/installed
	@$(COMMAND).check $(if $(filter-out 0,$(AUDIT)),--audit)

audit verify docs: .venv/installed
	@$(COMMAND).$@

new-method: .venv/installed
	@$(COMMAND).new_method "$(NAME)"

dataset: .venv/installed
	@$(COMMAND).dataset "$(NAME)" "$(FROM)" $(if $(SIZE),--size "$(SIZE)") \
		$(if $(TEST_SHARE),--test-share "$(TEST_SHARE)") $(if $(filter-out 0,$(FORCE)),--force) $(FILES)

keep subset bench: .venv/installed
	@$(COMMAND).$@ $(ARGS)

test: .venv/installed
	$(BIN)/python -m pytest

test-quick: .venv/installed
	$(BIN)/python -m pytest -m "not snakemake and not slow" --dist worksteal

test-slurm: .venv/installed
	$(BIN)/python -m pytest -n 0 tests/slurm -m $(or $(ONLY),"not digits")

format: .venv/installed-lint
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt workflow

lint: .venv/installed-lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check workflow
	$(BIN)/snakemake --lint
	$(BIN)/mypy
	PYTHONPATH=scripts $(BIN)/lint-imports
	$(BIN)/bandit --quiet --recursive scripts
	$(BIN)/pip-audit --no-deps --disable-pip --progress-spinner off -r requirements.lock -r requirements-lint.lock

clean:
	@[ ! -e results/.lock ] || flock -s -n -E 75 results/.lock true; \
		if [ $$? -eq 75 ]; then echo "error: a run is going on in results/; end it first" >&2; exit 1; fi
	find results/ -mindepth 1 -maxdepth 1 ! -name README.md ! -name reference ! -name checkpoints -exec rm -rf {} +
	rm -rf .snakemake .pytest_cache .ruff_cache .hypothesis

# The stamp is written last: an interrupted installation starts again.
.venv/installed: requirements.lock
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	touch $@

.venv/installed-lint: .venv/installed requirements-lint.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-lint.lock
	touch $@
