#!/usr/bin/env bash
# Runs every check, then lists those that failed. Arguments go to pytest:
#   scripts/check.sh tests/ops -m "not slow"
# VENV is the folder of the virtual environment (.venv). If there is none, the `python` on
# PATH is used.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

python="${VENV:-.venv}/bin/python"
[ -x "$python" ] || python=$(command -v python) || {
    echo "No Python in ${VENV:-.venv}: run 'make test' to create it." >&2
    exit 1
}

failed=()
step() {
    printf '\n== %s\n' "$*"
    "$python" -m "$@" || failed+=("$*")
}

step ruff check
step ruff format --check
step codespell_lib
step pyright --pythonpath "$python"
step pytest -n auto "$@" # Last, so that a good run ends with pytest's summary.

if [ ${#failed[@]} -gt 0 ]; then
    printf '\nFailed:\n' >&2
    printf '  %s\n' "${failed[@]}" >&2
    exit 1
fi
