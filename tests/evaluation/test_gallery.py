import dataclasses

import numpy as np
import pytest

from claran.detection.detections import Detections
from claran.evaluation.catalogs import read_fields
from claran.evaluation.gallery import Shown, false_alarms, misses, plot_cases
from claran.evaluation.metrics import EvaluationOptions, evaluate
from claran.evaluation.output import write_evaluation
from claran.evaluation.plots import plots
from claran.evaluation.report import png
from claran.fields.field import Field
from claran.fields.framing import Picture
from claran.fields.objects import Objects

CLASSES = ("1_1", "1_2", "1_3", "2_2")
TRUE = [20.0, 10.0, 40.0, 18.0]


def detections(*rows):
    table = np.array(rows, float).reshape(-1, 6)
    return Detections(
        boxes=table[:, :4], labels=table[:, 4].astype(int), scores=table[:, 5]
    )


@pytest.fixture
def shown(make_field):
    """Fields with one source: found, half found, as another class, and missed."""
    source = [make_field(name) for name in ("a", "b", "c", "d")]
    found = [
        detections([*TRUE, 4, 0.9], [0, 0, 9, 9, 1, 0.95]),
        detections([20, 10, 29, 18, 4, 0.85]),
        detections([*TRUE, 2, 0.99]),
        detections(),
    ]
    return Shown(source, None, read_fields(source), found, CLASSES)


def test_the_worst_come_first(shown):
    assert [(case.field, case.reason) for case in misses(shown)] == [
        (3, "2C_2P: no detection overlaps"),
        (1, "2C_2P: highest IoU 0.45"),
        (2, "2C_2P: highest IoU 1.00"),
        (0, "2C_2P: found with a score of 0.90"),
    ]
    assert [(case.field, case.reason) for case in false_alarms(shown)] == [
        (2, "1C_2P: score 0.99"),
        (0, "1C_1P: score 0.95"),
        (1, "2C_2P: score 0.85"),
    ]
    # If not all sources are labeled, a detection without overlap may be a source.
    lenient = false_alarms(shown, ignore_unlabelled=True)
    assert [(case.field, case.reason[:5]) for case in lenient] == [
        (2, "1C_2P"), (1, "2C_2P")
    ]  # fmt: skip
    assert [case.field for case in misses(shown, count=2)] == [3, 1]
    ignored = dataclasses.replace(shown.fields[0].objects, ignored=np.array([True]))
    left_out = shown._replace(
        fields=[field.replace(objects=ignored) for field in shown.fields]
    )
    assert misses(left_out) == []
    # On an ignored source, a detection of any class is no false alarm.
    assert [case.field for case in false_alarms(left_out)] == [0, 1]


def test_boxes_are_drawn_where_the_picture_shows_the_source(shown):
    (case,) = misses(shown, count=1)
    figure = plot_cases([case], shown, score_threshold=0.5)
    (axes,) = figure.axes
    drawn, frame = axes.patches
    # The field is 60 high and y runs down in pictures; 64 pixels wide, as displayed.
    assert drawn.get_bbox().extents.tolist() == [20, 42, 40, 50]
    assert frame.get_bbox().extents.tolist() == pytest.approx([18.4, 40.4, 41.6, 51.6])
    assert axes.get_title() == "d\n2C_2P: no detection overlaps"
    # It is twice as large if the network's input is.
    larger = shown._replace(preprocessor=Picture(method="D3", image_size=128))
    (axes,) = plot_cases([case], larger, score_threshold=0.5).axes
    assert axes.patches[0].get_bbox().extents.tolist() == [40, 84, 80, 100]


def test_labels_are_apart_and_titles_whole(shown, hostile_settings):
    def draw():
        figure = plot_cases(misses(shown), shown, score_threshold=0.5)
        return figure, png(figure)

    figure, expected = draw()
    height = figure.bbox.height
    assert all(axes.title.get_window_extent().y1 < height for axes in figure.axes)
    for axes in figure.axes:
        boxes = [text.get_bbox_patch().get_window_extent() for text in axes.texts]
        assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
    assert [text.get_text() for text in figure.axes[1].texts] == ["2C_2P", "2C_2P 0.85"]
    with hostile_settings():
        assert draw()[1] == expected


@pytest.mark.parametrize("cases", [misses, false_alarms])
def test_odd_class_names_are_one_line(shown, cases):
    odd = shown._replace(class_names=("a\nb", "$\\frac{\udce4", "c", 99 * "x"))
    for axes in plot_cases(cases(odd), odd, score_threshold=0.5).axes:
        name, reason = axes.get_title().splitlines()
        assert max(map(len, (name, reason))) <= 48
        reason.encode()


@pytest.mark.parametrize("nothing", [False, True], ids=["some", "none"])
def test_report_with_and_without_detections(shown, tmp_path, nothing):
    if nothing:
        shown = shown._replace(detections=[detections()] * 4)
    evaluation = evaluate(
        shown.fields, shown.detections, CLASSES,
        options=EvaluationOptions(resample_count=5),
    )  # fmt: skip
    assert len(plots(evaluation)["precision_recall"].axes[0].lines) == 1
    about = {"model": "<b>&"}
    old = tmp_path / "worst_false_alarms.png"
    old.write_bytes(b"of an earlier evaluation")
    page, metrics = write_evaluation(tmp_path, evaluation, shown, about=about)
    assert "<dd>&lt;b&gt;&amp;</dd>" in page.read_text()
    assert page.read_text().count("<img") == (5 if nothing else 6)
    assert '"mean_ap"' in metrics.read_text()
    assert old.exists() != nothing


def test_pictures_are_shown_without_rescaling(rng):
    picture = rng.integers(0, 256, (90, 40, 3), np.uint8)
    objects = Objects(
        boxes=np.array([[5.0, 60.0, 15.0, 80.0]]),
        labels=np.array([1]),
        ignored=np.array([False]),
    )
    source = [Field("p", picture=picture, objects=objects)]
    shown = Shown(source, None, read_fields(source), [detections()], CLASSES)
    (axes,) = plot_cases(misses(shown), shown, score_threshold=0.5).axes
    (image,) = axes.images
    np.testing.assert_array_equal(image.get_array(), picture[..., ::-1])
    # Row 0 is on top, and y is up in the array: 90 - 80 from the top.
    assert axes.patches[0].get_bbox().extents.tolist() == [5, 10, 15, 30]


def test_the_noise_that_was_measured_is_used_again(shown, monkeypatch):
    bare = [Field(f.name, image=f.image, picture=f.picture) for f in shown.source]
    monkeypatch.setattr("claran.fields.field.noise", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        _ = bare[0].noise
    plot_cases(misses(shown), shown._replace(source=bare), score_threshold=0.5)
