"""The golden vectors that ship: their size, and that the script makes them."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = ROOT / "scripts" / "make_golden.py"


@pytest.fixture(scope="module")
def make_golden():
    spec = importlib.util.spec_from_file_location("make_golden", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def contents(folder):
    return {
        file.relative_to(folder).as_posix(): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file()
    }


def test_they_are_small_and_say_what_they_are(shipped_golden):
    sizes = {file: file.stat().st_size for file in shipped_golden.rglob("*.npz")}
    assert len(sizes) == 16 and sum(sizes.values()) < 400_000
    for file in sizes:
        with np.load(file, allow_pickle=False) as arrays:
            assert "scripts/make_golden.py" in str(arrays["about"])


def test_the_script_makes_them_byte_for_byte(golden, shipped_golden, tmp_path):
    """The same zlib compresses to the same bytes; another one may not."""
    command = [sys.executable, SCRIPT, f"--source={golden}", f"--output={tmp_path}"]
    subprocess.run(command, check=True)
    made, shipped = contents(tmp_path), contents(shipped_golden)
    assert made.keys() == shipped.keys()
    assert [name for name in made if made[name] != shipped[name]] == []


def test_refuses_a_checkpoint_with_another_list(make_golden, tmp_path):
    np.array([1, -2, 3], "<f4").tofile(tmp_path / "x.data-00000-of-00001")
    table = tmp_path / "VARIABLES.txt"
    table.write_text("a\t[2]\tfloat32\tsum=-1\tsumabs=3\nb\t[1]\t\t\tsumabs=3\n")
    found = make_golden.read_checkpoint(tmp_path)
    assert {name: values.tolist() for name, values in found.items()} == {
        "a": [1, -2],
        "b": [3],
    }
    table.write_text("a\t[2]\tfloat32\tsum=-1\tsumabs=4\n")
    message = r"absolute values of a add up to 3\.0, but VARIABLES\.txt says 4\.0"
    with pytest.raises(ValueError, match=message):
        make_golden.read_checkpoint(tmp_path)


def test_refuses_to_blank_what_is_drawn(make_golden):
    def arrays():
        infrared = np.zeros((30, 30, 3), np.uint8)
        return {"ir_1": infrared, "fused_D3_1": infrared.copy()} | {
            "mask_1": np.pad([[255]], ((15, 14), (15, 14)))
        }

    near = arrays()
    near["fused_D3_1"][15, 18] = 9
    make_golden.blank_far_from_sources(near)
    assert near["fused_D3_1"][15, 18].tolist() == [9, 9, 9]
    assert near["ir_1"][3, 3].tolist() == [128, 128, 128]
    far = arrays()
    far["fused_D3_1"][3, 3] = 9
    with pytest.raises(ValueError, match="fused_D3_1 has lines more than 4 px off"):
        make_golden.blank_far_from_sources(far)


def test_rounding_noise_changes_neither_median_nor_mad(make_golden, rng):
    values = rng.normal(0.3, 2, (132, 132)).astype(">f4")
    values[:9, :9] = np.nan
    values[60, 60] = 90
    fits = bytes(2880) + values.tobytes() + bytes(2304)
    rounded = make_golden.round_noise(fits)
    assert (rounded[:2880], rounded[-2304:]) == (bytes(2880), bytes(2304))
    found = np.frombuffer(rounded, ">f4", values.size, 2880).reshape(values.shape)
    assert median_and_mad(found) == median_and_mad(values)
    np.testing.assert_array_equal(found[58:63, 58:63], values[58:63, 58:63])
    np.testing.assert_array_equal(np.isnan(found), np.isnan(values))
    assert len(np.unique(found)) < len(np.unique(values)) / 4


def median_and_mad(values):
    values = values.astype(np.float32)
    median = np.nanmedian(values)
    return median, np.nanmedian(np.abs(values - median))
