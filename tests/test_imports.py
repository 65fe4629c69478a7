"""Detection loads no data-set library, and images load neither JAX nor Keras."""

import json
import os
import subprocess
import sys

import pytest

# Libraries of data sets, training and worker processes. etils and filelock are missing
# here, as JAX itself loads them if they are installed.
DATA_SETS = {
    "apache_beam", "array_record", "grain", "importlib_resources", "joblib", "loky",
    "radio_beam", "tensorboardX", "tensorflow", "tensorflow_datasets",
}  # fmt: skip
OURS = {"claran.data", "claran.evaluation", "claran.simulation", "claran.training"}


@pytest.fixture
def loaded(tmp_path):
    """Returns the modules that are loaded once some code ran in a fresh interpreter."""

    def run(code: str) -> set[str]:
        code += "\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
        # Keras reads and writes a file of settings in its home.
        environment = os.environ | {
            "KERAS_HOME": str(tmp_path), "JAX_PLATFORMS": "cpu",
        }  # fmt: skip
        done = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True, text=True, check=False, env=environment,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return set(json.loads(done.stdout.splitlines()[-1]))

    return run


def test_detecting_loads_no_data_set_library(loaded):
    modules = loaded(
        "import numpy as np, claran\n"
        "field = np.random.default_rng(0).normal(size=(40, 40))\n"
        "field[18:22, 18:22] += 50\n"
        "claran.Detector.from_preset('claran_v1').detect(field)"
    )
    assert "keras" in modules
    assert modules & DATA_SETS == set()
    assert modules & OURS == set()


def test_fields_and_images_load_neither_jax_nor_keras(loaded):
    names = "claran.fields.field", "claran.sky.images", "claran.sky.beams"
    modules = loaded(f"import {', '.join(names)}")
    assert modules >= set(names)
    assert modules & {"jax", "jaxlib", "keras"} == set()
    assert modules & (DATA_SETS | OURS) == set()


def test_processes_that_read_fields_load_neither_jax_nor_keras(loaded):
    modules = loaded("import claran.evaluation.catalogs")
    assert modules & {"jax", "jaxlib", "keras"} == set()
