#!/usr/bin/env bash
# Measures claran on a GPU in about ten minutes, and trains the network that ships.
#
#   scripts/gpu.sh FOLDER          # on a machine with a GPU
#   scripts/gpu.sh FOLDER --toy    # on any machine: the same steps, small, as a test
#
# FOLDER gets benchmarks.md (network, sampler and suppression at batches of 1 to 256, in
# float32 and bfloat16, with the share of the chip's peak), survey.md (mosaics of FIRST),
# evaluation.md (as many fields as ClaRAN's test set has, at 600 pixels), and training/
# with the weights after TRAINING seconds. A step that fails or takes too long leaves its
# log and does not stop the others. Without a network, put wheels into .wheels first.
set -uo pipefail

folder=${1:?"usage: scripts/gpu.sh FOLDER [--toy]"}
toy=${2:-}
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
cd "$(dirname "$0")/.."

if [ "$toy" = --toy ]; then
    accelerator=cpu batches=1 rounds=1 sizes=400 fields=4 steps=20
    TRAINING=${TRAINING:-120} TABLES=(--table=sampler --table=nms)
    evaluated=(--image_size=132)
else
    accelerator=gpu batches=1,8,32,128,256 rounds=5 sizes=8192,20000 fields=4603
    steps=100000 TRAINING=${TRAINING:-150} TABLES=()
    evaluated=()
fi

python=${PYTHON:-python3}
[ -z "${PYTHON:-}" ] && [ -x .venv/bin/python ] && python=.venv/bin/python
if compgen -G '.wheels/*.whl' > /dev/null; then
    python3 -m venv --system-site-packages "$folder/venv"
    python="$folder/venv/bin/python"
    "$python" -m pip install -q --no-index --no-deps .wheels/*.whl
    "$python" -m pip install -q --no-index --no-deps --no-build-isolation .
fi

# Runs a command for so many seconds at most; its output goes to a log.
step() {
    local name=$1 seconds=$2 start=$SECONDS
    shift 2
    if timeout --signal=INT --kill-after=20 "$seconds" "$@" \
        > "$folder/$name.log" 2>&1; then
        echo "$name: done after $((SECONDS - start)) s"
    else
        echo "$name: ended with $? after $((SECONDS - start)) s; see $name.log"
    fi
}

"$python" -c 'import jax; print(*jax.devices())' | tee "$folder/device.txt"
date -u +%Y-%m-%d >> "$folder/device.txt"
step benchmarks 150 "$python" scripts/benchmark.py --accelerator=$accelerator \
    --batches=$batches --rounds=$rounds --output="$folder/benchmarks.md" \
    "${TABLES[@]}"
step evaluation 120 "$python" scripts/benchmark_evaluation.py --fields=$fields \
    --network --accelerator=$accelerator "${evaluated[@]}" \
    --output="$folder/evaluation.md"
step survey 150 "$python" scripts/benchmark_survey.py --accelerator=$accelerator \
    --sizes=$sizes --output="$folder/survey.md"
# Ends with its time, as training resumes where it was stopped.
step training "$TRAINING" "$python" -m claran.main --mode=train \
    --model=claran_v1 --data=simulated/surveys --accelerator=$accelerator \
    --steps=$steps --save_every=$((steps < 500 ? steps : 500)) \
    --output="$folder/training"
rm -rf "$folder/venv"
