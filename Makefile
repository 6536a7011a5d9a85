# Two commands do everything on a fresh machine with Python, make and a network for packages:
# `make demo` asks one question and answers it; `make test` proves that all of it works.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
SPEC   ?= experiments/codebook_size.yaml

FAULTS ?= 200
JOBS   ?= 2

.DEFAULT_GOAL := help
.PHONY: help install demo test faults calibration check format clean

help:
	@echo "make demo     run $(SPEC) and write its report"
	@echo "make test     run the tests"
	@echo "make faults   kill it $(FAULTS) times at every kind of write, through Ray too"
	@echo "make calibration  simulate how often verdicts are wrong, into docs/calibration.md"
	@echo "make check    lint, types, layers"
	@echo "make install  only set up $(VENV)"

# The CPU build of torch is asked for by its exact version first, so that nothing larger comes along.
$(BIN)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "expected Python >= 3.11, found " + sys.version.split()[0] + "; give another by make PYTHON=...")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $$(grep '^torch==' constraints.txt)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[test,check]'
	touch $@

install: $(BIN)/.installed

demo: install
	$(BIN)/qdexp run $(SPEC)

# Many tests wait for Ray and for servers; the tests of one file stay in one process. Files in their
# own order: by their numbers of tests, long files of one test would be the last, and wait alone.
test: install
	$(BIN)/python -m pytest --numprocesses $(JOBS) --dist loadfile --no-loadscope-reorder

faults: install
	QDEXP_FAULT_KILLS=$(FAULTS) $(BIN)/python -m pytest tests/faults

calibration: install
	PYTHONPATH=tests/statistical $(BIN)/python benchmarks/calibration.py

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/pyright

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV)
