import io

import cv2
import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from claran.catalog.tables import detection_table, sky_columns
from claran.plotting import plot_field, plot_picture
from claran.sky.images import SkyImage

BOX = np.array([[10.0, 24.0, 20.0, 30.0]])  # Over the source of `values`.


@pytest.fixture
def values(rng):
    values = rng.normal(size=(40, 60)).astype(np.float32)
    values[24:30, 10:20] += 100
    return values


@pytest.fixture
def wcs():
    header = fits.Header({"CTYPE1": "RA---SIN", "CTYPE2": "DEC--SIN"})
    header["CRVAL1"], header["CRVAL2"] = 180.0, 30.0
    header["CRPIX1"], header["CRPIX2"] = 30.5, 20.5
    header["CDELT1"], header["CDELT2"] = -2 / 3600, 2 / 3600
    return WCS(header)


def found(boxes, wcs=None):
    labels = ["2_3", "FR-I", "1_1", "1_2"][: len(boxes)]
    columns = {} if wcs is None else sky_columns(wcs, boxes)
    names, scores = ["x"] * len(boxes), np.full(len(boxes), 0.876)
    return detection_table(names, labels, scores, boxes, columns=columns)


def rendered(figure):
    """Returns the figure's RGB pixels, row 0 on top, and its only axes."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    picture = cv2.imdecode(np.frombuffer(buffer.getvalue(), np.uint8), cv2.IMREAD_COLOR)
    (axes,) = figure.axes
    return picture[..., ::-1], axes


def color_at(picture, axes, x, y):
    """Returns the color of a point given in the axes' own coordinates."""
    column, row = axes.transData.transform([x, y])
    return picture[len(picture) - 1 - int(row), int(column)].astype(int)


def is_outlined(picture, axes, x, y):
    """Whether the first box's color, cyan, is within two pixels of a point."""
    column, row = np.rint(axes.transData.transform([x, y])).astype(int)
    row = len(picture) - 1 - row
    red, green, blue = np.moveaxis(
        picture[row - 2 : row + 3, column - 2 : column + 3], -1, 0
    )
    return ((red < 100) & (green > 150) & (blue > 150)).any()


@pytest.mark.parametrize("sky", [False, True], ids=["pixels", "sky"])
@pytest.mark.parametrize("background", ["radio", "picture"])
@pytest.mark.parametrize("count", [0, 1, 4])
def test_field(values, wcs, rng, sky, background, count):
    values[:, 55:] = np.nan  # A blank edge.
    radio = SkyImage(values=values, wcs=wcs if sky else None, name="field.fits")
    shown = None
    if background == "picture":
        shown = rng.integers(0, 255, (80, 120, 3), np.uint8)
    boxes = np.concatenate([BOX, [[0, 0, 60, 40], [50, 30, 70, 45], [9, 9, 5, 5]]])
    table = found(boxes[:count], wcs if sky else None)
    picture, axes = rendered(plot_field(radio, table, background=shown))
    assert picture.std() > 20
    assert axes.get_title() == f"field.fits: {count} source{'s' * (count != 1)}"
    texts = [text.get_text() for text in axes.texts]
    assert texts == ["2C_3P 0.88", "FR-I 0.88", "1C_1P 0.88", "1C_2P 0.88"][:count]
    assert len(axes.patches) == count
    names = ("Right ascension", "Declination") if sky else ("x [pixel]", "y [pixel]")
    assert (axes.get_xlabel(), axes.get_ylabel()) == names


@pytest.mark.parametrize("sky", [False, True], ids=["pixels", "sky"])
def test_box_and_field_lie_on_the_axes(values, wcs, sky):
    """The box frames its source, on the axes and on the sky."""
    black = np.zeros((40, 60, 3), np.uint8)
    black[40 - 30 : 40 - 24, 10:20] = 0, 0, 255  # Red in BGR; rows count from the top.
    radio = SkyImage(values=np.zeros_like(values), wcs=wcs if sky else None)
    picture, axes = rendered(plot_field(radio, found(BOX), background=black))
    # Matplotlib counts from the center of the first pixel.
    box = axes.patches[0].get_bbox()
    assert (box.x0, box.y0, box.x1, box.y1) == (9.5, 23.5, 19.5, 29.5)
    for x, y in [(10.2, 24.2), (18.8, 24.2), (14.5, 26)]:
        assert color_at(picture, axes, x, y).tolist() == [255, 0, 0]
    for x, y in [(8.5, 26), (20.5, 26), (14.5, 22.5), (14.5, 30.5)]:
        assert color_at(picture, axes, x, y).tolist() == [0, 0, 0]
    for x, y in [(9.5, 25), (19.5, 26), (14.5, 23.5), (19, 29.5)]:
        assert is_outlined(picture, axes, x, y)
    assert not is_outlined(picture, axes, 18.5, 25)
    if sky:
        center = wcs.pixel_to_world(14.5, 26.5)
        x, y = axes.get_transform("icrs").transform([[center.ra.deg, center.dec.deg]])[
            0
        ]
        assert (x, y) == pytest.approx(axes.transData.transform([14.5, 26.5]), abs=0.01)


def test_radio_background_and_contours(values):
    values[:] = values / 1000
    values[24:30, 10:20] = 1
    _, axes = rendered(plot_field(SkyImage(values=values), found(BOX[:0])))
    # In the middle of the source it is bright; its contour runs along its border.
    points = np.concatenate([line.get_xydata() for line in axes.lines])
    assert points.min(axis=0) == pytest.approx([9, 23], abs=0.51)
    assert points.max(axis=0) == pytest.approx([20, 30], abs=0.51)
    (shown,) = axes.images
    assert shown.origin == "lower" and shown.get_array()[26, 15] > 0.9


@pytest.mark.parametrize("shape", [(40, 60), (60, 40), (1, 9)], ids=str)
def test_picture(rng, shape):
    picture = rng.integers(0, 255, (*shape, 3), np.uint8)
    shown, axes = rendered(plot_picture(picture, found(BOX)))
    assert shown.std() > 20 and axes.get_title() == "1 source"


def test_box_on_a_picture():
    black = np.zeros((40, 60, 3), np.uint8)
    black[24:30, 10:20] = 0, 0, 255  # Red; y runs down.
    picture, axes = rendered(plot_picture(black, found(BOX)))
    box = axes.patches[0].get_bbox()
    assert (box.x0, box.y0, box.x1, box.y1) == tuple(BOX[0])
    assert color_at(picture, axes, 15, 27).tolist() == [255, 0, 0]
    assert color_at(picture, axes, 15, 32).tolist() == [0, 0, 0]
    for x, y in [(10, 29), (20, 27), (15, 30), (19.5, 24)]:
        assert is_outlined(picture, axes, x, y)
    lower, upper = (axes.transData.transform([15, y])[1] for y in (30, 24))
    assert lower < upper  # y runs down.


def test_constant_and_blank_fields():
    for values in (np.ones((9, 9), np.float32), np.full((9, 9), np.nan, np.float32)):
        picture, axes = rendered(plot_field(SkyImage(values=values), found(BOX[:0])))
        assert not axes.lines and picture.std() > 20
