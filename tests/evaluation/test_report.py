"""The report fits any screen and shows names as they are."""

import re

import numpy as np
import pytest

from claran.detection.detections import Detections
from claran.evaluation.metrics import EvaluationOptions, evaluate
from claran.evaluation.plots import plots
from claran.evaluation.report import STYLE, html_report, png

NAMES = ("1_1", "<b>$\\frac{", "a\udce4\n", "x" * 200)


@pytest.fixture
def evaluation(make_field):
    """One field whose only source was found, of classes with odd names."""
    fields = [make_field("a")]
    box = fields[0].objects.boxes[:1].astype(float)
    found = Detections(boxes=box, labels=np.array([4]), scores=np.array([0.9]))
    return evaluate(
        fields, [found], NAMES, options=EvaluationOptions(resample_count=5)
    )  # fmt: skip


def page_of(evaluation):
    about = {"data": "/data/\udcff\n<i>$"}
    return html_report(
        evaluation, about=about, plots={'a"b': b"x"}, galleries={"c<d": b"y"}
    )


def test_names_are_escaped(evaluation):
    page = page_of(evaluation)
    page.encode()  # Bytes that no encoding knows would raise.
    assert r"<dd>/data/\udcff\n&lt;i&gt;$</dd>" in page
    assert "&lt;b&gt;$\\frac{" in page and r"<td>a\udce4\n</td>" in page
    assert 'alt="a&quot;b"' in page and 'alt="c&lt;d"' in page
    assert not re.search(r"<(b|i|d)>", page)


def test_the_page_fits_a_phone(evaluation):
    page = page_of(evaluation)
    assert (
        '<meta name="viewport" content="width=device-width, initial-scale=1">' in page
    )
    # What is wider than the screen scrolls in a box of its own.
    assert page.count("<table>") == page.count("<div class=scroll><table>") > 1
    assert '<div class=scroll><figure><img alt="c' in page
    assert "minmax(min(28rem, 100%), 1fr)" in STYLE  # No column of fixed width.
    widths = re.findall(r"(?<!max-)width: *(\S+);", STYLE)
    assert widths == [] and "max-width: 100%" in STYLE


def test_settings_of_the_user_do_not_change_plots(evaluation, hostile_settings):
    expected = {name: png(figure) for name, figure in plots(evaluation).items()}
    with hostile_settings():
        figures = plots(evaluation)
        assert {name: png(figure) for name, figure in figures.items()} == expected
