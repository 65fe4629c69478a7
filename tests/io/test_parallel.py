"""The map over all cores: order, errors, bounded memory, no orphans."""

import itertools
import math
import os
import subprocess
import sys

import psutil
import pytest

from claran.io.parallel import cores, parallel_map


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_results_come_in_order(workers):
    items = list(range(100))
    assert list(parallel_map(math.sqrt, items, workers=workers)) == [
        math.sqrt(item) for item in items
    ]


def test_few_items_are_drawn_ahead():
    drawn = itertools.count()
    items = (float(next(drawn)) for _ in range(1000))
    results = parallel_map(math.sqrt, items, workers=2)
    assert next(results) == 0
    results.close()
    assert next(drawn) <= 16


def test_error_reaches_the_caller():
    with pytest.raises(ValueError, match=r"domain error|nonnegative"):
        list(parallel_map(math.sqrt, [1.0, -1.0], workers=2))


def test_workers_have_one_thread_and_the_caller_keeps_its_own(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setenv("MKL_NUM_THREADS", "3")
    names = ["OMP_NUM_THREADS", "MKL_NUM_THREADS"]
    assert list(parallel_map(os.getenv, names, workers=2)) == ["1", "3"]
    assert "OMP_NUM_THREADS" not in os.environ


def test_workers_import_neither_the_main_module_nor_jax(tmp_path):
    script = tmp_path / "script.py"  # No `if __name__ == "__main__"`.
    script.write_text(
        "from claran.io.parallel import parallel_map\n"
        "print('script', flush=True)\n"
        "code = \"sorted({'jax', 'keras'} & set(__import__('sys').modules))\"\n"
        "print(list(parallel_map(eval, [code] * 2, workers=2)))\n"
    )
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, check=False
    )
    assert done.stdout == "script\n[[], []]\n", done.stderr


def test_closing_one_map_leaves_another_alone():
    first = parallel_map(math.sqrt, range(100), workers=2)
    second = parallel_map(math.sqrt, range(100), workers=2)
    assert (next(first), next(second)) == (0, 0)
    second.close()
    assert list(first) == [math.sqrt(item) for item in range(1, 100)]


def test_there_is_a_core():
    assert cores() >= 1


def test_workers_end_with_a_killed_parent():
    code = (
        "import time\n"
        "from claran.io.parallel import parallel_map\n"
        "for _ in parallel_map(time.sleep, [0.05] * 4000, workers=2):\n"
        "    print('one', flush=True)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert parent.stdout is not None
    assert parent.stdout.readline() == b"one\n"
    children = psutil.Process(parent.pid).children(recursive=True)
    assert len(children) >= 2
    parent.kill()
    parent.wait()
    parent.stdout.close()
    _, alive = psutil.wait_procs(children, timeout=10)
    assert alive == []
