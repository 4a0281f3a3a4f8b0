# make demo      a song and a running editor; ONCE=1 ends after the song, PORT= chooses the port
# make quick     while you work: style, types, and the tests that need neither a server nor a browser
# make fix       mends and formats what ruff can
# make test      everything, in an environment of its own (.venv); needs Python 3.11 or later
# make coverage  which lines the tests run
# make test-ray  all that batch/ promises, over workers and nodes of Ray; make test runs what fits in two minutes
# make lint      style, types, and the registry's checks
# make generate  writes what is made by programs: snapshot and words of the nodes, workflows, blueprints, pictures
# make screenshots  every template in two frontends, nodes drawn and as HTML, to be looked at in .host/screenshots
# make train     the tiny model of the demo from nothing: hours on two cores; goes on where it stopped; STEPS=
# make bench     speed and memory against diffusers; BENCH="vae --quick" chooses, BENCH=core COMFYUI_DIR= races that ComfyUI's nodes
# make host      the environment and a ComfyUI in .host; `make browser` also fetches a browser and the newest frontend
# make clean     takes .venv and .host away
PYTHON ?= python3
TORCH ?= torch==2.13.0
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet install --no-compile
MADE := $(VENV)/.made
READY := $(VENV)/.ready
NO_PACKAGES := { echo "The packages could not be installed, see above. The first run needs a network." >&2; exit 1; }
TRANSFORMERS4 := $(VENV)/transformers4
OFFICIAL := $(VENV)/official
ADAPTERS := $(VENV)/adapter_oracles
REGISTRY := $(VENV)/registry
RAY := $(VENV)/ray
EXTRAS := $(patsubst %,%/.ready,$(TRANSFORMERS4) $(OFFICIAL) $(ADAPTERS) $(RAY))
TEXT_TESTS := tests/core/networks/test_text_encoder.py tests/core/text/test_tokenizer.py tests/core/text/test_conditions.py

# Bytecode is written as modules are first used, for most of a package never is; and never into a ComfyUI that COMFYUI_DIR
# names, which is read and nothing else.
unexport PYTHONDONTWRITEBYTECODE
ifdef COMFYUI_DIR
export PYTHONPYCACHEPREFIX := $(CURDIR)/.host/bytecode
endif

.PHONY: demo quick fix test core players texts coverage test-ray lint style types fast generate train screenshots bench fetched host browser clean
.DELETE_ON_ERROR:

demo: $(READY)
	@$(BIN)/python tests/support/comfyui/fetch.py --env --frontend
	@ONCE="$(ONCE)" PORT="$(PORT)" $(BIN)/python -m tools.demo.show

quick: host
	@$(MAKE) --no-print-directory --jobs 3 --output-sync=target style types fast

fix: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# What comes from the network comes side by side, for it waits more than it works, and lint beside it. So do songs over Ray
# beside the tests of the core, which take both processors.
# Browsers wait more than they work, so there is one more of them than processors; and they stall where others take the
# processor: a test of the editor that fails is run once more, with one of them.
test:
	@$(MAKE) --no-print-directory --jobs 8 --output-sync=target browser $(EXTRAS) lint
	@$(MAKE) --no-print-directory --jobs 3 core players texts
	$(BIN)/pytest -n 3 --dist loadfile --no-loadscope-reorder tests/browser || $(BIN)/pytest --last-failed tests/browser

# Worksteal gives each worker a run of neighbours, which share what they build, and levels out only what is left over.
core: host $(EXTRAS)
	$(BIN)/pytest -n logical --dist worksteal -m "not ray" --ignore=tests/browser

# What keeps one processor busy at most, and may go on side by side; it is shown when it has ended. Ray would give its workers
# what others leave, which is nothing beside the core.
players: $(RAY)/.ready
	@said=$$(RAY_worker_niceness=0 $(BIN)/pytest -n 0 -p no:cacheprovider -m "ray and not long" tests/batch 2>&1); ended=$$?; echo "$$said"; exit $$ended

texts: $(TRANSFORMERS4)/.ready
	@PYTHONPATH=$(TRANSFORMERS4) $(BIN)/python -c "import transformers as t; assert t.__version__.startswith('4.57.'), t"
	@said=$$(PYTHONPATH=$(TRANSFORMERS4) $(BIN)/pytest -q -p no:cacheprovider $(TEXT_TESTS) 2>&1); ended=$$?; echo "$$said"; exit $$ended

# Which lines the tests of `make test` run, the browser's aside; counting takes a tenth more time.
coverage: host $(EXTRAS)
	$(BIN)/pytest -n logical --dist worksteal -m "not ray" --cov --cov-report=term --ignore=tests/browser

# Songs over several workers and nodes, and what becomes of them when workers die: processes that Ray starts.
test-ray: host $(RAY)/.ready
	$(BIN)/pytest -n 0 -m ray tests/batch

lint: style types $(REGISTRY)/.ready
	$(REGISTRY)/bin/python -m tools.registry

style: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-logo

types: $(READY)
	$(BIN)/pyright --pythonpath $(BIN)/python

fast: $(READY) $(OFFICIAL)/.ready $(ADAPTERS)/.ready $(RAY)/.ready
	$(BIN)/pytest -q -n logical --dist worksteal -m "not slow" --ignore=tests/nodes --ignore=tests/browser

generate: browser
	$(BIN)/python -m tools.words.snapshot --update
	$(BIN)/python -m tools.words.tables --update
	$(BIN)/python -m tools.workflows.build
	$(BIN)/python -m tools.workflows.blueprints
	$(BIN)/python -m tools.workflows.pictures
	$(BIN)/python -m tools.templates.forms

# What was learnt is kept in .host/training; delete it to begin anew.
train: $(READY)
	PYTHONPATH=. $(BIN)/python -m training .host/training training/tiny --steps $(or $(STEPS),13000)

screenshots: browser
	SCREENSHOTS=1 $(BIN)/pytest -q -n 2 --dist loadfile tests/browser/test_templates.py tests/browser/test_app_mode.py

bench: $(READY) $(RAY)/.ready $(if $(COMFYUI_DIR),host)
	$(BIN)/python benchmarks/run.py $(BENCH)

# ComfyUI's sources, the newest frontend and a browser, while packages are installed.
fetched: | $(MADE)
	@$(BIN)/python tests/support/comfyui/fetch.py --browser

host: $(READY)
	@$(BIN)/python tests/support/comfyui/fetch.py --env

browser: $(READY) fetched
	@$(BIN)/python tests/support/comfyui/fetch.py --env

clean:
	rm -rf $(VENV) .host

# A torch that $(PYTHON) already has is shared with the environment; otherwise the pinned one is installed.
$(MADE):
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and 'PYTHON must be 3.11 or later, this is ' + sys.version)"
	$(PYTHON) -m venv $$($(PYTHON) -c "import torch" 2>/dev/null && echo --system-site-packages) $(VENV)
	touch $@

$(READY): requirements.txt tests/requirements.txt tests/constraints.txt | $(MADE)
	$(BIN)/python -c "import torch" 2>/dev/null || $(PIP) "$(TORCH)" || $(NO_PACKAGES)
	$(PIP) -r tests/requirements.txt -c tests/constraints.txt || $(NO_PACKAGES)
	touch $@

$(OFFICIAL)/.ready: tests/planner_oracle.txt | $(MADE)
	rm -rf $(OFFICIAL)
	$(PIP) --no-deps --target $(OFFICIAL) -r tests/planner_oracle.txt || $(NO_PACKAGES)
	touch $@

$(ADAPTERS)/.ready: tests/adapter_oracles.txt | $(MADE)
	rm -rf $(ADAPTERS)
	$(PIP) --no-deps --target $(ADAPTERS) -r tests/adapter_oracles.txt || $(NO_PACKAGES)
	touch $@

$(RAY)/.ready: tests/ray.txt | $(MADE)
	rm -rf $(RAY)
	$(PIP) --no-deps --target $(RAY) -r tests/ray.txt || $(NO_PACKAGES)
	touch $@

$(TRANSFORMERS4)/.ready: tests/transformers4.txt | $(MADE)
	rm -rf $(TRANSFORMERS4)
	$(PIP) --no-deps --target $(TRANSFORMERS4) -r tests/transformers4.txt || $(NO_PACKAGES)
	touch $@

$(REGISTRY)/.ready: tests/registry.txt | $(MADE)
	rm -rf $(REGISTRY)
	$(PYTHON) -m venv $(REGISTRY)
	$(REGISTRY)/bin/python -m pip --disable-pip-version-check --quiet install --no-compile -r tests/registry.txt || $(NO_PACKAGES)
	touch $@
