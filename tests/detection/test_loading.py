"""Models out of files, of today's kind and of the older one."""

import json
import time
import zipfile
from pathlib import Path

import jax
import keras
import numpy as np
import pytest

from claran.detection.finisher import IslandFinisher
from claran.detection.loading import (
    convert_old_model,
    load_model,
    model_file,
    save_model,
)
from claran.detection.presets import preset_weights
from claran.fields.channels import Channels
from claran.fields.framing import Picture
from claran.models.weights import WeightsError


@pytest.fixture
def old_channels(tiny_channels, save_old, tmp_path):
    """A model, and the file of the older claran for it."""
    keras.utils.set_random_seed(4)
    model = tiny_channels(class_names=["1_1", "2_2", "3_3"])
    model.network.decoder.temperature = 1.3
    path = tmp_path / "old.keras"
    save_old(model, path, fusion="channels", beam=3.0, count_trust=0.8)
    return model, path


def assert_same_network(found, expected, images):
    for one, other in zip(found.get_weights(), expected.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    outputs, wanted = jax.jit(found)(images), jax.jit(expected)(images)
    assert wanted.valid.any()
    for one, other in zip(outputs, wanted, strict=True):
        np.testing.assert_array_equal(one, other)


class TestConversion:
    def test_an_old_file_is_refused_with_the_remedy(self, old_channels):
        _, path = old_channels
        message = rf"older claran.* once: --mode=convert --old_model={path}\."
        with pytest.raises(WeightsError, match=message) as caught:
            load_model(path)
        assert "\n" not in str(caught.value)

    def test_channels(self, old_channels, rng):
        model, path = old_channels
        found = convert_old_model(path)
        assert found.name == "claran_first"
        assert found.class_names == ("1_1", "2_2", "3_3")
        assert found.preprocessor == Channels(beam_pixels=3.0)
        assert found.finisher == IslandFinisher(count_trust=0.8, clip=True)
        assert found.network.decoder.temperature == 1.3
        images = rng.normal(size=(2, 64, 64, 5)).astype(np.float32)
        assert_same_network(found.network, model.network, images)

    def test_channels_that_fill_the_input(self, tiny_channels, save_old, tmp_path):
        """Fields were scaled to the network's input where there was no beam."""
        path = tmp_path / "old.keras"
        model = tiny_channels(image_size=96)
        save_old(model, path, fusion="channels", beam=None, count_trust=0.0)
        found = convert_old_model(path)
        assert found.preprocessor == Channels(beam_pixels=None, image_size=96)
        assert found.finisher == IslandFinisher(count_trust=0.0, clip=True)

    def test_pictures(self, narrow, save_old, tmp_path, rng):
        path = tmp_path / "old.keras"
        keras.utils.set_random_seed(4)
        model = narrow()
        save_old(model, path, fusion="D3", beam=None, count_trust=0.0)
        found = convert_old_model(path)
        assert found.preprocessor == Picture(method="D3", image_size=64)
        assert found.finisher == IslandFinisher(count_trust=0.0, clip=False)
        images = rng.uniform(0, 255, (2, 64, 64, 3)).astype(np.float32)
        assert_same_network(found.network, model.network, images)

    def test_a_model_of_today(self, narrow_path):
        with pytest.raises(WeightsError, match="is not a model of an older claran;"):
            convert_old_model(narrow_path)

    @pytest.mark.parametrize("name", ["missing.keras", "text.keras"])
    def test_no_model_at_all(self, tmp_path, name):
        (tmp_path / "text.keras").write_text("text")
        with pytest.raises(WeightsError, match=f"{name}: is not a model of an older"):
            convert_old_model(tmp_path / name)

    @pytest.mark.parametrize(
        "lost, reason",
        [("model.weights.h5", "model.weights.h5"), ("fusion", "fusion")],
        ids=["weights", "setting"],
    )
    def test_damaged(self, old_channels, lost, reason):
        _, path = old_channels
        with zipfile.ZipFile(path) as archive:
            contents = {name: archive.read(name) for name in archive.namelist()}
        contents.pop(lost, None)
        config = json.loads(contents["config.json"])
        config["config"].pop(lost, None)
        contents["config.json"] = json.dumps(config).encode()
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in contents.items():
                archive.writestr(name, content)
        message = rf"older claran, but damaged \(.*{reason}.*\); copy it anew"
        with pytest.raises(WeightsError, match=message):
            convert_old_model(path)


class TestLoading:
    def test_a_missing_file(self, tmp_path):
        message = r"x\.keras: no such file, and no preset .*\(claran_v0\.1, claran_fi"
        with pytest.raises(WeightsError, match=message):
            load_model(tmp_path / "x.keras")

    def test_a_folder(self, tmp_path):
        with pytest.raises(WeightsError, match="no such file, and no preset"):
            load_model(tmp_path)

    @pytest.mark.parametrize("keep", [0, 10, 0.5, -10], ids=str)
    def test_a_truncated_file(self, narrow_path, tmp_path, keep):
        content = narrow_path.read_bytes()
        keep = int(keep * len(content)) if keep == 0.5 else keep
        path = tmp_path / "cut.keras"
        path.write_bytes(content[:keep])
        message = r"cut\.keras: not a model of claran, or damaged \(.+\); make it again"
        with pytest.raises(WeightsError, match=message) as caught:
            load_model(path)
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize("lost", ["config.json", "model.weights.h5"])
    def test_half_an_archive(self, narrow_path, tmp_path, lost):
        path = tmp_path / "half.keras"
        with zipfile.ZipFile(narrow_path) as whole, zipfile.ZipFile(path, "w") as half:
            for name in whole.namelist():
                if name != lost:
                    half.writestr(name, whole.read(name))
        with pytest.raises(WeightsError, match="not a model of claran, or damaged"):
            load_model(path)

    def test_another_model_of_keras(self, tmp_path):
        path = tmp_path / "other.keras"
        keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]).save(path)
        message = r"other\.keras: holds a Sequential, not a claran DetectionModel"
        with pytest.raises(WeightsError, match=message):
            load_model(path)

    def test_names_and_paths(self, narrow_path):
        for name in "claran_v1", "claran_first":
            assert model_file(name) == preset_weights(name)
        assert model_file("claran_v0.1") is preset_weights("claran_v0.1") is None
        assert model_file(str(narrow_path)) == model_file(narrow_path) == narrow_path

    @pytest.mark.parametrize(
        "name, groups", [("claran_v1", True), ("claran_first", False)]
    )
    def test_presets_that_come_with_claran(self, name, groups):
        path = preset_weights(name)
        assert isinstance(path, Path)
        model = load_model(path)
        assert model.class_names == ("1_1", "1_2", "1_3", "2_2", "2_3", "3_3")
        assert model.preprocessor == Channels(beam_pixels=3.0)
        assert model.finisher == IslandFinisher(count_trust=0.95, groups=groups)


def test_saving_replaces_a_file_when_the_new_one_is_whole(narrow, tmp_path):
    path = tmp_path / "new" / "model.keras"
    save_model(narrow(), path)
    content = path.read_bytes()

    class Full:
        """A model that does not fit on the disk."""

        @staticmethod
        def save(partial):
            partial.write_bytes(content[:100])
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        save_model(Full(), path)
    assert path.read_bytes() == content
    assert [file.name for file in path.parent.iterdir()] == ["model.keras"]


@pytest.mark.parametrize("part", ["config.json", "model.weights.h5"])
def test_a_model_that_unpacks_to_far_more_is_refused_at_once(part, tmp_path):
    path = tmp_path / "model.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(part, bytes(100_000_000))
    start = time.perf_counter()
    for load in (load_model, convert_old_model):
        with pytest.raises(WeightsError, match="unpacks to 100 MB, of them"):
            load(path)
    assert time.perf_counter() - start < 1
