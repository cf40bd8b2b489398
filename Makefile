# The commands of this repository; bare `make` lists them. Needs Python 3.11 or later with venv, and make.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:

PYTHON ?= python3
BIN    := .venv/bin
# Wheels only, nothing that the lock does not name; byte code is made when a module is first imported.
PIP    := $(BIN)/python -m pip --disable-pip-version-check install --quiet --no-compile
LOCKED := $(PIP) --only-binary :all: --require-hashes
# This checkout itself; its build backend comes from the lock, not from an isolated download.
SELF   := $(PIP) --no-deps --no-build-isolation --editable .

.PHONY: help
help: ## list the commands
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: setup
setup: .venv/.dev ## make .venv with everything the other commands need (they do it themselves)

$(BIN)/python:
	$(PYTHON) -m venv .venv

.venv/.runtime: requirements.lock pyproject.toml | $(BIN)/python
	@echo "setting up .venv (once)"
	@$(LOCKED) --requirement requirements.lock
	@$(SELF)
	@touch $@

# The development lock holds the runtime's as well.
.venv/.dev: requirements-dev.lock pyproject.toml | $(BIN)/python
	@echo "setting up .venv for development (once)"
	@$(LOCKED) --requirement requirements-dev.lock
	@$(SELF)
	@touch .venv/.runtime $@

.PHONY: demo
demo: .venv/.runtime ## tell the story by real requests, then stay up; ONCE=1 ends after it, DATA=dir takes your patients
	@$(BIN)/consent-gateway demo $(if $(ONCE),--once) $(if $(DATA),--data '$(DATA)')

.PHONY: lint
lint: .venv/.dev ## ruff, mypy and the import contracts
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

.PHONY: test
test: lint ## everything that must hold before a commit, in three to four minutes on two cores; pytest's count comes last
	$(BIN)/pytest -n auto $(PYTEST) -m 'not slow and not browser and not hapi' $(TESTS)

.PHONY: cases
cases: .venv/.dev ## realise the decision cases of FILE as exchanges at the door, tell the failures and count (FILE=path)
	@$(BIN)/python -m tests.cases '$(FILE)'

.PHONY: pins
pins: .venv/.dev ## change every rule of the profiles in every small way and see that a case notices (minutes)
	@nice -n 15 $(BIN)/consent-gateway profiles pins

N ?= 2000
.PHONY: laws
laws: .venv/.dev ## the laws as properties, N examples each (N=2000); cases found stay in tests/laws/found
	CONSENT_GATEWAY_EXAMPLES=$(N) $(BIN)/pytest $(PYTEST) tests/laws

BUNDLES ?= 1000
.PHONY: residue
residue: .venv/.dev ## the residue law over made Bundles, by decide and through HTTP; tells what arrived (BUNDLES=1000)
	CONSENT_GATEWAY_BUNDLES=$(BUNDLES) $(BIN)/pytest $(PYTEST) tests/laws/test_residue.py tests/laws/test_residue_http.py

SAMPLE ?= 200
.PHONY: mutants
mutants: .venv/.dev ## change one thing of the decision, so many times, and tell what no test notices (SAMPLE=200)
	@$(BIN)/python -m tests.laws.mutants --sample $(SAMPLE)

.PHONY: defences
defences: .venv/.dev ## switch off what holds each of the hundred leaks shut, and see that its test fails (LEAKS="L046 L079")
	@$(BIN)/python -m tests.attack.defences $(LEAKS)

# HAPI FHIR and clients that nobody here wrote, from the package registries into build/ (docs/e2e.md).
E2E := tests/e2e/hapi
build/hapi/.done: $(E2E)/pom.xml $(wildcard $(E2E)/src/main/java/e2e/*.java)
	@echo "fetching HAPI FHIR (once)"
	@mvn --batch-mode --quiet --file $(E2E)/pom.xml compile
	@touch $@

build/clients/python/.done: $(E2E)/clients/requirements.lock
	@$(PYTHON) -m venv build/clients/python
	@build/clients/python/bin/python -m pip --disable-pip-version-check install --quiet --no-compile \
		--only-binary :all: --require-hashes --requirement $<
	@touch $@

build/clients/node/.done: $(addprefix $(E2E)/clients/,package.json package-lock.json .npmrc)
	@mkdir -p $(@D) && cp $^ $(@D)
	@cd $(@D) && npm ci --omit=optional --ignore-scripts --no-audit --no-fund --silent
	@touch $@

.PHONY: e2e
e2e: .venv/.dev build/hapi/.done build/clients/python/.done build/clients/node/.done ## the gateway before HAPI FHIR and servers of other manners, asked by clients nobody here wrote; needs Java, Maven and Node
	$(BIN)/pytest $(PYTEST) -m hapi $(E2E)
	$(BIN)/pytest $(PYTEST) -n auto -m slow tests/e2e

SEED ?= 1
UPSTREAM ?= embedded
.PHONY: twin
twin: .venv/.dev $(if $(filter hapi,$(UPSTREAM)),build/hapi/.done) ## N random requests in two worlds, with and without what is withheld (SEED=1 UPSTREAM=embedded|hapi DATA=dir WRITES=1 MANNERS=1)
	@$(BIN)/python -m tests.twin --requests $(N) --seed $(SEED) --upstream $(UPSTREAM) $(if $(WRITES),--writes) $(if $(MANNERS),--manners) $(if $(DATA),--data '$(DATA)')

MINUTES ?= 2
.PHONY: fuzz
fuzz: .venv/.dev ## readers, data plane and control plane under inputs of any form (MINUTES=2 SEED=1); finds stay in tests/fuzz/found
	@nice -n 10 $(BIN)/python -m tests.fuzz --minutes $(MINUTES) --seed $(SEED)

.PHONY: faults
faults: .venv/.dev ## reads, pushes and consents while gateway and upstream are killed, stalled, slowed (MINUTES=2 SEED=1)
	@$(BIN)/python -m tests.faults --minutes $(MINUTES) --seed $(SEED)

ROUNDS ?= 5
SECONDS_EACH ?= 2
.PHONY: bench
bench: .venv/.dev ## what the gateway costs beside nginx and a plain proxy, and where its time goes (ROUNDS=5)
	@$(BIN)/python -m tests.bench.door $(or $(DATA),../shared/data/synthea-r4) --rounds $(ROUNDS) --seconds $(SECONDS_EACH)

# One lock for running, one that adds the development tools; both with hashes, neither with the address of an index.
COMPILE := CUSTOM_COMPILE_COMMAND='make lock' $(BIN)/pip-compile --quiet --generate-hashes --strip-extras --allow-unsafe \
	--build-deps-for editable --pip-args='--only-binary=:all:' --no-emit-options --no-header --resolver backtracking
.PHONY: lock
lock: .venv/.dev ## write both lock files anew from pyproject.toml (UPGRADE=1 takes the newest versions)
	$(COMPILE) $(if $(UPGRADE),--upgrade) --output-file requirements.lock pyproject.toml
	$(COMPILE) $(if $(UPGRADE),--upgrade) --extra dev --constraint requirements.lock --output-file requirements-dev.lock pyproject.toml

.PHONY: clean
clean: ## remove what the commands made, .venv too
	rm -rf .venv build dist htmlcov .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
