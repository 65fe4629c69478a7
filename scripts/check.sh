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

# Pyright has one thread, so that it runs beside the tests. It is shown if it fails.
types=$(mktemp)
"$python" -m pyright --pythonpath "$python" >"$types" 2>&1 &
pyright=$!
trap 'kill "$pyright" 2>/dev/null; rm -f "$types"' EXIT

step ruff check
step ruff format --check
step codespell_lib
# Last, so that a good run ends with pytest's summary. A file's tests mostly stay with one
# process, which has compiled their programs.
step pytest -n auto --dist worksteal --durations=30 "$@"

if ! wait "$pyright"; then
    printf '\n== pyright\n'
    cat "$types"
    failed+=(pyright)
fi
if [ ${#failed[@]} -gt 0 ]; then
    printf '\nFailed:\n' >&2
    printf '  %s\n' "${failed[@]}" >&2
    exit 1
fi
