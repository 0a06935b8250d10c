# What is done often. Each target finds or makes the environment that it needs.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.PHONY: demo test test-all lint docs bench

ENV := env=$$(bash tools/setup_env.sh)

demo: # the demonstration: trains it and draws its picture
	$(ENV); "$$env/bin/python" tools/quickstart.py

test: # what needs neither MMDetection nor minutes
	$(ENV); "$$env/bin/python" -m pytest

test-all: # all tests; compiles the operators of mmcv first
	env=$$(bash tools/setup_env.sh --detection); \
	"$$env/bin/python" -m pytest -m ""

lint:
	$(ENV); "$$env/bin/python" -m ruff check .; \
	"$$env/bin/python" -m ruff format --check .; \
	"$$env/bin/python" -m mypy; \
	"$$env/bin/python" -m codespell_lib

docs: # docs/_build/html/index.html; a warning is an error
	$(ENV); \
	"$$env/bin/python" -m pip install --quiet --requirement requirements/docs.txt; \
	"$$env/bin/python" -m sphinx -W --keep-going -b html docs docs/_build/html

bench: # speed and memory of the resizer on this machine
	$(ENV); "$$env/bin/python" tools/analysis_tools/benchmark_resizer.py
