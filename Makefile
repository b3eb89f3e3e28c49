# make demo and make test need nothing but Python 3.10-3.13, cmake and g++; they make .venv/ themselves.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help setup demo test soak lint documents bench bench-gpu clean

PYTHON ?= python3
# A Python that nobody asked for does not replace the one that .venv was made with.
KEEP_PYTHON = $(if $(filter file,$(origin PYTHON)),--keep-python)
ENVIRONMENT = . scripts/env.sh

help: ## this list
	@echo "Usage: make TARGET, with these targets:"
	@sed -n 's/^\([a-z-]*\):.*## /  \1\t/p' $(firstword $(MAKEFILE_LIST)) | expand -t 14
	@echo
	@echo "Variables: PYTHON=python3.12 (which Python .venv is made with), SCANS=DIR (demo: a folder of KITTI scans),"
	@echo "PYTEST_ARGS=..., BENCH_ARGS=..., SOAK_ARGS=..., TORCH_INDEX=ADDRESS (an additional package index with CPU builds of torch)"

setup: ## make or refresh .venv: packages, ROS wheels, messages
	@python="$$(command -v $(PYTHON))" || { echo "setup: Expected PYTHON to be an installed Python 3.10 to 3.13," \
	  "got '$(PYTHON)'. Install with: sudo apt install python3 python3-venv python3-dev" >&2; exit 1; }; \
	  $(ENVIRONMENT) && "$$python" scripts/setup_venv.py $(KEEP_PYTHON)

demo: setup ## run player, node and recorder; the result is in out/demo (SCANS=DIR for your own scans)
	@$(ENVIRONMENT) && python -m pasco_ros.demo $(if $(SCANS),--scans "$(SCANS)")

test: setup ## run all tests (PYTEST_ARGS="-k name" for some)
	@$(ENVIRONMENT) && python -m pytest $(PYTEST_ARGS)

soak: setup ## the slow tests, then drive 20 minutes with random faults; verdict in out/soak (SOAK_ARGS="--minutes 2 --model network")
	@$(ENVIRONMENT) && python -m pytest -q -m soak && python -m pasco_ros.soak $(SOAK_ARGS)

lint: setup ## check the style, and the types of the rooms that pyproject.toml names
	@$(ENVIRONMENT) && ruff check . && mypy

documents: setup ## write what the documents take from the code: module tables, parameters
	@$(ENVIRONMENT) && python scripts/write_documents.py

bench: setup ## stage times of the networks on this machine (BENCH_ARGS="--help" for the options)
	@$(ENVIRONMENT) && python -m pasco_core bench $(BENCH_ARGS)

bench-gpu: ## equality with the CPU and times on a CUDA machine, with the Python that holds a CUDA torch; needs no setup
	@$(PYTHON) scripts/bench_gpu.py $(BENCH_ARGS)

clean: ## remove .venv and everything that was built or written
	@rm -rf .venv build install log out dist *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
