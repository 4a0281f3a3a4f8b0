# make demo    a song and a running editor; ONCE=1 ends after the song, PORT= chooses the port
# make test    lint and tests, in an environment of its own (.venv); needs Python 3.11 or later
# make lint    the linters alone
# make bench   speed and memory against diffusers; BENCH="vae --quick" chooses
PYTHON ?= python3
TORCH ?= torch==2.13.0
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
READY := $(VENV)/.ready
NO_PACKAGES := { echo "The packages could not be installed, see above. The first run needs a network." >&2; exit 1; }
TRANSFORMERS4 := $(VENV)/transformers4
OFFICIAL := $(VENV)/official
REGISTRY := $(VENV)/registry
TEXT_TESTS := tests/core/networks/test_text_encoder.py tests/core/text/test_tokenizer.py tests/core/text/test_conditions.py

# A ComfyUI that COMFYUI_DIR names is read and nothing else.
export PYTHONDONTWRITEBYTECODE := 1

.PHONY: demo test lint bench host browser clean
.DELETE_ON_ERROR:

demo: host
	@ONCE="$(ONCE)" PORT="$(PORT)" $(BIN)/python -m tools.demo.show

# Browsers stall where others take the processor: a test of the editor that fails is run once more, with one of them.
test: lint host $(TRANSFORMERS4)/.ready $(OFFICIAL)/.ready
	$(BIN)/pytest -n logical --cov --cov-report=term --ignore=tests/browser
	@$(BIN)/python tests/support/comfyui/fetch.py --env --browser
	$(BIN)/pytest -n 2 --dist loadfile tests/browser || $(BIN)/pytest --last-failed tests/browser
	PYTHONPATH=$(TRANSFORMERS4) $(BIN)/python -c "import transformers as t; assert t.__version__.startswith('4.57.'), t"
	PYTHONPATH=$(TRANSFORMERS4) $(BIN)/pytest -q $(TEXT_TESTS)

lint: $(READY) $(REGISTRY)/.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-logo
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(REGISTRY)/bin/python -m tools.registry

bench: $(READY)
	$(BIN)/python benchmarks/run.py $(BENCH)

host: $(READY)
	@$(BIN)/python tests/support/comfyui/fetch.py --env

browser: $(READY)
	@$(BIN)/python tests/support/comfyui/fetch.py --env --browser

clean:
	rm -rf $(VENV) .host

# A torch that $(PYTHON) already has is shared with the environment; otherwise the pinned one is installed.
$(READY): requirements.txt tests/requirements.txt tests/constraints.txt
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and 'PYTHON must be 3.11 or later, this is ' + sys.version)"
	$(PYTHON) -m venv $$($(PYTHON) -c "import torch" 2>/dev/null && echo --system-site-packages) $(VENV)
	$(BIN)/python -c "import torch" 2>/dev/null || $(PIP) install "$(TORCH)" || $(NO_PACKAGES)
	$(PIP) install -r tests/requirements.txt -c tests/constraints.txt || $(NO_PACKAGES)
	touch $@

$(OFFICIAL)/.ready: tests/planner_oracle.txt $(READY)
	rm -rf $(OFFICIAL)
	$(PIP) install --no-deps --target $(OFFICIAL) -r tests/planner_oracle.txt || $(NO_PACKAGES)
	touch $@

$(TRANSFORMERS4)/.ready: tests/transformers4.txt $(READY)
	rm -rf $(TRANSFORMERS4)
	$(PIP) install --no-deps --target $(TRANSFORMERS4) -r tests/transformers4.txt || $(NO_PACKAGES)
	touch $@

$(REGISTRY)/.ready: tests/registry.txt | $(READY)
	rm -rf $(REGISTRY)
	$(PYTHON) -m venv $(REGISTRY)
	$(REGISTRY)/bin/python -m pip --disable-pip-version-check --quiet install -r tests/registry.txt || $(NO_PACKAGES)
	touch $@
