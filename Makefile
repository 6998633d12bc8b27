# Each target sets up .venv first: with uv where it is installed, else with venv and pip.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed
# JupyterLab refuses to start as root (in a container, say) unless told that this is meant.
AS_ROOT := $(if $(filter 0,$(shell id -u)),--allow-root)

.PHONY: lab app test slow browser grading notebooks results pages gallery bench

lab: $(INSTALLED)
	$(BIN)/jupyter lab notebooks/00_start_here.ipynb --KernelManager.transport_encryption=auto $(AS_ROOT)

# The main experiment under sliders, as a page without code. A kernel ends two minutes after its page is closed.
app: $(BIN)/voila
	JUPYTER_PATH=notebooks/app $(BIN)/voila notebooks/app/leakage_versus_accuracy.ipynb --template=offline \
	    --KernelManager.transport_encryption=auto \
	    --MappingKernelManager.cull_idle_timeout=120 --MappingKernelManager.cull_interval=30

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

# nbgrader takes the lessons; in an environment of its own, as it adds itself to JupyterLab. Some minutes.
grading: build/grading/.installed
	build/grading/bin/pytest tests/classroom/test_nbgrader.py -p no:nbval -o addopts=

notebooks: $(INSTALLED)
	$(BIN)/python notebooks/execute.py --timing docs/timing.md

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

# The same work by privlab and by its peers, to benchmarks/RESULTS.md; with nothing else running, some ten minutes.
bench: $(INSTALLED)
	$(BIN)/python -m benchmarks

# The course as HTML and slides in build/, to read and to show without Jupyter, scripts or a network.
pages: $(INSTALLED)
	$(BIN)/python docs/pages.py

gallery: $(INSTALLED)
	$(BIN)/python docs/gallery.py

# $(call install,FOLDER,EXTRAS): make an environment in FOLDER, or add to it.
define install
	@if command -v uv >/dev/null; then \
	    echo "Setting up $(1) with uv" && uv venv --quiet --allow-existing $(1) && \
	    uv pip install --quiet --python $(1)/bin/python --editable '.[$(2)]'; \
	else \
	    echo "Setting up $(1) with pip (two minutes or so)" && $(PYTHON) -m venv $(1) && \
	    $(1)/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[$(2)]'; \
	fi
endef

$(INSTALLED): pyproject.toml
	$(call install,.venv,test)
	@touch $@

$(BIN)/voila: | $(INSTALLED)
	$(call install,.venv,app)

GRADING := grading,test
build/grading/.installed: pyproject.toml
	$(call install,build/grading,$(GRADING))
	@touch $@
