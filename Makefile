# `make demo` and `make test` do all set-up themselves, in .venv.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --constraint
# Compiles what was installed on all cores, where pip would on one. Some packages carry files that are no Python 3.
COMPILE := $(BIN)/python -m compileall -qq -j 0 .venv/lib || true

# Python keeps what it has compiled, whatever the environment says: tests start many processes that
# import the same modules.
export PYTHONDONTWRITEBYTECODE :=

# Whole audits and long searches run in CI alone.
SELECT := $(if $(DARKROOM_CI),,-m "not slow")
# A process for each core, and one thread in each: the problems of the tests are small.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses auto --dist worksteal

.PHONY: demo test quick coverage lint docs reference newcomer lock vulnerabilities release setup install clean

# An environment in .venv with what the start pages need.
setup: .installed-demo

demo: .installed-demo
	$(BIN)/darkroom demo

test: lint
	$(PYTEST) $(SELECT)

# The tests that say most in a minute: no whole audits, no servers, no long searches. Those it ends by naming took
# longer than they should: mark them medium.
quick: .installed-test
	$(PYTEST) -m "not slow and not medium" --durations 10 --durations-min 0.5

# Which lines and branches the tests run; fails below 95% of the lines.
coverage: .installed-test
	$(PYTEST) $(SELECT) --cov --cov-report=term-missing:skip-covered --cov-report=json:coverage.json
	$(BIN)/python -c 'import json, sys; share = json.load(open("coverage.json"))["totals"]["percent_statements_covered"]; sys.exit(f"{share:.1f}% of the lines are run: 95% are wanted" if share < 95 else 0)'

lint: .installed-test
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	MYPY_NUM_WORKERS=auto $(BIN)/mypy
	$(BIN)/lint-imports

# The site, in site/: strictly, and without asking anything of the network.
docs: .installed-test
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

# The pages of the reference that are written from the code.
reference: .installed-test
	$(BIN)/python -m tools.reference

# Does in a fresh clone what the start pages say, block by block. The clone gets an environment of
# its own; with ENVIRONMENT=.venv it uses that one, which takes minutes less.
newcomer: .installed-test
	$(BIN)/python -m tools.newcomer $(if $(ENVIRONMENT),--environment $(ENVIRONMENT))

# Exactly what is tested: wheel.txt with hashes for all extras, tests.txt for tests and the
# documentation too, versions.txt without hashes for the installations above.
LOCKED := UV_PYTHON=$(BIN)/python $(BIN)/python -m uv pip compile pyproject.toml --quiet --universal \
  --python-version 3.11 --no-header --no-annotate --no-emit-index-url \
  --no-emit-find-links --constraint constraints.txt --all-extras
lock: .installed-test
	$(LOCKED) --upgrade --generate-hashes --group dev --group docs --output-file locks/tests.txt
	$(LOCKED) --generate-hashes --constraint locks/tests.txt --output-file locks/wheel.txt
	$(LOCKED) --constraint locks/tests.txt --group dev --group docs --output-file locks/versions.txt

# Asks PyPI's database what is known to be vulnerable of all that the wheel's extras bring. What the
# database does not know fails too: a mirror without it would say that all is well.
vulnerabilities: .venv/bin/python
	$(PIP) constraints.txt 'pip>=25.1'
	$(PIP) constraints.txt --group audit
	$(BIN)/pip-audit --strict --disable-pip --require-hashes --requirement locks/wheel.txt

# Wheel and source distribution of the last commit, the same bytes every time, with what the wheel
# is made of (CycloneDX), in dist/.
release: .installed-test
	$(BIN)/python -m tools.release

install: .installed-bench

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Darkroom needs Python 3.11 or newer: make PYTHON=python3.11")'
	$(PYTHON) -m venv .venv

.installed-demo: .venv/bin/python pyproject.toml locks/versions.txt
	$(PIP) locks/versions.txt --editable '.[lab,tables,text]'
	@$(COMPILE)
	@touch $@

# pip reads dependency groups from version 25.1 on.
.installed-test: .installed-demo
	$(PIP) locks/versions.txt 'pip>=25.1'
	$(PIP) locks/versions.txt --editable '.[all]' --group dev --group docs
	@$(COMPILE)
	@touch $@

.installed-bench: .installed-test
	$(PIP) constraints.txt --group bench
	@$(COMPILE)
	@touch $@

clean:
	rm -rf .venv .installed-demo .installed-test .installed-bench
