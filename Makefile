# The doors, each one line. Every target makes the virtual environment .venv on first use; cold, that takes minutes.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

# Snakemake and DVC call `dimofs` and `snakemake`: those of the environment.
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export DVC_NO_ANALYTICS := 1

READY := .venv/.ready
PYTHONS := python3.11 python3.12 python3
FIND_PYTHON := for name in $(PYTHONS); do \
	"$$name" -c 'import sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))' 2>/dev/null \
	&& exec echo "$$name"; done; echo "dimofs needs Python 3.11 or 3.12 with venv; found none of: $(PYTHONS)" >&2; exit 1

.PHONY: help all repro adopt restore smoke street overlay test check format
.SUFFIXES:

help: ## show this list
	@awk -F ':.*## ' '/^[a-z%\/]+:.*## / {printf "make %-20s %s\n", $$1, $$2}' Makefile

# uv where it is there, else pip; the lock pins every version and hash, and setuptools, which the last line builds with.
$(READY): requirements.lock pyproject.toml
	python=$$($(FIND_PYTHON)); test -x .venv/bin/python || "$$python" -m venv .venv
	if command -v uv > /dev/null; then \
		uv pip install --python .venv/bin/python --compile-bytecode --require-hashes -r requirements.lock; \
		uv pip install --python .venv/bin/python --no-deps --no-build-isolation -e .; \
	else \
		.venv/bin/python -m pip install --require-hashes -r requirements.lock; \
		.venv/bin/python -m pip install --no-deps --no-build-isolation -e .; \
	fi
	touch $@

# A file under results/ is up to date when Snakemake says so.
.PHONY: always
results/%: always $(READY) ## make one table or figure, for instance results/table3.csv
	snakemake --cores 8 $@

all: $(READY) ## make every table and figure, and the page that shows them
	snakemake --cores 8 all results/report.html

repro: $(READY) ## the same by DVC: make what has changed and record it in dvc.lock
	dvc repro

adopt: $(READY) ## record in dvc.lock what Snakemake made
	snakemake --cores 8 datasets pairs pretrain pose tracking motion actions features clusters recognition paper
	dvc commit --force --no-relink dvc.yaml

restore: $(READY) ## after git clone or git checkout: fetch what dvc.lock names and have Snakemake trust it
	python -m workflow.restore

smoke: $(READY) ## the whole DAG at toy size, some minutes
	snakemake --cores 8 --directory scenarios/smoke all

street: $(READY) ## real people: scenarios/street on footage that you put there
	snakemake --cores 8 --directory scenarios/street all

overlay: street ## that footage with skeletons, tracks and motion: scenarios/street/results/overlay/overlay.mp4
	cd scenarios/street && dimofs video data/street/vtest.avi --checkpoint results/pretrain/dimofs.safetensors --out results/overlay

test: check ## every check and test
	python -m pytest -n 2 --dist loadfile --no-loadscope-reorder tests/workflow tests/unit # the longest first

check: $(READY) ## style, types and lint
	ruff check .
	ruff format --check .
	mypy
	snakefmt --check --line-length 120 Snakefile workflow/rules
	python -m pytest -q tests/workflow/test_lint.py

format: $(READY) ## put sources into shape and compile what is compiled from them
	ruff check --fix .
	ruff format .
	snakefmt --line-length 120 Snakefile workflow/rules
	python -m workflow.compile_dvc
	python -m workflow.compile_schema
