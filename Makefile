# `make` alone lists the targets.
PYTHON ?= python3
VENV ?= .venv

# Paths are relative, so that the path of the clone may contain a space.
RUN = "$(VENV)/bin/python"

.PHONY: help demo test check benchmark weights clean
.DEFAULT_GOAL := help

help:
	@echo 'claran finds, groups and classifies radio galaxies. It needs Python 3.11 or'
	@echo 'newer. These targets create $(VENV) if it is missing:'
	@echo
	@echo '  make demo       detect the galaxies in the example field; writes a picture'
	@echo '                  and a catalog to demo/'
	@echo '  make test       check style, spelling and types, and run all tests'
	@echo '  make check      the same as make test'
	@echo '  make benchmark  time the detector and its parts'
	@echo '  make weights    train the weights of claran_v1 from scratch; takes two'
	@echo '                  to four hours on two cores and resumes if called again'
	@echo '  make clean      remove demo/, build output and caches, but not $(VENV)'
	@echo
	@echo 'To choose the Python: make demo PYTHON=python3.12. To choose the folder of'
	@echo 'the environment: make demo VENV=folder. For GPUs, TPUs and an installation'
	@echo 'without make see BUILD.md.'

demo: $(VENV)/.claran-demo
	@$(RUN) -m claran.main --mode=demo --output=demo

test check: $(VENV)/.claran-test
	@VENV="$(VENV)" scripts/check.sh

benchmark: $(VENV)/.claran-demo
	@$(RUN) scripts/benchmark.py

weights: $(VENV)/.claran-demo
	@$(RUN) -m claran.main --mode=train --model=claran_v1 --data=simulated/surveys \
	    --output=weights/first
	@$(RUN) -m claran.main --mode=train --model=weights/first/best.keras \
	    --data=simulated/surveys --seed=1 --steps=3500 --learning_rate=5e-4 \
	    --output=weights/second
	@$(RUN) scripts/average_weights.py --output=claran/weights/claran_v1.keras \
	    weights/first/best.keras weights/second/last.keras
	@cp weights/first/run.json claran/weights/claran_v1.json
	@cp weights/second/run.json claran/weights/claran_v1_second.json

clean:
	rm -rf demo build dist *.egg-info .pytest_cache .hypothesis .ruff_cache
	find claran scripts tests -name __pycache__ -prune -exec rm -rf {} +

# The stamp is written last. A run that is killed leaves `.claran-unfinished`, and the next
# one empties the environment first, as pip takes a half-written package for a whole one.
$(VENV)/.claran-demo: WHAT = .
# The tests import a third of what is installed, so that pip need not compile all of it.
$(VENV)/.claran-test: WHAT = .[dev]
$(VENV)/.claran-test: OPTIONS = --no-compile
$(VENV)/.claran-demo $(VENV)/.claran-test: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo "claran needs Python 3.11 or newer, but '$(PYTHON)' is" \
	        "$$($(PYTHON) --version 2>/dev/null || echo not here)." \
	        "Choose another one: make $(MAKECMDGOALS) PYTHON=python3.12"; \
	    exit 1; } >&2
	@if [ -e "$(VENV)/.claran-unfinished" ]; then \
	    echo 'The last installation was interrupted. Emptying $(VENV) first.'; \
	    find "$(VENV)" -mindepth 1 ! -path "$(VENV)/.claran-unfinished" -delete; \
	fi
	@mkdir -p "$(VENV)" && touch "$(VENV)/.claran-unfinished"
	@echo 'Installing claran into $(VENV). The first time takes a few minutes.'
	@$(RUN) -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv "$(VENV)"
	@$(RUN) -m pip install $(OPTIONS) --editable "$(WHAT)" || \
	    { status=$$?; rm -f "$(VENV)/.claran-unfinished"; exit $$status; }
	@rm -f "$(VENV)/.claran-unfinished"
	@touch "$(VENV)/.claran-demo" "$@" # The tests need all that the demo needs.
