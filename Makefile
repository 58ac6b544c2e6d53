SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.set-up
ARGS ?=
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$$p"; break; }; done)
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input
COUNT := awk -v tty="$$(test -t 1 && echo 1 || echo 0)" ' \
	/^Collecting/ { n++; if (tty) printf "\r\033[K  %d packages: %s", n, $$2; else if (n % 25 == 0) print "  " n " packages"; fflush() } \
	/^Installing collected/ { if (tty) printf "\r\033[K"; print "  installing " n " packages"; fflush() }'

.PHONY: help setup java test quality lint format demo test-faults bench bench-env bench-encode export-env constraints clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

setup: $(STAMP) ## Everything needed: .venv, Java and Maven, Kafka's jars, the model

$(STAMP): pyproject.toml deploy/constraints.txt
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed, and was not found" >&2; exit 2; }
	@echo "Python packages into $(VENV) (a minute or so)"
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) install --no-compile -e '.[dev,demo]' -c deploy/constraints.txt | $(COUNT)
	@$(MAKE) --no-print-directory java
	@echo "Kafka's jars, the model, and the loops compiled for this machine"
	@$(BIN)/stream-engine up --prepare || echo "go on without: see the line above" >&2
	@touch $@

java: ## Java and Maven for the embedded broker, by apt-get where that is allowed
	@if command -v java > /dev/null && command -v mvn > /dev/null; then exit 0; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get > /dev/null; then \
		echo "Java and Maven by apt-get"; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
			apt-get install -y -qq --no-install-recommends openjdk-17-jre-headless maven > /dev/null; \
	else \
		echo "The embedded broker needs Java 17 or newer and Maven: install them (Debian: sudo apt-get install" >&2; \
		echo "openjdk-17-jre-headless maven; macOS: brew install openjdk maven), or use a Kafka of your own." >&2; \
	fi

test: setup lint ## Lint and all tests, on a real Apache Kafka
	$(BIN)/pytest -n 2 --dist worksteal $(ARGS)

lint: setup ## ruff, mypy, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

demo: setup ## A real catalogue, its real purchases, live lists; ARGS="--json demo.json"
	$(BIN)/stream-engine demo $(ARGS)

test-faults: setup ## Kill, stop and freeze workers under load; ARGS="--minutes 15"
	$(BIN)/python tests/faults/run.py $(ARGS)

quality: setup ## How well clicks are foretold on large logs, against the bounds; minutes each
	$(BIN)/pytest -m quality tests/quality $(ARGS)

bench: bench-env ## Rates, latencies, peers on this machine; ARGS="--full" for all sizes
	$(BIN)/python tests/benchmarks/run.py $(ARGS)

bench-env: .venv-bench/.set-up ## .venv-bench: the load generator, Quix Streams and Bytewax

.venv-bench/.set-up: tests/benchmarks/peers/requirements.txt | setup
	$(PYTHON) -m venv .venv-bench
	.venv-bench/bin/python -m pip --disable-pip-version-check install -q -r tests/benchmarks/peers/requirements.txt
	.venv-bench/bin/python -m pip --disable-pip-version-check install -q --no-deps -e .
	touch $@

bench-encode: export-env ## Texts per second, beside fastembed and sentence-transformers
	.venv-export/bin/python tests/benchmarks/encode.py $(ARGS)

export-env: .venv-export/.set-up ## .venv-export: torch and optimum, to export models (1.5 to 5 GB)

.venv-export/.set-up: | setup
	$(PYTHON) -m venv .venv-export
	.venv-export/bin/python -m pip --disable-pip-version-check install -e '.[export]'
	test -d .cache/models/exported || \
		.venv-export/bin/python models/export.py all-MiniLM-L6-v2 .cache/models/exported --licence Apache-2.0
	touch $@

constraints: ## Pin what a fresh installation resolves to
	rm -rf .venv-fresh && $(PYTHON) -m venv .venv-fresh
	.venv-fresh/bin/python -m pip --disable-pip-version-check install -q -e '.[dev,demo]'
	{ echo "# The versions this was tested with; made by \`make constraints\`."; \
	  .venv-fresh/bin/python -m pip freeze --exclude-editable; } > deploy/constraints.txt
	rm -rf .venv-fresh

clean: ## Remove everything that can be made again
	rm -rf $(VENV) .venv-bench .venv-export .venv-fresh .cache .data build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache \
		.hypothesis .import_linter_cache demo.json demo.png bench.json
