# Two commands do everything: make quickstart, make test.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: quickstart test stress install clean

quickstart: install
	$(BIN)/arrayse quickstart

test: install
	$(BIN)/ruff check .
	$(BIN)/mypy
	OMP_NUM_THREADS=1 $(BIN)/pytest -n auto

# the promises under fault, load and attack, in full: one to two hours on two cores, full disks only as root
stress: install
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.stress --out experiments/promises/table.md

install: $(VENV)/installed

# torch at the version that the committed results were made with; pesq compiles its C source
$(VENV)/installed: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("python: expected 3.11 or 3.12, got %d.%d: make PYTHON=python3.12 ..." % sys.version_info[:2] if sys.version_info[:2] not in ((3, 11), (3, 12)) else 0)'
	@echo "installing torch, arrayse and what they need into $(VENV): some minutes, about 2 GB"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check torch==2.13.0
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[demo,track,dev]'
	touch $@

clean:
	rm -rf $(VENV) build dist
