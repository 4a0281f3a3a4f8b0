# make test    lint and tests, in an environment of its own (.venv); needs Python 3.11 or later
# make lint    the linters alone
# make bench   speed and memory against diffusers; BENCH="vae --quick" chooses
PYTHON ?= python3
TORCH ?= torch==2.13.0
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
READY := $(VENV)/.ready
TRANSFORMERS4 := $(VENV)/transformers4
TEXT_TESTS := $(wildcard tests/core/test_text_*.py) tests/core/test_conditions.py

.PHONY: test lint bench host clean
.DELETE_ON_ERROR:

test: lint host $(TRANSFORMERS4)/.ready
	$(BIN)/pytest -n logical --cov --cov-report=term
	PYTHONPATH=$(TRANSFORMERS4) $(BIN)/python -c "import transformers as t; assert t.__version__.startswith('4.57.'), t"
	PYTHONPATH=$(TRANSFORMERS4) $(BIN)/pytest -q $(TEXT_TESTS)

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-logo
	$(BIN)/pyright --pythonpath $(BIN)/python

bench: $(READY)
	$(BIN)/python benchmarks/run.py $(BENCH)

host: $(READY)
	$(BIN)/python tests/host.py --env

clean:
	rm -rf $(VENV) .host

# A torch that $(PYTHON) already has is shared with the environment; otherwise the pinned one is installed.
$(READY): requirements.txt tests/requirements.txt tests/constraints.txt
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and 'PYTHON must be 3.11 or later, this is ' + sys.version)"
	$(PYTHON) -m venv $$($(PYTHON) -c "import torch" 2>/dev/null && echo --system-site-packages) $(VENV)
	$(BIN)/python -c "import torch" 2>/dev/null || $(PIP) install "$(TORCH)"
	$(PIP) install -r tests/requirements.txt -c tests/constraints.txt
	touch $@

$(TRANSFORMERS4)/.ready: tests/transformers4.txt $(READY)
	rm -rf $(TRANSFORMERS4)
	$(PIP) install --no-deps --target $(TRANSFORMERS4) -r tests/transformers4.txt
	touch $@
