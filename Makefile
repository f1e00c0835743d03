# `make demo` and `make test` do all set-up themselves, in .venv.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

# Checks that take minutes run in CI alone.
SELECT := $(if $(DARKROOM_CI),,-m "not slow")

.PHONY: demo test lint install clean

demo: .installed-demo
	$(BIN)/darkroom demo

test: lint
	$(BIN)/pytest $(SELECT)

lint: .installed-test
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

install: .installed-bench

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Darkroom needs Python 3.11 or newer: make PYTHON=python3.11")'
	$(PYTHON) -m venv .venv

.installed-demo: .venv/bin/python pyproject.toml constraints.txt
	$(PIP) --editable '.[vision,tables,text]'
	@touch $@

# pip reads dependency groups from version 25.1 on.
.installed-test: .installed-demo
	$(PIP) 'pip>=25.1'
	$(PIP) --editable '.[vision,tables,text,dp,rl,onnx,http,guard,redis,postgres]' --group dev
	@touch $@

.installed-bench: .installed-test
	$(PIP) --group bench
	@touch $@

clean:
	rm -rf .venv .installed-demo .installed-test .installed-bench
