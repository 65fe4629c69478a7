"""The network, its preprocessor and its finisher in one file."""

import json
import zipfile

import jax
import keras
import numpy as np
import pytest

from claran.detection.detection_model import DetectionModel
from claran.detection.detector import Detector
from claran.detection.finisher import IslandFinisher
from claran.detection.loading import load_model, save_model
from claran.detection.network_calls import CompiledNetwork
from claran.models.weights import WeightsError


@pytest.fixture(params=["channels", "picture"])
def model(request, tiny_channels, narrow):
    """A detector that differs from its preset in all of its settings."""
    keras.utils.set_random_seed(3)
    if request.param == "channels":
        model = tiny_channels(class_names=["1_1", "2_2"], beam_pixels=4.0)
        model.finisher = IslandFinisher(count_trust=0.7, clip=False)
        model.network.decoder.temperature = 1.7
    else:
        model = narrow(class_names=["FR-I", "FR-II", "bent"], method="D3")
        model.network.decoder.iou_threshold = 0.4
        model.network.proposals.iou_threshold = 0.6
    return model


@pytest.fixture
def images(model, rng):
    return rng.normal(size=(2, 64, 64, model.preprocessor.channels)).astype("f4")


def assert_same_detector(found, expected, images):
    """Asserts that two models are equal in all that detects, to the last bit."""
    assert type(found) is type(expected)
    assert found.name == expected.name
    assert found.class_names == expected.class_names
    assert found.preprocessor == expected.preprocessor
    assert found.finisher == expected.finisher
    pairs = zip(found.get_weights(), expected.get_weights(), strict=True)
    for one, other in pairs:
        np.testing.assert_array_equal(one, other)
    outputs, wanted = jax.jit(found)(images), jax.jit(expected)(images)
    assert wanted.valid.any()
    for one, other in zip(outputs, wanted, strict=True):
        np.testing.assert_array_equal(one, other)


def test_saved_and_loaded(model, images, tmp_path):
    path = tmp_path / "model.keras"
    model.save(path)
    assert_same_detector(load_model(path), model, images)
    # Keras's own way works as well, once claran is imported.
    assert_same_detector(keras.saving.load_model(path), model, images)


def test_configuration_makes_it_again(model, images):
    text = json.dumps(model.get_config())  # Keras empties what it is given.
    again = DetectionModel.from_config(json.loads(text))
    again.set_weights(model.get_weights())
    assert_same_detector(again, model, images)
    third = DetectionModel.from_config(json.loads(json.dumps(again.get_config())))
    assert json.dumps(third.get_config()) == json.dumps(again.get_config())


def test_called_it_is_its_network(model, images):
    found, expected = jax.jit(model)(images), jax.jit(model.network)(images)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)
    assert model.count_params() == model.network.count_params()


def test_another_network_keeps_all_else(model, images):
    other = type(model.network).from_config(model.network.get_config())
    changed = model.with_network(other)
    assert changed.network is other and model.network is not other
    other.set_weights(model.network.get_weights())
    assert_same_detector(changed, model, images)


@pytest.mark.parametrize("names", [[], ["a"], [*"abcdefg"]], ids=len)
def test_as_many_names_as_classes(narrow, names):
    model = narrow()
    parts = {name: getattr(model, name) for name in ("preprocessor", "finisher")}
    message = f"`network` has 6 classes, `class_names` has {len(names)}: "
    with pytest.raises(ValueError, match=message):
        DetectionModel(network=model.network, class_names=names, **parts)


def rewrite(path, change):
    """Changes the configuration in a saved model."""
    with zipfile.ZipFile(path) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(contents["config.json"])
    change(config)
    contents["config.json"] = json.dumps(config).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in contents.items():
            archive.writestr(name, content)


class TestNothingIsExecuted:
    """A file may come from anybody: what would run code is refused in one line."""

    @pytest.fixture
    def path(self, narrow, tmp_path):
        path = tmp_path / "model.keras"
        narrow().save(path)
        return path

    @staticmethod
    def assert_refused(path, reason):
        message = rf"model\.keras: not a model of claran, or damaged \(.*{reason}"
        with pytest.raises(WeightsError, match=message) as caught:
            load_model(path)
        assert "\n" not in str(caught.value)

    def test_a_lambda_layer(self, narrow, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        path, mark = tmp_path / "model.keras", tmp_path / "mark"
        model = narrow()
        backbone = model.network.backbone
        run = lambda features: (__import__("pathlib").Path("mark").touch(), features)[1]
        output = keras.layers.Lambda(run)(backbone.output)
        model.network.backbone = keras.Model(backbone.input, output)
        model.save(path)
        assert mark.exists()  # It would run.
        mark.unlink()
        self.assert_refused(path, "[Ll]ambda")
        assert not mark.exists()

    @pytest.mark.parametrize(
        "module, name",
        [("subprocess", "Popen"), ("os", "system"), ("builtins", "eval")],
    )
    def test_a_foreign_class(self, path, module, name):
        mark = path.with_name("mark")
        command = {"args": ["touch", str(mark)], "command": f"touch {mark}"}

        def change(config):
            part = config["config"]["network"]["config"]["sampler"]
            part |= {"module": module, "class_name": name, "config": command}
            part["registered_name"] = None

        rewrite(path, change)
        self.assert_refused(path, name)
        assert not mark.exists()

    @pytest.mark.parametrize("part", ["preprocessor", "finisher"])
    def test_a_part_of_an_unknown_kind(self, path, part):
        rewrite(path, lambda config: config["config"][part].update(kind="os.system"))
        self.assert_refused(path, f"`kind` of a {part} must be .*, got 'os.system'")

    def test_a_network_of_another_claran(self, path):
        def change(config):
            config["config"]["network"]["config"]["new_setting"] = 1

        rewrite(path, change)
        self.assert_refused(path, "")


@pytest.mark.parametrize("policy", ["mixed_float16", "bfloat16"])
def test_no_policy_of_keras_changes_a_model(model, images, policy, tmp_path):
    path = tmp_path / "model.keras"
    model.save(path)
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        loaded = load_model(path)
        assert keras.config.dtype_policy().name == policy
        again = DetectionModel.from_config(json.loads(json.dumps(model.get_config())))
        again.set_weights(model.get_weights())
        for one in (loaded, again):
            assert_same_detector(one, model, images)
    finally:
        keras.config.set_dtype_policy(before)


@pytest.fixture
def loaded(tiny_channels, tmp_path):
    """A model that was loaded from a file."""
    keras.utils.set_random_seed(1)  # With some weights thresholds change nothing.
    save_model(tiny_channels(), tmp_path / "model.keras")
    return load_model(tmp_path / "model.keras")


def test_a_detector_finds_the_same_with_kept_programs(
    loaded, program_folder, sky_fields, monkeypatch
):
    def detect(model):
        """Returns what is found with three thresholds, the last as the first."""
        detector, found = Detector(model), []
        for threshold in (0.3, 0.05, 0.3):
            model.set_thresholds(nms_threshold=threshold, rpn_nms_threshold=None)
            table = detector.detect(sky_fields[0], score_threshold=0.0)
            found.append([table[name].tolist() for name in ("score", "x0", "y1")])
        assert found[0] == found[2]
        return found

    traced = detect(loaded.with_network(loaded.network))  # No file describes it.
    assert traced[0] != traced[1] and not program_folder.exists()
    assert detect(loaded) == traced
    assert len(list((program_folder / "traced").iterdir())) == 2
    monkeypatch.setattr(CompiledNetwork, "_detect", None)  # It is not traced again.
    assert detect(loaded) == traced


def test_a_change_of_a_loaded_model_counts(loaded):
    before = loaded.traits()
    assert before == loaded.traits()
    loaded.network.proposals.max_outputs += 1
    changed = loaded.traits()
    assert changed not in (before, None)
    loaded.set_thresholds(nms_threshold=0.123, rpn_nms_threshold=None)
    assert loaded.traits() not in (before, changed, None)


def test_models_that_no_file_describes_have_no_traits(loaded, tiny_channels):
    class Foreign(keras.layers.Layer):
        """Its code is not claran's, so that it may change unseen."""

    assert tiny_channels().traits() is None
    assert loaded.with_network(loaded.network).traits() is None
    loaded.network.head = Foreign()
    assert loaded.traits() is None
