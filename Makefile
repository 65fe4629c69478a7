# `make` alone lists what there is to do.
PYTHON ?= python3
VENV ?= .venv

# Paths stay relative, so that a checkout below a folder with a space works.
RUN = "$(VENV)/bin/python"

.PHONY: help demo test check benchmark weights clean
.DEFAULT_GOAL := help

help:
	@echo 'claran finds, groups and classifies radio galaxies. On a machine with'
	@echo 'Python >= 3.11 and make, each of these sets up $(VENV) by itself:'
	@echo
	@echo '  make demo       run the detector on the example that comes with claran;'
	@echo '                  the picture and the catalogue are written to demo/'
	@echo '  make test       run lint, format, types and the whole test suite'
	@echo '  make check      the same as make test'
	@echo '  make benchmark  time the detector and its parts'
	@echo '  make weights    train the weights that come with claran, from nothing, in'
	@echo '                  an hour and a half or so; if cut short, call it again'
	@echo '  make clean      remove demo/, build output and caches, but not $(VENV)'
	@echo
	@echo 'Another Python: make demo PYTHON=python3.12. Another place: VENV=folder.'
	@echo 'GPUs, TPUs and installing without make: BUILD.md.'

demo: $(VENV)/.claran-demo
	@$(RUN) -m claran.main --mode=demo --output=demo

test check: $(VENV)/.claran-test
	@VENV="$(VENV)" scripts/check.sh

benchmark: $(VENV)/.claran-demo
	@$(RUN) scripts/benchmark.py

weights: $(VENV)/.claran-demo
	@$(RUN) -m claran.main --mode=train --model=claran_first --data=simulated/first \
	    --output=weights
	@cp weights/best.keras claran/weights/claran_first.keras
	@cp weights/run.json claran/weights/claran_first.json

clean:
	rm -rf demo build dist *.egg-info .pytest_cache .hypothesis .ruff_cache
	find claran scripts tests -name __pycache__ -prune -exec rm -rf {} +

# The stamp is written last. A run that is killed before leaves `.claran-unfinished`, and
# the next one empties the environment first: pip takes a half-written package for whole.
$(VENV)/.claran-demo: WHAT = .
$(VENV)/.claran-test: WHAT = .[test,dev]
$(VENV)/.claran-demo $(VENV)/.claran-test: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo "claran needs Python 3.11 or newer, but '$(PYTHON)' is" \
	        "$$($(PYTHON) --version 2>/dev/null || echo not here)." \
	        "Name another one: make $(MAKECMDGOALS) PYTHON=python3.12"; \
	    exit 1; } >&2
	@if [ -e "$(VENV)/.claran-unfinished" ]; then \
	    echo 'The last installation was cut short: starting $(VENV) afresh.'; \
	    find "$(VENV)" -mindepth 1 ! -path "$(VENV)/.claran-unfinished" -delete; \
	fi
	@mkdir -p "$(VENV)" && touch "$(VENV)/.claran-unfinished"
	@echo 'Installing claran into $(VENV); the first time takes some minutes.'
	@$(RUN) -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv "$(VENV)"
	@$(RUN) -m pip install --editable "$(WHAT)" || \
	    { status=$$?; rm -f "$(VENV)/.claran-unfinished"; exit $$status; }
	@rm -f "$(VENV)/.claran-unfinished"
	@touch "$(VENV)/.claran-demo" "$@" # What the tests need holds what the demo needs.
