"""Preparing a data set on disk, and finding it again."""

import re
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest
import tensorflow_datasets as tfds

from claran_rgz import Builder
from claran_rgz.prepare import prepare, summary

ROOT = Path(__file__).resolve().parents[2]
WITHOUT_TENSORFLOW = """
import sys

class Without:
    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] != "tensorflow":
            return self.finder.find_spec(name, path, target)

    def __getattr__(self, name):
        return getattr(self.finder, name)

sys.meta_path[:] = [Without(finder) for finder in sys.meta_path]
"""


def run_python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


def test_prepared_data_is_reused_and_overwritten_on_request(pairs_folder, tmp_path):
    options = {"data_dir": tmp_path, "manual_dir": pairs_folder}
    info = Path(prepare("rgz/pairs", **options).data_path) / "dataset_info.json"
    before = info.stat().st_mtime_ns
    again = prepare("rgz/pairs", **options)
    assert info.stat().st_mtime_ns == before
    assert summary(again).startswith("rgz/pairs/1.2.0: ")
    prepare("rgz/pairs", **options, overwrite=True)
    assert info.stat().st_mtime_ns > before


def test_interrupted_run_leaves_no_data_set(pairs_folder, tmp_path):
    code = (
        "from claran_rgz.prepare import prepare; import sys\n"
        "prepare('rgz/simulated_1k', data_dir=sys.argv[1], workers=1)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    config = tmp_path / "rgz/simulated_1k"
    end = time.monotonic() + 60
    while not list(config.glob("incomplete.*")) and time.monotonic() < end:
        time.sleep(0.05)
    waiting = subprocess.Popen(
        [sys.executable, "-c", code.replace("_1k", "_small"), str(tmp_path)],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    assert waiting.stdout.readline().startswith("Waiting for another run that")
    waiting.kill()
    waiting.communicate()
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert [path.name[:11] for path in config.iterdir()] == ["incomplete."]
    assert not Builder(config="simulated_1k", data_dir=tmp_path).is_prepared()
    prepare("rgz/pairs", data_dir=tmp_path, manual_dir=pairs_folder)
    assert list(config.iterdir()) == []


@pytest.mark.parametrize(
    "data, options, message",
    [
        ("rgz/d2", {}, r"There is no data set 'rgz/d2'; there are rgz/d1, .*rgz/pairs"),
        ("voc/d1", {}, "There is no data set 'voc/d1'"),
        ("rgz/d1", {"classes": ["A"]}, "rgz/d1 has its own.* leave out --class_names"),
        ("rgz/pairs", {"manual_dir": "/none"}, "--manual_dir /none: no such folder"),
        (
            "rgz/pairs",
            {},
            "does not exist or is empty.*Pass the folder as --manual_dir",
        ),
    ],
)
def test_invalid_requests_are_refused(tmp_path, data, options, message):
    with pytest.raises(ValueError, match=re.compile(message, re.S)):
        prepare(data, data_dir=tmp_path, **options)


def test_works_without_tensorflow(originals_folder, pairs_folder, tmp_path):
    code = f"""{WITHOUT_TENSORFLOW}
from claran_rgz.prepare import prepare
builder = prepare("rgz/d4", data_dir=sys.argv[1], manual_dir=sys.argv[2], workers=1)
print(builder.as_data_source("train")[0]["image"].shape)
builder = prepare("rgz/pairs", data_dir=sys.argv[1], manual_dir=sys.argv[3], workers=1)
print(builder.as_data_source("train")[0]["radio"].shape)
import tensorflow_datasets as tfds
source = tfds.builder_from_directory(sys.argv[1] + "/rgz/d4/1.2.0").as_data_source()
print(sorted(source))
print(sorted({{"jax", "keras", "tensorflow"}} & set(sys.modules)))
"""
    done = run_python(code, str(tmp_path), str(originals_folder), str(pairs_folder))
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if line[0] in "(["]
    assert lines == ["(20, 30, 3)", "(30, 40)", "['test', 'train', 'validation']", "[]"]


def test_configuration_of_another_kind_is_refused(tmp_path):
    config = tfds.core.BuilderConfig(name="other", version="1.2.0")
    with pytest.raises(TypeError, match="`config` must be an RgzConfig, got"):
        Builder(config=config, data_dir=tmp_path)


def test_tfds_finds_it_by_name(tmp_path):
    builder = tfds.builder("rgz/simulated_1k", data_dir=tmp_path)
    assert isinstance(builder, Builder)
    assert builder.info.full_name == "rgz/simulated_1k/1.2.0"


def test_metadata_is_found_and_shipped():
    builder = Builder(config="pairs", data_dir="/none")
    assert builder.name == "rgz"
    assert "Radio Galaxy Zoo for ClaRAN" in builder.info.description
    assert "wu2019claran" in builder.info.citation
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"][
        "setuptools"
    ]
    assert settings["package-dir"]["claran_rgz"] == "datasets/rgz"
    files = {path for path in (ROOT / "datasets/rgz").iterdir() if path.is_file()}
    shipped = {
        path
        for pattern in ["*.py", *settings["package-data"]["claran_rgz"]]
        for path in (ROOT / "datasets/rgz").glob(pattern)
    }
    assert files == shipped
    # It would hide Hugging Face's package `datasets` inside the checkout.
    assert not (ROOT / "datasets/__init__.py").exists()
