import pytest

from claran.evaluation import classical_run as classical
from claran.evaluation.classical_run import detect_classically


def test_fields_are_searched_in_order_whatever_the_part(make_element, monkeypatch):
    monkeypatch.setattr(classical, "PART", 2)
    source = [make_element(f"f{i}") for i in range(3)]
    source[1]["radio"] = source[1]["radio"] * 0
    source[2]["pixel_arcsec"] = 6.0  # The lobes are 48" apart now, not 14".
    first, second, third = detect_classically(source, ("2_2", "1_1"))
    assert first.labels.tolist() == [1]
    assert first.boxes.tolist() == [[20, 10, 40, 18]]
    assert 0.9 < first.scores[0] < 1
    assert second.boxes.shape == (0, 4)
    assert third.labels.tolist() == [2, 2]


def test_sources_of_other_classes_are_left_out(make_element):
    (found,) = detect_classically([make_element()], ("1_1",))
    assert found.boxes.shape == (0, 4)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"noise": 0.0}, "field: is a picture"),
        ({"pixel_arcsec": float("nan")}, "field: .* the size of a pixel"),
    ],
    ids=["picture", "pixel"],
)
def test_what_it_needs_is_named(make_element, change, message):
    with pytest.raises(ValueError, match=message):
        list(detect_classically([make_element() | change], ("1_1",)))
