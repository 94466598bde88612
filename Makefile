# The main jobs. `make help` lists them; each sets up .venv first where it is missing or older than the lock.
SHELL := /bin/bash
PYTHON ?= python3
VENV ?= .venv
# torch and torchaudio stand here and not in the lock: the CPU and the CUDA build of one version are different files.
TORCH ?= 2.13.0
TORCHAUDIO ?= 2.11.0
# Another index for these two, e.g. https://download.pytorch.org/whl/cpu
TORCH_INDEX ?=
# Or a file with both and their hashes: torch-cpu.lock, which the workflows use
TORCH_LOCK ?=
PROFILE ?= demo

bin := $(VENV)/bin
pip := $(bin)/python -m pip --disable-pip-version-check
torch_index := $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX))
ready := $(VENV)/.ready

.PHONY: help book test check bench serve lock format clean
.DEFAULT_GOAL := help

help:  ## what can be made
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

# uv installs 200 packages several times as fast; it does not read pip's configuration, so pip does it where uv reaches no index.
$(ready): requirements.lock pyproject.toml $(TORCH_LOCK)
	$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed; make PYTHON=... names another")'
	$(PYTHON) -m venv $(VENV)
ifdef TORCH_LOCK
	$(pip) install -q --no-deps --require-hashes -r $(TORCH_LOCK)
else
	$(pip) install -q $(torch_index) torch==$(TORCH)
	$(pip) install -q $(torch_index) --no-deps torchaudio==$(TORCHAUDIO)
endif
	$(pip) install -q $(shell sed -n 's/^\(uv==[^ ]*\).*/\1/p' requirements.lock)
	$(bin)/uv pip install -q --compile-bytecode --python $(bin)/python --no-deps --require-hashes -r requirements.lock \
	  || $(pip) install -q --no-deps --require-hashes -r requirements.lock
	$(pip) install -q --no-deps --no-build-isolation -e .
	@touch $@

book: $(ready)  ## execute the notebooks that changed and build the HTML book (PROFILE=demo)
	@$(bin)/sqa book --run --profile $(PROFILE)

test: $(ready)  ## run all tests
	@$(bin)/python -m pytest -n 2 --dist loadgroup

check: $(ready)  ## format, lint, types, layers, notebook pairs, lock against pyproject.toml and environment.yml
	@$(bin)/ruff format --check .
	@$(bin)/ruff check .
	@$(bin)/mypy
	@$(bin)/lint-imports --no-cache
	@$(bin)/python -m sqa_core.pipeline.pairs --check
	@$(bin)/python -m pytest -p no:xdist tests/test_project.py

bench: $(ready)  ## measure speeds against peers and the machine's limit
	@$(bin)/python -m benchmarks.run

serve: $(ready)  ## show the built book on http://localhost:8000
	@$(bin)/python -m http.server --bind 127.0.0.1 --directory _build/html 8000

format: $(ready)  ## format the code and pair the notebooks
	@$(bin)/ruff format .
	@$(bin)/ruff check --fix .
	@$(bin)/python -m sqa_core.pipeline.pairs

lock: $(ready)  ## resolve requirements.lock anew
	$(bin)/uv pip compile -q --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
	  --unsafe-package torch --unsafe-package torchaudio --extra labels --extra cluster --extra speakers --extra prosody --extra predictors --extra book --extra dev \
	  --custom-compile-command 'make lock' -o requirements.lock pyproject.toml

clean:  ## remove what was built (not .venv)
	rm -rf _build
