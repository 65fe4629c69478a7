import itertools

import cv2
import numpy as np
import pytest
from astropy.wcs import WCS, Sip

from claran.errors import ImageError
from claran.sky import contours as radio
from claran.sky import pictures as fusion
from claran.sky.images import SkyImage, read_picture, read_sky_image
from claran.sky.infrared_pictures import MEAN_INFRARED, infrared_picture

PLAIN = (40, 90, 200)


def tangent_plane(ny, nx, pixel_arcsec, *, dec=30.0, rotation_deg=0.0):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = [180.0, dec]
    wcs.wcs.crpix = [(nx + 1) / 2, (ny + 1) / 2]
    wcs.wcs.cdelt = [-pixel_arcsec / 3600, pixel_arcsec / 3600]
    cos, sin = np.cos(np.deg2rad(rotation_deg)), np.sin(np.deg2rad(rotation_deg))
    wcs.wcs.pc = [[cos, -sin], [sin, cos]]
    return wcs


def add_star(values, x, y, peak=300.0, width=1.5):
    """Adds a star centered on the pixel position `(x, y)`, counted from zero."""
    rows, columns = np.mgrid[: values.shape[0], : values.shape[1]]
    distance = (columns - x) ** 2 + (rows - y) ** 2
    values += (peak * np.exp(-distance / (2 * width**2))).astype(values.dtype)


def brightest(picture):
    return np.unravel_index(picture.sum(axis=2, dtype=int).argmax(), picture.shape[:2])


@pytest.fixture
def field(rng):
    """A radio image of noise and one source, left of the center and near the top."""
    values = rng.normal(size=(40, 60)).astype(np.float32)
    add_star(values, 15, 30)
    return SkyImage(values=values)


@pytest.fixture
def plain():
    return np.full((40, 60, 3), PLAIN, np.uint8)


def test_d1(field):
    field.values[0, 0] = np.nan
    picture = fusion.fuse(field, method="D1")
    assert picture.shape == (40, 60, 3) and picture.dtype == np.uint8
    assert brightest(picture[:-1]) == (9, 15)
    assert picture[9, 15].tolist() == [255, 255, 255]
    assert picture[39, 0].tolist() == [255, 255, 255]  # Blank.
    row, column = np.unravel_index(np.nanargmin(field.values), (40, 60))
    assert picture[39 - row, column].tolist() == [0, 0, 0]


def test_d1_of_a_constant():
    image = SkyImage(values=np.ones((3, 4), np.float32))
    assert not fusion.fuse(image, method="D1").any()


def test_d3_draws_blue_around_the_source(field, plain):
    picture = fusion.fuse(field, plain, method="D3")
    rows, columns = (picture != plain).any(axis=2).nonzero()
    assert (rows.mean(), columns.mean()) == pytest.approx((10, 15.5), abs=0.5)
    changed = picture[rows, columns].astype(int) - PLAIN
    assert (changed[:, 0] > 0).all() and (changed[:, 2] < 0).all()
    assert (plain == PLAIN).all()  # The input is not drawn on.


def test_d4_keeps_the_hull(field, plain):
    add_star(field.values, 45, 5)
    picture = fusion.fuse(field, plain, method="D4")
    assert picture[22, 30].tolist() == list(PLAIN)  # Between the two.
    for row, column in ((0, 0), (0, 59), (39, 0), (39, 59)):
        assert (picture[row, column] == MEAN_INFRARED).all()


def test_sigma_level_and_min_extent(field, plain):
    kept = lambda **options: fusion.fuse(field, plain, method="D3", **options)
    assert (kept(sigma_level=1e4) == plain).all()
    assert (kept(min_extent=60.0) == plain).all()


def test_no_contours(rng, plain):
    quiet = SkyImage(values=rng.uniform(-1, 1, (40, 60)).astype(np.float32))
    assert (fusion.fuse(quiet, plain, method="D3") == plain).all()
    assert (fusion.fuse(quiet, plain, method="D4") == MEAN_INFRARED).all()


def test_picture_of_another_size(field):
    large = np.full((120, 120, 3), PLAIN, np.uint8)
    picture = fusion.fuse(field, large, method="D4")
    assert picture.shape == (120, 120, 3)
    rows, columns = (picture != MEAN_INFRARED).any(axis=2).nonzero()
    box = np.array([[columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]])
    x0, y0, x1, y1 = fusion.picture_to_array(box.astype(float), (40, 60), (120, 120))[0]
    assert ((x0 + x1) / 2, (y0 + y1) / 2) == pytest.approx((15.5, 30.5), abs=1)


@pytest.mark.parametrize("method", ["D2", "d4", ""])
def test_refuses_method(field, plain, method):
    with pytest.raises(ValueError, match="`method` must be one of D1, D3, D4, got '"):
        fusion.fuse(field, plain, method=method)


@pytest.mark.parametrize("method", ["D3", "D4"])
def test_refuses_missing_infrared(field, method):
    with pytest.raises(ValueError, match=f"{method} needs `infrared`; D1 works"):
        fusion.fuse(field, method=method)


@pytest.mark.parametrize(
    "picture",
    [
        pytest.param(np.zeros((4, 5), np.uint8), id="grey"),
        pytest.param(np.zeros((4, 5, 4), np.uint8), id="alpha"),
        pytest.param(np.zeros((4, 5, 3)), id="float"),
        pytest.param(np.zeros((0, 5, 3), np.uint8), id="empty"),
    ],
)
def test_refuses_picture(field, picture):
    with pytest.raises(ValueError, match=r"`infrared` must be a SkyImage or a uint8"):
        fusion.fuse(field, picture, method="D3")


@pytest.mark.parametrize("fill", [0.0, np.nan])
def test_refuses_no_noise(plain, fill):
    image = SkyImage(values=np.full((40, 60), fill, np.float32), name="x.fits")
    with pytest.raises(
        ImageError,
        match=r"x.fits: has no noise for .* blank pixels to NaN",
    ):
        fusion.fuse(image, plain, method="D4")


@pytest.mark.parametrize("rotation_deg", [0.0, 30.0, 180.0])
@pytest.mark.parametrize("pixel_arcsec, zoom", [(1.375, 1), (6.0, 1), (0.6, 3)])
def test_infrared_lands_on_the_sky(rng, rotation_deg, pixel_arcsec, zoom):
    field = SkyImage(
        values=rng.normal(size=(50, 40)).astype(np.float32),
        wcs=tangent_plane(50, 40, 1.8),
    )
    size = int(180 / pixel_arcsec)
    wcs = tangent_plane(size, size, pixel_arcsec, rotation_deg=rotation_deg)
    star = field.wcs.pixel_to_world(28.0, 33.0)
    values = rng.normal(size=(size, size)).astype(np.float32)
    add_star(values, *wcs.world_to_pixel(star))
    infrared = SkyImage(values=values, wcs=wcs)
    picture = fusion.fuse(field, infrared, method="D3", sigma_level=100.0)
    assert picture.shape == (50 * zoom, 40 * zoom, 3)
    # The star's pixel, turned over: row 49 - 33 of the radio image's picture.
    expected = (16.5 * zoom, 28.5 * zoom)
    tolerance = max(1.0, pixel_arcsec / 1.8 / 2) * zoom
    bright = cv2.GaussianBlur(picture, (0, 0), 1.0 * zoom)
    assert np.add(brightest(bright), 0.5) == pytest.approx(expected, abs=tolerance)


def test_uncovered_sky_gets_the_mean_color(rng):
    values = rng.normal(size=(40, 40)).astype(np.float32)
    field = SkyImage(values=values, wcs=tangent_plane(40, 40, 1.8))
    infrared = SkyImage(values=values[:20, :20], wcs=tangent_plane(20, 20, 1.8))
    picture = fusion.fuse(field, infrared, method="D3", sigma_level=100.0)
    mean = (picture == MEAN_INFRARED).all(axis=2)
    assert mean[:9].all() and mean[:, 31:].all() and not mean[12:28, 12:28].any()


@pytest.mark.parametrize("dec", [31.0, -75.0])
def test_refuses_other_sky(rng, dec):
    values = rng.normal(size=(40, 40)).astype(np.float32)
    field = SkyImage(values=values, wcs=tangent_plane(40, 40, 1.8), name="radio")
    wcs = tangent_plane(40, 40, 1.8, dec=dec)
    infrared = SkyImage(values=values, wcs=wcs, name="w1.fits")
    with pytest.raises(
        ImageError, match=r"w1.fits: shows nothing of .* of radio; give"
    ):
        fusion.fuse(field, infrared, method="D3")


def test_distorted_infrared_does_not_warn(rng):
    values = rng.normal(size=(200, 200)).astype(np.float32)
    field = SkyImage(values=values, wcs=tangent_plane(200, 200, 9.0))
    wcs = tangent_plane(200, 200, 1.2)
    wcs.wcs.ctype = ["RA---TAN-SIP", "DEC--TAN-SIP"]
    bend = np.diag([0.0, 0.0, 1e-3])
    wcs.sip = Sip(bend[::-1].copy(), bend[:, ::-1].copy(), None, None, wcs.wcs.crpix)
    infrared = SkyImage(values=values, wcs=wcs)
    picture = fusion.fuse(field, infrared, method="D3", sigma_level=100.0)
    assert picture.shape == (800, 800, 3)


def test_infrared_without_wcs_is_the_same_field(field, rng):
    values = rng.normal(size=(80, 120)).astype(np.float32)
    add_star(values, 100, 70)
    picture = fusion.fuse(
        field, SkyImage(values=values), method="D3", sigma_level=200.0
    )
    assert picture.shape == (80, 120, 3)
    bright = cv2.GaussianBlur(picture, (0, 0), 2.0)  # The core is white all over.
    assert brightest(bright) == pytest.approx((9, 100), abs=1)


def test_infrared_colors(rng):
    values = rng.normal(size=(100, 100))
    add_star(values, 20, 30)
    values[0, 0], values[0, 1] = np.nan, np.inf
    picture = infrared_picture(values)
    assert (picture[99, :2] == MEAN_INFRARED).all()
    assert (picture[69, 20] > [200, 240, 250]).all()
    median = np.median(picture.reshape(-1, 3).astype(int), axis=0)
    assert np.abs(median - MEAN_INFRARED).max() < 25


@pytest.mark.parametrize("fill", [3.0, np.nan])
def test_infrared_without_noise(fill):
    picture = infrared_picture(np.full((4, 5), fill))
    assert (
        picture.shape == (4, 5, 3)
        and len(np.unique(picture.reshape(-1, 3), axis=0)) == 1
    )


def test_boxes_go_there_and_back(rng):
    boxes = (
        np.sort(rng.integers(0, 40, (20, 2, 2)), axis=1).reshape(20, 4).astype(float)
    )
    shape, picture_shape = (40, 60), (120, 90)
    there = fusion.array_to_picture(boxes, shape, picture_shape)
    for (x0, y0, x1, y1), new in zip(boxes, there, strict=True):
        expected = [x0 * 1.5, (40 - y1) * 3, x1 * 1.5, (40 - y0) * 3]
        assert new.tolist() == expected
    back = fusion.picture_to_array(there, shape, picture_shape)
    np.testing.assert_allclose(back, boxes, rtol=1e-12, atol=1e-12)
    assert fusion.array_to_picture(np.zeros((0, 4)), shape, shape).shape == (0, 4)


def test_boxes_agree_with_pixels():
    values = np.zeros((5, 7))
    values[1:3, 4:6] = 1
    box = np.array([[4.0, 1.0, 6.0, 3.0]])
    picture = np.repeat(np.repeat(values[::-1], 2, axis=0), 2, axis=1)
    x0, y0, x1, y1 = fusion.array_to_picture(box, (5, 7), (10, 14))[0].astype(int)
    assert picture[y0:y1, x0:x1].all() and picture.sum() == (y1 - y0) * (x1 - x0)


def test_draw_contours_in_any_color(field, plain):
    components = radio.contours(field.values, np.array([50.0]))
    picture = fusion.draw_contours(plain, components, (40, 60), color=(50, 205, 50))
    drawn = picture[(picture != plain).any(axis=2)]
    assert len(drawn) > 8 and drawn[:, 1].max() > 150


@pytest.fixture(scope="module")
def expected(golden):
    with np.load(golden / "fuse" / "expected.npz") as arrays:
        return dict(arrays)


def golden_pair(golden, expected, index):
    image = read_sky_image(golden / "fuse" / f"FIRSTJ{index}.fits")
    return image, expected[f"ir_{index}"]


GOLDEN_FIELDS = pytest.mark.parametrize(
    "golden, index",
    [("shipped", 1), *itertools.product(["full"], range(3))],
    indirect=["golden"],
)


@GOLDEN_FIELDS
def test_golden_masks(golden, expected, index, monkeypatch):
    image, infrared = golden_pair(golden, expected, index)
    undrawn = lambda picture, *_: picture
    monkeypatch.setattr(fusion, "draw_contours", undrawn)
    picture = fusion.fuse(image, infrared, method="D4")
    np.testing.assert_array_equal(picture, expected[f"masked_ir_{index}"])
    white = np.full_like(infrared, 255)
    picture = fusion.fuse(image, white, method="D4")
    mask = (picture == 255).all(axis=2)
    np.testing.assert_array_equal(mask, expected[f"mask_{index}"] == 255)


@pytest.mark.parametrize("method", ["D3", "D4"])
@GOLDEN_FIELDS
def test_golden_pictures(golden, expected, index, method):
    picture = fusion.fuse(*golden_pair(golden, expected, index), method=method)
    # The original's lies one row higher, and its last row is white.
    theirs = expected[f"fused_{method}_{index}"]
    difference = np.abs(theirs[:-1].astype(int) - picture[1:])
    assert difference.mean() < 0.7
    # Almost no pixel is far off: the lines lie where theirs do.
    assert (difference.max(axis=2) > 100).mean() < 2e-3


@pytest.mark.parametrize("index", range(3))
def test_golden_picture_files(golden, expected, index):
    infrared = read_picture(golden / "fuse" / f"FIRSTJ{index}_infrared.png")
    np.testing.assert_array_equal(infrared, expected[f"ir_{index}"])
    for method, suffix in (("D3", "_det"), ("D4", "mask")):
        file = golden / "fuse" / method / f"FIRSTJ{index}_infraredct{suffix}.png"
        drawn = expected[f"fused_{method}_{index}"]
        np.testing.assert_array_equal(read_picture(file), drawn)


def test_golden_larger_infrared(golden, expected):
    image, _ = golden_pair(golden, expected, 1)
    infrared = read_picture(golden / "fuse" / "FIRSTJ9_infrared.png")
    picture = fusion.fuse(image, infrared, method="D4")
    theirs = expected["fused_D4_ir264"]
    assert picture.shape == theirs.shape == (264, 264, 3)
    # Their hull is not scaled with the picture, but their lines are: compare blue.
    blue = lambda image: (image[..., 0].astype(int) - image[..., 2] > 0)[1:-1]
    ours, theirs = blue(np.roll(picture, -1, axis=0)), blue(theirs)
    assert (ours & theirs).sum() > 0.9 * theirs.sum() > 500


def test_golden_without_contours(golden, expected):
    image, infrared = golden_pair(golden, expected, 3)
    assert (fusion.fuse(image, infrared, method="D3") == infrared).all()
    picture = fusion.fuse(image, infrared, method="D4")
    assert (picture == MEAN_INFRARED).all()


def test_published_d1_picture(real_data):
    """The one FIRST image here of which a D1 picture by ClaRAN's authors exists."""
    path = "rgz_subject_fits/caesar-mrcnn_galaxy0002_J000315+111543.fits"
    ours = fusion.fuse(read_sky_image(real_data / path), method="D1")
    theirs = read_picture(real_data / "rgz_d1_png/FIRSTJ000315.0+111543_logminmax.png")
    theirs = cv2.resize(theirs, (132, 132), interpolation=cv2.INTER_AREA)
    # Theirs was enlarged three times in between, and lies one pixel right and down.
    difference = np.abs(theirs[1:, 1:].astype(int) - ours[:-1, :-1])[10:-10, 10:-10]
    assert np.median(difference) <= 1 and difference.mean() < 3


PAIRS = {
    "FIRSTJ151227.2+454026_3.fits": "2279p454*.fits",
    "FIRSTJ151227.2+454026_8.fits": "2279p454*.fits",
    "FIRSTJ151227.2+454026_11.fits": "2279p454*.fits",
    "FIRST_J153149.9+113421.7.fits": "WISE_*.fits",
}


@pytest.mark.parametrize("name", PAIRS)
def test_real_pairs(real_data, name):
    folder = real_data / "first_wise_pairs"
    image = read_sky_image(folder / name)
    (path,) = folder.glob(PAIRS[name])
    picture = fusion.fuse(image, read_sky_image(path), method="D3", sigma_level=1e6)
    assert picture.shape == (*image.values.shape, 3)
    mean = picture.reshape(-1, 3).mean(axis=0)
    np.testing.assert_allclose(mean, MEAN_INFRARED, atol=10)
    covered = (picture != MEAN_INFRARED).any(axis=2).mean()
    assert covered == pytest.approx(0.53 if "_11" in name else 1.0, abs=0.02)
    fusion.fuse(image, read_sky_image(path), method="D4")


def test_all_real_files(real_data):
    infrared = np.full((132, 132, 3), PLAIN, np.uint8)
    for path in sorted(real_data.glob("*/*.fits")):
        image = read_sky_image(path)
        assert fusion.fuse(image, infrared, method="D4").shape == infrared.shape
        assert fusion.fuse(image, method="D1").shape == (*image.values.shape, 3)
