# Everything a person types. Each target installs what it needs into .venv first.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/pip install --quiet -c constraints.txt

.PHONY: quickstart test check bench docs clean

quickstart: $(VENV)/.installed
	@$(BIN)/bessemer run recipes/quickstart.toml

test: $(VENV)/.installed-test
	$(BIN)/python -m pytest -n 2 --dist loadfile

check: $(VENV)/.installed-test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.installed benchmarks/.venv/.installed benchmarks/.venv-litgpt/.installed benchmarks/.venv-dedup/.installed
	$(BIN)/python -m benchmarks.run_all

docs: $(VENV)/.installed-docs
	$(BIN)/sphinx-build -W -q -b html docs docs/_build/html
	@echo "docs:    docs/_build/html/index.html"

clean:
	rm -rf $(VENV) benchmarks/.venv benchmarks/.venv-litgpt benchmarks/.venv-dedup docs/_build

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml constraints.txt | $(BIN)/python
	$(INSTALL) -e .
	@touch $@

$(VENV)/.installed-test: pyproject.toml constraints.txt | $(BIN)/python
	$(INSTALL) -e ".[test]"
	@touch $@ $(VENV)/.installed

$(VENV)/.installed-docs: pyproject.toml constraints.txt | $(BIN)/python
	$(INSTALL) -e ".[docs]"
	@touch $@ $(VENV)/.installed

benchmarks/.venv/.installed: benchmarks/peers.txt constraints.txt
	$(PYTHON) -m venv benchmarks/.venv
	benchmarks/.venv/bin/pip install --quiet --upgrade pip  # 23.2 fails over an extra of lxml that two ask for
	benchmarks/.venv/bin/pip install --quiet -c constraints.txt -r benchmarks/peers.txt
	@touch $@

# litgpt wants other versions of the libraries that transformers needs.
benchmarks/.venv-litgpt/.installed: benchmarks/peers-litgpt.txt
	$(PYTHON) -m venv benchmarks/.venv-litgpt
	benchmarks/.venv-litgpt/bin/pip install --quiet -r benchmarks/peers-litgpt.txt
	@touch $@

# datatrove's hashes and text-dedup want other versions than the peers above.
benchmarks/.venv-dedup/.installed: benchmarks/peers-dedup.txt
	$(PYTHON) -m venv benchmarks/.venv-dedup
	benchmarks/.venv-dedup/bin/pip install --quiet -r benchmarks/peers-dedup.txt
	benchmarks/.venv-dedup/bin/pip install --quiet --no-deps text-dedup==0.4.0
	@touch $@
