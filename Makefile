# Each target sets up .venv first: with uv where it is installed, else with venv and pip.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed
# JupyterLab refuses to start as root (in a container, say) unless told that this is meant.
AS_ROOT := $(if $(filter 0,$(shell id -u)),--allow-root)

.PHONY: lab test slow browser notebooks results

lab: $(INSTALLED)
	$(BIN)/jupyter lab notebooks/00_start_here.ipynb --KernelManager.transport_encryption=auto $(AS_ROOT)

test: $(INSTALLED)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/pytest --ignore tests/browser -m "not alone and not slow" --numprocesses 2 --dist loadfile
	$(BIN)/pytest tests -p no:nbval -o addopts= -m alone

# Statistical checks repeated many times, to count false alarms; some minutes.
slow: $(INSTALLED)
	$(BIN)/pytest tests -p no:nbval -o addopts= -m slow --numprocesses 2

# Every lesson run in JupyterLab under Chromium, every control moved; some minutes.
browser: $(INSTALLED)
	$(BIN)/pytest tests/browser -p no:nbval -o addopts=

notebooks: $(INSTALLED)
	$(BIN)/python notebooks/execute.py

# What takes a notebook too long to compute; some minutes.
results: $(INSTALLED)
	$(BIN)/python -m privlab frontier --json notebooks/results/digits_frontier.json --png notebooks/results/digits_frontier.png
	$(BIN)/python -m privlab frontier --noise 0 1 2 4 8 --shards 1 2 4 8 16 --trust central secure-sum local \
	    --json notebooks/results/digits_shards.json --png notebooks/results/digits_shards.png
	$(BIN)/python -c "from privlab.leakage import memorisation; memorisation().save('notebooks/results/canaries.json')"
	$(BIN)/python -m privlab.leakage.tour notebooks/results/museum.json
	$(BIN)/python -m privlab frontier --dataset mnist5k --noise 0 2 5.6 --delta 1e-5 \
	    --json notebooks/results/mnist5k_frontier.json --png notebooks/results/mnist5k_frontier.png
	$(BIN)/python -m privlab frontier --dataset breast_cancer --noise 0 2 5.6 \
	    --json notebooks/results/breast_cancer_frontier.json --png notebooks/results/breast_cancer_frontier.png

$(INSTALLED): pyproject.toml
	@if command -v uv >/dev/null; then \
	    echo "Setting up .venv with uv" && uv venv --quiet --allow-existing .venv && \
	    uv pip install --quiet --python $(BIN)/python --editable '.[test]'; \
	else \
	    echo "Setting up .venv with pip (two minutes or so)" && $(PYTHON) -m venv .venv && \
	    $(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'; \
	fi
	@touch $@
