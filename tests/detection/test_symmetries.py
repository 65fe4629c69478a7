"""With `average`, a field may be turned or reflected, and has the same detections."""

from typing import Any

import numpy as np
import pytest

from claran.detection.counting import FieldIslands, recount
from claran.detection.detector import Detector
from claran.detection.engine import Engine
from claran.detection.symmetries import (
    SYMMETRIES,
    in_all_looks,
    turned,
    turned_shape,
)
from claran.errors import ImageError
from claran.fields.preprocessing import make_view
from claran.layers.box_decoder import RawDetections
from claran.sky.images import SkyImage

CLASSES = ("1_1", "1_2", "2_2")


@pytest.fixture(scope="module")
def engine(channels_detector):
    engine = Engine(channels_detector.model, average=True)
    engine.compiled = channels_detector.engine.compiled  # Compiling takes seconds.
    return engine


def detect(engine, fields):
    found = engine.detect(fields, score_threshold=0.0)
    return [one.detections for one in found]


def whole(box):
    """What a network finds that knows where a box is."""
    one = np.ones(1)
    parts: Any = np.array([box], np.float32), one.astype(int), one.astype("f4"), one > 0
    return RawDetections(*parts)


@pytest.mark.parametrize("scale", [1.0, 0.6])
def test_boxes_are_turned_back(scale):
    """A rectangle that is found in each symmetry has its place in the window."""
    image = np.zeros((12, 30, 2), np.float32)
    image[2:5, 7:20] = 1
    view = make_view(image, scale, (3, 4))
    outputs, seen = [], set()
    for symmetry in range(SYMMETRIES):
        look = turned(view, symmetry)
        assert look.image.shape[:2] == turned_shape((12, 30), symmetry)
        assert look.image_info.tolist() == [*look.image.shape[:2], np.float32(scale)]
        assert look.origin == view.origin
        rows, columns = (np.flatnonzero(look.image[..., 0].any(axis=i)) for i in (1, 0))
        box = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
        seen.add((*look.image.shape, *box))
        outputs.append(whole(np.array(box) / scale))
    assert len(seen) == SYMMETRIES
    found = in_all_looks(outputs, view.image_info)
    expected = np.array([[7, 2, 20, 5]] * SYMMETRIES) / scale
    np.testing.assert_allclose(found.boxes, expected, rtol=1e-6)
    assert found.look.tolist() == list(range(SYMMETRIES))
    assert found.valid.all() and found.scores.tolist() == [1] * SYMMETRIES


def test_a_group_has_the_mean_of_its_probabilities():
    """Of 0.8 and 0.4 in two of the looks, and 0 where it was not seen."""
    islands = FieldIslands(np.array([[0.0, 0, 4, 4]]), np.array([[1]]))
    given = np.tile(islands.boxes, (3, 1)), np.ones(3, int), np.array([0.8, 0.4, 0.2])
    looks = np.array([2, 7, 7])  # Of two in one look the better one counts.
    found = recount(*given, islands, CLASSES, trust=1.0, looks=looks)
    assert found.scores.tolist() == pytest.approx([1.2 / SYMMETRIES])
    assert recount(*given, islands, CLASSES, trust=1.0).scores.tolist() == [0.8]


@pytest.mark.parametrize("which", ["a", "b"])
def test_a_turned_field_has_the_same_detections(
    engine, channels_detector, sky_fields, which
):
    (field,) = (one for one in sky_fields if one.name == which)
    field = field.replace(picture=None)
    (expected,) = detect(engine, [field])
    assert len(expected) and expected.scores.max() > 0.01
    image = field.image.values
    for values in (image[::-1], image.T, image[::-1, ::-1].T):
        again = field.replace(image=SkyImage(values=np.ascontiguousarray(values)))
        (found,) = detect(engine, [again])
        np.testing.assert_allclose(
            np.sort(found.scores), np.sort(expected.scores), rtol=1e-9
        )
    (once,) = detect(channels_detector.engine, [field])
    assert once.scores.max() != pytest.approx(expected.scores.max(), rel=1e-6)


def test_the_same_beside_any_neighbors(engine, sky_fields):
    fields = [one for one in sky_fields if one.name in ("a", "b", "c", "empty")]
    alone = [detect(engine, [field])[0] for field in fields]
    together = detect(engine, fields[::-1])[::-1]
    for one, other in zip(together, alone, strict=True):
        np.testing.assert_array_equal(one.boxes, other.boxes)
        np.testing.assert_array_equal(one.scores, other.scores)
    assert sum(map(len, together)) > 0


def test_tables_say_it(channels_detector, sky_fields):
    detector = Detector(channels_detector.model, average=True)
    detector.engine.compiled = channels_detector.engine.compiled
    averaged, once = (
        one.detect(sky_fields[0]).meta or {} for one in (detector, channels_detector)
    )
    assert averaged["AVERAGE"] is True and "AVERAGE" not in once


def test_an_error_of_a_field_is_its_own(engine, sky_fields):
    blank = SkyImage(values=np.ones((30, 30), np.float32))
    with pytest.raises(ImageError, match="cannot estimate the noise"):
        detect(engine, [sky_fields[0].replace(image=blank, picture=None)])


def test_boxes_that_are_not_counted_are_refused(picture_detector):
    with pytest.raises(ValueError, match=r"`average` \(--average\) is for models"):
        Engine(picture_detector.model, average=True)
