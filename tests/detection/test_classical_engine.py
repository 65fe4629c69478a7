import numpy as np
import pytest

from claran.detection.classical_engine import ClassicalEngine
from claran.errors import ImageError
from claran.fields.field import Field
from claran.sky.images import SkyImage


@pytest.fixture
def make_double(rng):
    """Makes fields with two lobes, 14 pixels apart."""

    def make(name="field", *, flux=60.0, pixel_arcsec=1.8):
        values = rng.normal(0, 1, (60, 64)).astype(np.float32)
        values[10:16, 20:26] += flux
        values[12:18, 34:40] += flux
        image = SkyImage(values=values, pixel_arcsec=pixel_arcsec, beam=(5.4, 5.4, 0))
        return Field(name, image=image, noise=1.0)

    return make


def detect(fields, class_names=("2_2", "1_1"), **options):
    engine = ClassicalEngine(class_names)
    return list(engine.detect(fields, **({"score_threshold": 0.0} | options)))


def test_fields_are_searched_in_order(make_double):
    fields = [
        make_double("a"),
        make_double("b", flux=0.0),
        make_double("c", pixel_arcsec=6.0),  # The lobes are 84" apart now, not 25".
    ]
    found = detect(fields)
    assert [one.item.name for one in found] == ["a", "b", "c"]
    first, second, third = (one.detections for one in found)
    assert first.labels.tolist() == [1]
    assert first.boxes.tolist() == [[20, 10, 40, 18]]
    assert 0.9 < first.scores[0] < 1
    assert second.boxes.shape == (0, 4)
    assert third.labels.tolist() == [2, 2]


def test_items_are_loaded_and_scores_cut(make_double):
    (one,) = detect(["a"], load=make_double)
    assert one.item == "a" and one.field.name == "a" and len(one.detections) == 1
    (one,) = detect(["a"], load=make_double, score_threshold=1.0)
    assert len(one.detections) == 0


def test_sources_of_other_classes_are_left_out(make_double):
    (one,) = detect([make_double()], ("1_1",))
    assert one.detections.boxes.shape == (0, 4)


def test_unusable_fields_are_passed_over_where_asked_to(make_double):
    flat = make_double("flat")
    flat = Field("flat", image=SkyImage(values=flat.image.values * 0, pixel_arcsec=1.8))
    with pytest.raises(ImageError, match="flat: cannot estimate the noise"):
        detect([flat])
    skipped, found = detect([flat, make_double()], skip_unusable=True)
    assert skipped.field is None and len(skipped.detections) == 0
    assert "flat: cannot estimate the noise" in str(skipped.error)
    assert found.error is None and len(found.detections) == 1


def test_what_it_needs_is_named(make_double):
    picture = Field("field", picture=np.zeros((9, 9, 3), np.uint8))
    with pytest.raises(ValueError, match="field: is a picture; the classical finder"):
        detect([picture])
    with pytest.raises(ValueError, match=r"field: .* needs the size of a pixel"):
        detect([make_double(pixel_arcsec=None)])
