# `make repro` and `make test` are all a newcomer needs; `make help` lists the rest.

PYTHON ?= python3
VENV := .venv
BIN := $(CURDIR)/$(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile
COMPILE := env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -c
RUN_STAMP := $(VENV)/.installed
DEV_STAMP := $(VENV)/.installed-dev
PORT ?= 5000
AUDIT := .cache/audit/bin

export PATH := $(BIN):$(PATH)
export MLFLOW_DISABLE_TELEMETRY ?= true
export DO_NOT_TRACK ?= 1

.DEFAULT_GOAL := help
.PHONY: help setup repro smoke test soak lint types check recipes dashboard serve publish report audit bench lock clean distclean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' Makefile
	@echo
	@echo '  JOBS=n           instances side by side (repro; default by cores and memory)'
	@echo '  RECIPE=name      apply a recipe first (repro); `make recipes` lists them'
	@echo '  TORCH="..."      your own build of PyTorch (setup), as arguments of pip, for example'
	@echo '                   make setup TORCH="torch==2.13.0+cu130 --index-url https://download.pytorch.org/whl/cu130"'

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo 'make: $(PYTHON) is missing or older than 3.11; install Python 3.11 or newer, or name one: make PYTHON=python3.12 ...' >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
	  echo 'make: $(PYTHON) cannot make virtual environments; install its venv module (Debian and Ubuntu: apt install python3-venv).' >&2; exit 1; }

# Nothing is compiled ahead but what is imported, once, since every stage is a process of its own (--no-compile: the rest is large).
# torch's own libraries depend on its build, so pip looks for those, and keeps a build that is there already.
$(RUN_STAMP): $(BIN)/python requirements.lock pyproject.toml
	@echo 'Installing into $(VENV) (about a minute) ...'
	@$(if $(TORCH),$(PIP) $(TORCH))
	@$(PIP) --no-deps -r requirements.lock
	@$(PIP) "$$(grep '^torch==' requirements.lock)"
	@$(PIP) --no-deps --no-build-isolation --editable .
	@$(COMPILE) 'import pytorch_lightning, scipy.stats, sacrebleu, pandas' & \
	  $(COMPILE) 'import mlflow, dvc.repo, datasets, matplotlib.pyplot, jinja2' && wait $$!
	@touch $@

$(DEV_STAMP): $(RUN_STAMP) requirements-dev.lock
	@echo 'Installing the tools of development ...'
	@$(PIP) --no-deps -r requirements-dev.lock
	@touch $@

setup: $(RUN_STAMP) ## make .venv and install what the lock says (repro and test do it themselves)
	@$(if $(TORCH),$(PIP) $(TORCH))

repro: $(RUN_STAMP) ## bring every model, table and figure up to date
	@python -m translab_dvc.recipes $(if $(RECIPE),apply $(RECIPE),check)
	@python -m translab_dvc.repro $(if $(JOBS),--jobs $(JOBS))

recipes: $(RUN_STAMP) ## list the recipes
	@python -m translab_dvc.recipes list

smoke: $(RUN_STAMP) ## every stage at tiny size, in a throw-away copy (KEEP=1 keeps it)
	@python -m translab_dvc.smoke $(if $(JOBS),--jobs $(JOBS)) $(if $(KEEP),--keep)

test: $(DEV_STAMP) ## all tests, with line coverage
	@python -m pytest --cov --cov-report=term

soak: $(DEV_STAMP) ## the tests that take minutes: kills at random moments
	@python -m pytest -m soak

lint: $(DEV_STAMP) ## style
	@ruff check .
	@ruff format --check .

types: $(DEV_STAMP) ## static types
	@mypy

check: lint types test ## lint, types and tests

dashboard: $(RUN_STAMP) ## MLflow's pages on loopback (PORT=n)
	@python -m translab.tracking dashboard --port $(PORT)

serve: $(RUN_STAMP) ## the best model on loopback: POST /invocations (PORT=n)
	@python -m translab.tracking serve --port $(PORT)

publish: $(RUN_STAMP) ## make the MLflow store complete from the run folders
	@python stages/publish.py

report: $(RUN_STAMP) ## write tables, figures and the report from what was trained
	@dvc repro --single-item compare

audit: $(BIN)/python ## secrets in tracked files; known vulnerabilities (asks a service on the network)
	@test -x $(AUDIT)/pip-audit || { $(BIN)/python -m venv .cache/audit && \
	  $(AUDIT)/python -m pip install --quiet --disable-pip-version-check pip-audit==2.10.1 detect-secrets==1.5.0; }
	@git ls-files -z | xargs -0 $(AUDIT)/detect-secrets-hook \
	  --exclude-secrets '^([0-9a-f]{40}|[0-9a-f]{64}|PASSWORD|admin|a secret|a-long-password|made-up-.*)$$'
	@$(AUDIT)/pip-audit --strict --disable-pip --no-deps -r requirements.lock -r requirements-dev.lock

bench: $(DEV_STAMP) ## measure speed
	@python -m benchmarks

lock: $(BIN)/python ## resolve the dependencies anew and write the lock files
	@python src/translab_dvc/requirements.py

clean: ## remove caches of tools and logs; results stay
	rm -rf .cache .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

distclean: clean ## remove the virtual environment too
	rm -rf $(VENV)
