import io

import cv2
import matplotlib
import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from matplotlib.offsetbox import AnchoredOffsetbox
from matplotlib.text import Text

from claran.catalog.tables import detection_table, sky_columns
from claran.fields.field import Field
from claran.plotting import plot_field, plot_picture
from claran.sky.images import SkyImage
from claran.sky.islands import THRESHOLD

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


def as_field(values, wcs=None, **parts):
    image = SkyImage(values=values, wcs=wcs, unit=parts.pop("unit", ""))
    return Field("field.fits", image=image, **parts)


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
    """Whether the color of 2C_3P, green, is within two pixels of a point."""
    column, row = np.rint(axes.transData.transform([x, y])).astype(int)
    row = len(picture) - 1 - row
    near = picture[row - 2 : row + 3, column - 2 : column + 3].astype(int)
    return (abs(near - [0, 158, 115]).max(axis=-1) < 40).any()


def label_boxes(figure):
    """Returns the boxes of the labels in the only axes, with their frames."""
    (axes,) = figure.axes
    return [text.get_bbox_patch().get_window_extent() for text in axes.texts]


def many(rng, values, count):
    """Returns boxes over a field, and draws a source in each."""
    ny, nx = values.shape
    corners = rng.uniform(0, [nx - 8, ny - 8], (count, 2)).round()
    for x, y in corners.astype(int):
        values[y + 2 : y + 6, x + 2 : x + 6] += 40
    return np.concatenate([corners, corners + 8], axis=1)


@pytest.mark.parametrize("sky", [False, True], ids=["pixels", "sky"])
@pytest.mark.parametrize("background", ["radio", "picture"])
@pytest.mark.parametrize("count", [0, 1, 4])
def test_field(values, wcs, rng, sky, background, count):
    values[:, 55:] = np.nan  # A blank edge.
    shown = None
    if background == "picture":
        shown = rng.integers(0, 255, (80, 120, 3), np.uint8)
    boxes = np.concatenate([BOX, [[0, 0, 60, 40], [50, 30, 70, 45], [9, 9, 5, 5]]])
    table = found(boxes[:count], wcs if sky else None)
    field = as_field(values, wcs if sky else None, picture=shown)
    picture, axes = rendered(plot_field(field, table))
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
    empty = as_field(np.zeros_like(values), wcs if sky else None, picture=black)
    picture, axes = rendered(plot_field(empty, found(BOX)))
    # Matplotlib counts from the center of the first pixel.
    box = axes.patches[0].get_bbox()
    assert (box.x0, box.y0, box.x1, box.y1) == (9.5, 23.5, 19.5, 29.5)
    for x, y in [(10.2, 24.2), (18.8, 24.2), (14.5, 26)]:
        assert color_at(picture, axes, x, y).tolist() == [255, 0, 0]
    for x, y in [(8.5, 26), (20.5, 26), (14.5, 22.5), (18.5, 30.5)]:
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
    _, axes = rendered(plot_field(as_field(values), found(BOX[:0])))
    # In the middle of the source it is bright; its contour runs along its border.
    (drawn,) = axes.collections
    points = np.concatenate(drawn.get_segments())
    assert points.min(axis=0) == pytest.approx([9, 23], abs=0.51)
    assert points.max(axis=0) == pytest.approx([20, 30], abs=0.51)
    (shown,) = axes.images
    shades = shown.get_array()
    assert shown.origin == "lower" and shades[26, 15] == shades.max() > 4


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
        picture, axes = rendered(plot_field(as_field(values), found(BOX[:0])))
        assert not axes.collections and picture.std() > 20


def test_contours_start_where_islands_do(rng):
    """They are those of the local noise, here four times as high on the right."""
    values = rng.normal(size=(120, 240)).astype(np.float32)
    values[:, 120:] *= 4
    values[20:26, 20:26] += 12  # In the quiet half of the field only it is an island.
    values[90:96, 200:206] += 12
    field = as_field(values)
    _, axes = rendered(plot_field(field, found(BOX[:0])))
    (drawn,) = axes.collections
    points = np.concatenate(drawn.get_segments())
    x, y = points.T
    near = (abs(x - 23) < 6) & (abs(y - 23) < 6)
    assert near.any() and not ((x > 150) & (y > 80)).any()
    # Each contour runs between a pixel above the level and one that is not.
    ratio = field.signal_to_noise
    corners = np.stack([np.floor(points), np.ceil(points)]).astype(int)
    around = np.stack(
        [ratio[corners[i, :, 1], corners[j, :, 0]] for i in (0, 1) for j in (0, 1)]
    )
    assert (around.max(axis=0) >= THRESHOLD - 1e-3).all()
    assert around.min(axis=0)[near].min() < THRESHOLD < 9


@pytest.mark.parametrize(
    "count, sky", [(2, True), (25, False), (29, True), (200, False)]
)
def test_labels_are_apart_and_inside(rng, wcs, sky, count):
    values = rng.normal(size=(200, 200)).astype(np.float32)
    boxes = many(rng, values, count)
    table = detection_table(
        ["x"] * count, ["1_1", "2_3"] * (count // 2) + ["3_3"] * (count % 2),
        np.full(count, 0.9), boxes,
    )  # fmt: skip
    figure = plot_field(as_field(values, wcs if sky else None), table)
    _, axes = rendered(figure)
    inside = axes.get_window_extent()
    labels = label_boxes(figure)
    assert len(labels) == count
    for i, one in enumerate(labels):
        assert inside.x0 <= one.x0 + 0.1 and one.x1 <= inside.x1 + 0.1
        assert inside.y0 <= one.y0 + 0.1 and one.y1 <= inside.y1 + 0.1
        assert not any(one.overlaps(other) for other in labels[:i])
    texts = [text.get_text() for text in axes.texts]
    note = axes.get_legend().get_title().get_text()
    if count > 25:  # Many have the numbers of their rows, and the legend says so.
        assert texts == [str(row + 1) for row in range(count)]
        assert "Numbers: rows of the table" in note
    else:
        assert texts[:2] == ["1C_1P 0.90", "2C_3P 0.90"] and "Numbers" not in note


def test_nothing_is_cut(rng, wcs):
    """All texts lie inside the figure, beside and below the axes too."""
    values = rng.normal(size=(60, 40)).astype(np.float32) + 1e-3
    figure = plot_field(as_field(values, wcs, unit="JY/BEAM"), found(BOX))
    picture, axes = rendered(figure)
    bounds = axes.get_tightbbox(figure.renderer)
    height, width, _ = picture.shape
    assert bounds.x0 > 0 and bounds.y0 > 0
    assert bounds.x1 < width and bounds.y1 < height
    (bar,) = axes.child_axes
    assert bar.get_ylabel().startswith("Brightness [Jy/beam]; scale: asinh")


def test_colors_are_explained(values):
    _, axes = rendered(plot_field(as_field(values), found(np.tile(BOX, (4, 1)))))
    legend = axes.get_legend()
    names = [text.get_text() for text in legend.get_texts()]
    assert names == ["1C_1P (1)", "1C_2P (1)", "2C_3P (1)", "FR-I (1)"]
    shown = [(box.get_edgecolor(), box.get_linestyle()) for box in axes.patches]
    explained = [patch.get_facecolor() for patch in legend.get_patches()]
    assert [shown[i][0] for i in (2, 3, 0, 1)] == explained
    assert len(set(shown)) == 4
    assert "White contours: 5.2, 9, 15.6" in legend.get_title().get_text()


def marks(axes):
    """Returns the texts in the corners of the axes."""
    boxes = [one for one in axes.artists if isinstance(one, AnchoredOffsetbox)]
    return [text.get_text() for box in boxes for text in box.findobj(Text)]


def test_beam_and_scale_bar(values, wcs):
    _, axes = rendered(plot_field(as_field(values, wcs), found(BOX)))
    assert marks(axes) == ["beam 5.4″, assumed", "30″"]  # The field is 2' wide.
    image = SkyImage(values=values, wcs=wcs, beam=(8.0, 5.0, 30.0))
    _, axes = rendered(plot_field(Field("f", image=image), found(BOX)))
    assert marks(axes) == ["beam 8″ × 5″, PA 30°", "30″"]
    _, axes = rendered(plot_field(as_field(values), found(BOX)))
    assert marks(axes) == ["beam 3 pixels, assumed"]  # No scale is known.


@pytest.mark.parametrize("sky", [False, True], ids=["pixels", "sky"])
def test_settings_of_the_user_change_nothing(values, wcs, sky, hostile_settings):
    field, table = as_field(values, wcs if sky else None), found(BOX)
    expected, _ = rendered(plot_field(field, table))
    with hostile_settings():
        figure = plot_field(field, table)
        np.testing.assert_array_equal(rendered(figure)[0], expected)
        assert matplotlib.rcParams["text.usetex"]  # They are the user's again.


def test_settings_do_not_turn_pictures(rng, hostile_settings):
    picture = rng.integers(0, 255, (40, 60, 3), np.uint8)
    expected, _ = rendered(plot_picture(picture, found(BOX)))
    with hostile_settings():
        np.testing.assert_array_equal(
            rendered(plot_picture(picture, found(BOX)))[0], expected
        )


@pytest.mark.parametrize(
    "name, title",
    [
        ("$\\frac{x$.fits", "$\\frac{x$.fits"),
        ("a_b^c\\d.fits", "a_b^c\\d.fits"),
        ("a\nb\0.fits", "a\\nb\\x00.fits"),
        ("\udce4.fits", "\\udce4.fits"),
        ("星系.fits", "星系.fits"),
        ("x" * 300, None),
    ],
)
def test_names_are_plain_text(values, wcs, name, title):
    field = Field(name, image=SkyImage(values=values, wcs=wcs))
    table = detection_table(["x"], [name], np.array([0.9]), BOX)
    figure = plot_field(field, table)
    picture, axes = rendered(figure)  # A warning would be an error.
    shown = axes.get_title().removesuffix(": 1 source")
    assert shown == title if title else len(shown) < 70 and "…" in shown
    texts = [text for text in figure.findobj(Text) if text.get_text()]
    assert len(texts) > 15 and not any(text.get_parse_math() for text in texts)
    assert not any("mathregular" in text.get_text() for text in texts)
    assert not any(text.get_usetex() for text in texts)
    bounds = axes.title.get_window_extent()
    assert bounds.x0 > 0 and bounds.x1 < picture.shape[1]
