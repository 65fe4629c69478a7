"""One engine: the same detections whoever asks, and each field measured once."""

import pickle
import threading

import keras
import numpy as np
import pytest
from astropy.table import Table

from claran.detection import engine as engine_module
from claran.detection import network_calls
from claran.detection.classical_engine import ClassicalEngine
from claran.detection.detector import Detector
from claran.detection.engine import Engine
from claran.detection.finisher import LOWEST_SCORE
from claran.detection.prediction import predict_files
from claran.errors import ImageError
from claran.evaluation import running
from claran.fields import field as field_module
from claran.fields.outlines import owners
from claran.training import validation as validation_module
from claran.training.calibration import fit_temperature
from claran.training.validation import Validation

EDGES = ("x0", "y0", "x1", "y1")


@pytest.fixture(params=["channels", "pictures"])
def detector(request, channels_detector, picture_detector):
    return {"channels": channels_detector, "pictures": picture_detector}[request.param]


def alone(detector, fields, threshold=0.0):
    return [
        next(iter(detector.engine.detect([one], score_threshold=threshold))).detections
        for one in fields
    ]


def assert_equal(found, expected):
    """Bit for bit."""
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one.boxes, other.boxes)
        np.testing.assert_array_equal(one.labels, other.labels)
        np.testing.assert_array_equal(one.scores, other.scores)


def test_groups_that_a_network_judges(tiny_groups, sky_fields):
    """Of every field and window, whatever else is looked at, and in another process."""
    keras.utils.set_random_seed(1)
    detector = Detector(tiny_groups())
    together = [
        one.detections
        for one in detector.engine.detect(sky_fields, score_threshold=0.0)
    ]
    assert_equal(together, alone(detector, sky_fields))
    for field, found in zip(sky_fields, together, strict=True):
        alike = found.catalog()
        assert bool(len(alike)) == bool(len(field.islands))
        held = owners(field.islands.boxes, alike.boxes)
        assert len(np.unique(held[held >= 0])) == len(alike)
    (average,) = Engine(detector.model, average=True).detect(
        sky_fields[:1], score_threshold=0.0
    )
    averaged, once = (
        sorted(one.catalog().boxes.tolist())
        for one in (average.detections, together[0])
    )
    np.testing.assert_allclose(averaged, once, atol=1e-3)
    copy = pickle.loads(pickle.dumps(detector))
    assert_equal(alone(copy, sky_fields[:1]), together[:1])
    with pytest.raises(ValueError, match="`nms_threshold`"):
        detector.model.set_thresholds(nms_threshold=0.3, rpn_nms_threshold=None)


class TestInvariance:
    """A field's detections are the same wherever, beside whatever it is looked at."""

    @pytest.mark.parametrize("order", [(0, 1, 2, 3, 4, 5), (5, 4, 2, 0, 3, 1), (2, 2)])
    def test_beside_any_neighbors(self, detector, sky_fields, order):
        fields = [sky_fields[i] for i in order]
        together = [
            one.detections
            for one in detector.engine.detect(fields, score_threshold=0.0)
        ]
        assert_equal(together, alone(detector, fields))
        assert sum(map(len, together)) > 0

    @pytest.mark.parametrize("batch_size", [1, 3, 16])
    def test_in_any_batch(self, detector, sky_fields, batch_size):
        engine = Engine(detector.model, batch_size=batch_size)
        found = [
            one.detections for one in engine.detect(sky_fields, score_threshold=0.0)
        ]
        assert_equal(found, alone(detector, sky_fields))

    def test_in_detect_and_detect_many(self, detector, sky_fields):
        expected = alone(detector, sky_fields)
        options = {"score_threshold": 0.0, "all_hypotheses": True}
        many = list(detector.detect_many(sky_fields, **options))
        for table, field, found in zip(many, sky_fields, expected, strict=True):
            for one in (table, detector.detect(field, **options)):
                np.testing.assert_array_equal(one["score"], found.scores)
                boxes = np.array([one[edge] for edge in EDGES]).T.reshape(-1, 4)
                np.testing.assert_array_equal(boxes, found.boxes)

    def test_in_predict(self, channels_detector, sky_fields, write_field, tmp_path):
        fields = [one.replace(picture=None) for one in sky_fields]
        paths = [write_field(one) for one in fields]
        table = predict_files(
            channels_detector, paths, tmp_path / "x.ecsv", score_threshold=0.0,
            all_hypotheses=True, tell=lambda _: None,
        ).table  # fmt: skip
        for field, found in zip(fields, alone(channels_detector, fields), strict=True):
            rows = table[table["image"] == f"{field.name}.fits"]
            np.testing.assert_array_equal(rows["score"], found.scores)
            boxes = np.array([rows[edge] for edge in EDGES]).T.reshape(-1, 4)
            np.testing.assert_array_equal(boxes, found.boxes)

    def test_in_eval(self, detector, sky_fields, list_source, tmp_path):
        source, tell = list_source(sky_fields), lambda _: None
        running.evaluate_detector(detector.engine, source, tmp_path, tell=tell)
        table = Table.read(tmp_path / "detections.ecsv")
        expected = alone(detector, sky_fields, detector.model.finisher.lowest_score)
        assert len(table) == sum(map(len, expected)) > 0
        for field, found in zip(sky_fields, expected, strict=True):
            rows = table[table["image"] == field.name]
            np.testing.assert_array_equal(rows["score"], found.scores)
            np.testing.assert_array_equal(rows["x0"], found.boxes[:, 0])
            np.testing.assert_array_equal(rows["y1"], found.boxes[:, 3])

    def test_in_validation(self, detector, sky_fields, monkeypatch):
        seen = []
        monkeypatch.setattr(
            validation_module,
            "mean_average_precision",
            lambda fields, found, classes: seen.append(found) or 0.5,
        )
        Validation(detector.model, sky_fields)()
        assert_equal(seen[0], alone(detector, sky_fields, LOWEST_SCORE))


@pytest.fixture
def calls(monkeypatch):
    """Counts how often noise, islands and peaks are measured."""
    counted = {}
    for name in ("noise", "local_noise", "find_islands", "find_all_peaks"):
        measure = getattr(field_module, name)

        def count(*args, name=name, measure=measure, **kwargs):
            counted.setdefault(name, []).append(args[0].shape)
            return measure(*args, **kwargs)

        monkeypatch.setattr(field_module, name, count)
    # Nobody else measures them: these would be found by their own names.
    assert not hasattr(engine_module, "noise")
    return counted


class TestMeasuredOnce:
    """Noise, islands and peaks of a field are computed once, whoever asks."""

    @pytest.fixture
    def fields(self, sky_fields, list_source):
        return [list_source(sky_fields)[i] for i in range(len(sky_fields))]

    @staticmethod
    def assert_once(calls, fields):
        shapes = sorted(one.shape for one in fields)
        with_islands = sorted(one.shape for one in fields if one.name != "empty")
        assert sorted(calls["noise"]) == shapes
        assert sorted(calls["local_noise"]) == shapes
        assert sorted(calls["find_islands"]) == shapes
        assert sorted(calls["find_all_peaks"]) == with_islands

    def test_in_detect(self, channels_detector, fields, calls):
        for field in fields:
            channels_detector.detect(field)
        self.assert_once(calls, fields)

    def test_in_plot(self, channels_detector, fields, calls):
        for field in fields:
            channels_detector.plot(field)
        self.assert_once(calls, fields)

    def test_in_detect_many(self, channels_detector, fields, calls):
        assert len(list(channels_detector.detect_many(fields))) == len(fields)
        self.assert_once(calls, fields)

    def test_in_predict(self, channels_detector, fields, calls, write_field, tmp_path):
        paths = [write_field(one) for one in fields]
        output = tmp_path / "x.csv"
        predict_files(channels_detector, paths, output, tell=lambda _: None)
        self.assert_once(calls, fields)

    def test_in_eval(self, detector, fields, list_source, calls, tmp_path):
        """The report and its pictures included."""
        source = list_source(fields)
        engine, tell = detector.engine, lambda _: None
        running.evaluate_detector(engine, source, tmp_path, tell=tell)
        assert (tmp_path / "worst_misses.png").is_file()
        self.assert_once(calls, fields)

    def test_in_validation(self, channels_detector, fields, list_source, calls):
        validation = Validation(channels_detector.model, list_source(fields))
        assert validation() == pytest.approx(validation(), nan_ok=True)
        self.assert_once(calls, fields)

    def test_in_calibration(self, tiny_channels, fields, list_source, calls):
        few = fields[3:5]  # Each size is compiled anew.
        fit_temperature(tiny_channels(), list_source(few))
        self.assert_once(calls, few)


def test_an_unusable_field_is_passed_over(channels_detector, sky_fields):
    def load(number):
        if number == 1:
            raise ImageError("b.fits: is no image")
        return sky_fields[number]

    engine = channels_detector.engine
    with pytest.raises(ImageError, match=r"b\.fits: is no image"):
        list(engine.detect([0, 1], load, score_threshold=0.5))
    found = list(
        engine.detect([0, 1, 2], load, score_threshold=0.0, skip_unusable=True)
    )
    assert [one.item for one in found] == [0, 1, 2]
    assert found[1].field is None and not len(found[1].detections)
    assert str(found[1].error) == "b.fits: is no image"
    assert found[2].field is sky_fields[2] and found[2].error is None


@pytest.mark.parametrize(
    "surprise", [MemoryError(), OverflowError("too large\nby far"), KeyError("x")]
)
def test_no_surprise_in_one_field_ends_the_others(
    surprise, channels_detector, sky_fields
):
    def load(name):
        if name == "bad.fits":
            raise surprise
        return sky_fields[0]

    for engine in (channels_detector.engine, ClassicalEngine()):
        bad, good = engine.detect(
            ["bad.fits", "good"], load, score_threshold=0.0, skip_unusable=True
        )
        assert str(bad.error).startswith("bad.fits: ") and "\n" not in str(bad.error)
        assert good.error is None
        with pytest.raises(type(surprise)):
            list(engine.detect(["bad.fits"], load, score_threshold=0.0))


def test_a_program_is_compiled_once_a_size(channels_detector, make_sky_field):
    engine = Engine(channels_detector.model)
    fields = [
        make_sky_field(str(n), (60 + n, 60), [(30, 30, 50)], seed=n) for n in range(5)
    ]
    list(engine.detect(fields, score_threshold=0.5))
    (program,) = engine.compiled._programs.values()
    assert program._cache_size() == 1


@pytest.mark.parametrize("part", ["decoder", "proposals"])
def test_a_threshold_holds_for_compiled_programs(tiny_channels, sky_fields, part):
    keras.utils.set_random_seed(1)  # With some weights nothing would change.
    detector = Detector(tiny_channels())
    before = alone(detector, sky_fields[:1])
    name = {"decoder": "nms_threshold", "proposals": "rpn_nms_threshold"}[part]
    given = {"nms_threshold": None, "rpn_nms_threshold": None}
    detector.model.set_thresholds(**given | {name: 0.05})
    changed = alone(detector, sky_fields[:1])
    assert_equal(changed, alone(Detector(detector.model), sky_fields[:1]))
    assert len(changed[0]) != len(before[0])
    default = 0.3 if part == "decoder" else 0.7
    detector.model.set_thresholds(**given | {name: default})
    assert_equal(alone(detector, sky_fields[:1]), before)


def test_few_fields_are_in_memory(channels_detector, make_sky_field):
    """However many there are to come."""
    loaded, lock = [], threading.Lock()

    def load(number):
        with lock:
            loaded.append(number)
        return make_sky_field(str(number), (40, 40), [(20, 20, 50)], seed=number)

    for done, _ in enumerate(
        channels_detector.engine.detect(range(100), load, score_threshold=0.5)
    ):
        ahead = 2 * (2 * engine_module.cores() + 1)
        assert len(loaded) <= done + ahead + 1


def test_large_fields_are_prepared_one_by_one(
    channels_detector, make_sky_field, monkeypatch
):
    """A few fields of 100 megapixels fill the memory."""
    monkeypatch.setattr(engine_module, "PIXELS_AHEAD", 40 * 40 - 1)
    loaded = []

    def load(number):
        loaded.append(number)
        return make_sky_field(str(number), (40, 40), [(20, 20, 50)], seed=number)

    for done, _ in enumerate(
        channels_detector.engine.detect(range(8), load, score_threshold=0.5)
    ):
        assert len(loaded) <= done + 2


def test_an_error_comes_when_it_is_the_turn_of_the_field(channels_detector, sky_fields):
    """What was found before is not lost, though fields are loaded in advance."""

    def load(number):
        if number == 3:
            raise RuntimeError("the disk is on fire")
        return sky_fields[number]

    found = channels_detector.engine.detect(range(5), load, score_threshold=0.5)
    assert [next(found).item for _ in range(3)] == [0, 1, 2]
    with pytest.raises(RuntimeError, match="the disk is on fire"):
        next(found)
    assert list(found) == []


def test_hardware_settings(channels_detector, monkeypatch):
    """A batch size changes results where batches are made, and so not on a CPU."""
    engine = Engine(channels_detector.model, batch_size=3)
    assert list(engine.settings) == ["device", "--average"]
    monkeypatch.setattr(engine.compiled, "on_cpu", False)
    assert engine.settings["--batch_size"] == 3
    assert "claran_first" in repr(engine) and "Channels(" in repr(engine)


def test_stopped_in_between_it_ends_its_threads(channels_detector, sky_fields):
    before = threading.active_count()
    found = channels_detector.engine.detect(sky_fields * 5, score_threshold=0.5)
    next(found)
    found.close()
    assert threading.active_count() <= before + 1


def test_empty_sky_is_not_shown_to_the_network(
    channels_detector, make_sky_field, monkeypatch
):
    engine = Engine(channels_detector.model)
    monkeypatch.setattr(network_calls.CallQueue, "start", None)
    empty = make_sky_field("empty", (60, 60), [])
    (found,) = engine.detect([empty], score_threshold=0.0)
    assert not len(found.detections)


@pytest.mark.parametrize("size", [0, -1])
def test_batch_size(channels_detector, size):
    with pytest.raises(ValueError, match=f"`batch_size` must be positive, got {size}"):
        Engine(channels_detector.model, batch_size=size)


def test_batches_of_an_accelerator_give_the_same(
    channels_detector, sky_fields, monkeypatch
):
    """Many windows a call, the last calls filled up: all but the last bits."""
    fields = [sky_fields[0], sky_fields[4]] * 2  # Of one size, as each is compiled.
    expected = alone(channels_detector, fields)
    engine = Engine(channels_detector.model, batch_size=3)
    monkeypatch.setattr(engine.compiled, "on_cpu", False)
    assert engine.compiled.capacity(64, 64) == 3
    found = [one.detections for one in engine.detect(fields, score_threshold=0.0)]
    assert all(map(len, expected))
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one.boxes, other.boxes, atol=1e-2)
        np.testing.assert_allclose(one.scores, other.scores, atol=1e-4)


def test_windows_of_an_accelerator_fit_into_memory(channels_detector, monkeypatch):
    engine = Engine(channels_detector.model)
    monkeypatch.setattr(engine.compiled, "on_cpu", False)
    assert engine.compiled.capacity(128, 128) == 256
    assert engine.compiled.capacity(512, 512) == 16
    assert engine.compiled.capacity(4096, 4096) == 1


def test_a_wide_field_has_the_sources_of_its_parts(make_sky_field):
    """The trained network: a source is the same alone and in a wide field."""
    detector = Detector.from_preset("claran_v1")
    pair = [(150, 150, 60), (158, 150, 50)]
    wide = make_sky_field("wide", (400, 400), [*pair, (330, 80, 90)], infrared=False)
    part = wide.replace(
        image=wide.image.__class__(values=wide.image.values[100:200, 100:200].copy())
    )
    whole = detector.detect(wide, score_threshold=0.5)
    alone_ = detector.detect(part, beam_arcsec=None, score_threshold=0.5)
    near = whole[(whole["x0"] > 100) & (whole["x0"] < 200)]
    assert list(near["label"]) == list(alone_["label"])
    np.testing.assert_allclose(near["x0"] - 100, alone_["x0"], atol=1)
