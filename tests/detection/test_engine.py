import numpy as np
import pytest

from claran.detection.detector import Detector
from claran.detection.engine import BatchDetector, Validation, network_inputs
from claran.evaluation.metrics import mean_average_precision
from claran.evaluation.truth import FieldTruth, read_truths
from claran.fields.channels import Channels
from claran.fields.framing import Picture
from claran.sky.images import SkyImage
from claran.sky.noise import noise


@pytest.fixture(scope="module")
def network(narrow):
    return narrow()


@pytest.mark.parametrize("shape", [(60, 64), (64, 48)], ids=["wide", "high"])
def test_finds_what_the_detector_finds_in_each_field(network, make_element, shape):
    source = [make_element(f"f{i}", shape=shape) for i in range(3)]
    truths = read_truths(source)
    inputs = network_inputs(network, truths)
    assert inputs == Picture(method="D4", size=64)
    # Two batches, the second of them filled up.
    found = list(
        BatchDetector(network).detect(
            source, truths, inputs, batch_size=2, score_threshold=0.0
        )
    )
    assert len(found) == 3
    detector = Detector(network)
    for element, one in zip(source, found, strict=True):
        radio = SkyImage(values=element["radio"], name=element["name"])
        table = detector.detect(radio, element["infrared"], score_threshold=0.0)
        assert len(table) == len(one.scores) > 0
        boxes = np.stack([table[name] for name in ("x0", "y0", "x1", "y1")], axis=1)
        np.testing.assert_allclose(one.scores, table["score"], atol=1e-5)
        np.testing.assert_allclose(one.boxes, boxes, atol=1e-2)
    rest = BatchDetector(network).detect(
        source, truths, inputs, batch_size=2, score_threshold=0.0, start=2
    )
    for one, again in zip(found[2:], rest, strict=True):
        np.testing.assert_array_equal(again.scores, one.scores)
        np.testing.assert_array_equal(again.boxes, one.boxes)
    # Between two scores: scores of random weights differ from machine to machine.
    scores = np.unique(np.concatenate([one.scores for one in found]).round(4))
    middle = len(scores) // 2
    threshold = float(scores[middle - 1 : middle + 1].mean())
    above = BatchDetector(network).detect(
        source, truths, inputs, batch_size=3, score_threshold=threshold
    )
    expected = [(one.scores > threshold).sum() for one in found]
    assert [len(one.scores) for one in above] == expected
    assert 0 < sum(expected) < sum(len(one.scores) for one in found)


def test_starts_where_batches_do(network, make_element):
    source = [make_element(f"f{i}") for i in range(3)]
    truths = read_truths(source)
    detector, inputs = BatchDetector(network), network_inputs(network, truths)
    assert list(detector.detect(source, truths, inputs, batch_size=2, start=3)) == []
    message = "`start` must be a multiple of `batch_size`, 2, got 1"
    with pytest.raises(ValueError, match=message):
        next(detector.detect(source, truths, inputs, batch_size=2, start=1))


def test_channels_are_counted_and_cut_as_the_detector_does(
    tiny_channels, make_element, monkeypatch
):
    network = tiny_channels()
    source = [make_element("f0"), make_element("f1", shape=(50, 61))]
    for element in source:
        element["noise"] = noise(element["radio"])
    truths = read_truths(source)
    detector = Detector(network)
    for trust in (0.0, 0.9):
        monkeypatch.setattr(network, "count_trust", trust)
        found = BatchDetector(network).detect(
            source, truths, network_inputs(network, truths), batch_size=2
        )
        for element, one in zip(source, found, strict=True):
            # Nothing says what its beam is: three pixels, as of the element.
            radio = SkyImage(values=element["radio"], name=element["name"])
            table = detector.detect(radio, element["infrared"], score_threshold=0.05)
            assert len(table) == len(one.scores) > 0
            boxes = np.stack([table[name] for name in ("x0", "y0", "x1", "y1")], 1)
            np.testing.assert_allclose(
                np.sort(one.scores), np.sort(table["score"]), atol=1e-4
            )
            np.testing.assert_allclose(
                np.sort(one.boxes, axis=0), np.sort(boxes, axis=0), atol=0.05
            )


def test_validation_follows_the_weights(network, make_element):
    source = [make_element(f"f{i}") for i in range(3)]
    validation = Validation(network, source, batch_size=2)
    truths = read_truths(source)
    inputs = network_inputs(network, truths)

    def by_hand():
        found = BatchDetector(network).detect(source, truths, inputs, batch_size=2)
        return mean_average_precision(truths, list(found), 6)

    before = validation()
    assert before == by_hand()
    weights = network.get_weights()
    network.set_weights([np.zeros_like(weight) for weight in weights])
    try:
        assert validation() == by_hand()
    finally:
        network.set_weights(weights)


def truth(**options):
    labels = np.zeros(0, int)
    return FieldTruth(name="far", boxes=np.zeros((0, 4)), labels=labels, **options)


def test_channels_are_as_large_as_the_largest_field(network, monkeypatch):
    assert network_inputs(network, [truth(shape=(9, 9))]).method is None
    islands = np.zeros((0, 4))
    truths = [
        truth(islands=islands, shape=(100, 100), beam=3.0),
        truth(islands=islands, shape=(50, 80), beam=2.0),
    ]
    monkeypatch.setattr(network, "fusion", "channels")
    monkeypatch.setattr(network, "beam", 3.0, raising=False)
    assert network_inputs(network, truths) == Channels(size=128, beam=3.0)
    unknown = truth(islands=islands, shape=(90, 9), pixel_arcsec=0.9)  # Six pixels.
    assert network_inputs(network, [unknown]) == Channels(size=48, beam=3.0)
    with pytest.raises(ValueError, match="the data are pictures"):
        network_inputs(network, [truth(shape=(100, 100))])
    monkeypatch.setattr(network, "beam", None)
    assert network_inputs(network, truths) == Channels(size=64, beam=None)
