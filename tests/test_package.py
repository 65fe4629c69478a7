"""What importing claran does, and what its metadata says."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import claran

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def run_python(tmp_path):
    """Runs code in a fresh interpreter, outside the checkout."""

    def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
        kept = {k: v for k, v in os.environ.items() if k != "KERAS_BACKEND"}
        # Keras reads and writes a file of settings in its home.
        kept |= {"KERAS_HOME": str(tmp_path), "JAX_PLATFORMS": "cpu"}
        return subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
            env=kept | environment,
        )

    return run


@pytest.fixture(scope="module")
def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.mark.parametrize("environment", [{}, {"KERAS_BACKEND": "numpy"}], ids=str)
def test_importing_claran_selects_jax(run_python, environment):
    code = "import claran, keras; print(keras.config.backend())"
    done = run_python(code, **environment)
    assert (done.stdout.split(), done.returncode) == (["jax"], 0), done.stderr


def test_keras_loaded_first_with_jax_is_accepted(run_python):
    done = run_python("import keras, claran", KERAS_BACKEND="jax")
    assert done.returncode == 0, done.stderr


def test_keras_loaded_first_with_another_backend_is_refused(run_python):
    done = run_python("import keras, claran", KERAS_BACKEND="numpy")
    assert done.returncode == 1
    assert re.search(
        r"ImportError: .* already loaded with the 'numpy' backend\. Start Python .* "
        r"again and import claran before keras, or set .* KERAS_BACKEND=jax\.",
        done.stderr,
    )


def test_data_loads_neither_jax_nor_keras(run_python):
    code = (
        "import importlib, pkgutil, sys, claran.data\n"
        "for module in pkgutil.walk_packages(claran.data.__path__, 'claran.data.'):\n"
        "    importlib.import_module(module.name)\n"
        "print(sorted({'jax', 'jaxlib', 'keras'} & set(sys.modules)))"
    )
    done = run_python(code)
    assert done.stdout.strip() == "[]", done.stderr


def test_unknown_attribute_is_refused():
    with pytest.raises(AttributeError, match="'claran' has no attribute 'Detectro'"):
        claran.Detectro  # noqa: B018 - reading it is the test.


def test_dir_lists_the_public_names_alone():
    assert dir(claran) == sorted(claran.__all__)
    assert all(hasattr(claran, name) for name in claran.__all__)


def test_version_is_the_same_everywhere(project):
    assert project["version"] == claran.__version__
    citation = (ROOT / "CITATION.cff").read_text()
    assert f"\nversion: {claran.__version__}\n" in citation


def test_build_notes_give_a_reason_for_every_dependency(project):
    notes = (ROOT / "BUILD.md").read_text()
    names = [re.split(r"[^\w.-]", line)[0] for line in project["dependencies"]]
    assert [name for name in names if f"\n- `{name}`: " not in notes] == []


def test_build_notes_name_every_extra(project):
    notes = (ROOT / "BUILD.md").read_text()
    extras = project["optional-dependencies"]
    assert [name for name in extras if name not in notes] == []
