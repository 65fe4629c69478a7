import cv2
import numpy as np
import pytest

from claran.photometry.flood import IslandCutout
from claran.photometry.island_measures import measure_islands
from claran.photometry.pixel_beams import PixelBeam, covariance, ellipse
from claran.photometry.polygons import mask_polygon

BEAM = PixelBeam(3.4, 2.8, 30.0)


def gaussian(shape, x, y, widths, peak=1.0):
    """A Gaussian at `(x, y)`, pixel edges; `widths` are FWHM and angle."""
    rows, columns = np.mgrid[: shape[0], : shape[1]] + 0.5
    off = np.stack([columns - x, rows - y], axis=-1)
    inverse = np.linalg.inv(covariance(*(np.array([w]) for w in widths))[0])
    return peak * np.exp(-np.einsum("...i,ij,...j->...", off, inverse, off) / 2)


def seen(widths):
    """What a Gaussian of some widths is through the beam."""
    both = (widths, (BEAM.major, BEAM.minor, BEAM.angle))
    total = sum(covariance(*(np.array([w]) for w in one)) for one in both)
    return tuple(float(value[0]) for value in ellipse(total))


def noise(rng, shape):
    """White noise seen through the beam, with a standard deviation of 1."""
    kernel = gaussian((15, 15), 7.5, 7.5, (BEAM.major, BEAM.minor, BEAM.angle))
    white = rng.normal(size=(shape[0] + 16, shape[1] + 16))
    found = cv2.filter2D(white, cv2.CV_64F, kernel)[8:-8, 8:-8]
    return found / np.sqrt((kernel**2).sum())


def make_cutout(values, noise=1.0, x0=0, y0=0, at=None):
    """The flood island at a pixel, or of the brightest one, with its islands."""
    ratio = np.nan_to_num(values / noise, nan=-1)
    floods = cv2.connectedComponents((ratio > 3).astype(np.uint8), connectivity=8)[1]
    place = np.unravel_index(ratio.argmax(), ratio.shape) if at is None else at
    flood = floods == floods[place]
    above = (ratio > 5.196) & flood
    islands = cv2.connectedComponents(above.astype(np.uint8), connectivity=8)[1]
    return IslandCutout(
        x0, y0, values.astype("f4"), np.full(values.shape, noise, "f4"), flood,
        (floods > 0) & ~flood, np.asarray(islands, np.int32),
    )  # fmt: skip


def measure(values, **options):
    return measure_islands(make_cutout(values, **options), BEAM)


@pytest.mark.parametrize("widths", [None, (6.0, 3.0, 100.0), (20.0, 10.0, 50.0)])
def test_one_gaussian_without_noise(widths):
    shape = seen(widths) if widths else (BEAM.major, BEAM.minor, BEAM.angle)
    found = measure(gaussian((70, 80), 40.3, 35.8, shape, 1000), x0=1000, y0=2000)
    true = 1000 * shape[0] * shape[1] / (BEAM.major * BEAM.minor)
    assert found["flux"][0] == pytest.approx(true, rel=0.003)
    assert found["peak"][0] == pytest.approx(1000, rel=0.002)
    for name in ("x", "peak_x"):
        assert found[name][0] == pytest.approx(1040.3, abs=0.02)
    for name in ("y", "peak_y"):
        assert found[name][0] == pytest.approx(2035.8, abs=0.02)
    assert found["angle"][0] == pytest.approx(shape[2], abs=1)
    assert found["major"][0] == pytest.approx(shape[0], rel=0.02)
    assert found["minor"][0] == pytest.approx(shape[1], rel=0.02)
    assert found["rms"][0] == 1.0


@pytest.mark.parametrize(
    "widths, snr, most",
    [
        (None, 10, 0.03), (None, 300, 0.01), ((6.0, 3.0, 100.0), 10, 0.03),
        ((20.0, 10.0, 50.0), 30, 0.03),
    ],
)  # fmt: skip
def test_flux_and_position_are_unbiased_and_errors_honest(rng, widths, snr, most):
    shape = seen(widths) if widths else (BEAM.major, BEAM.minor, BEAM.angle)
    true = snr * shape[0] * shape[1] / (BEAM.major * BEAM.minor)
    rows = []
    for _ in range(80):
        x, y = 30 + rng.random(2)
        values = gaussian((60, 60), x, y, shape, snr) + noise(rng, (60, 60))
        found = measure(values, at=(int(y), int(x)))
        best = found["flux"].argmax()
        off = [(found["flux"] - true)[best], (found["x"] - x)[best]]
        off += [(found["y"] - y)[best]]
        rows.append([*off, *(found[f"e_{n}"][best] for n in ("flux", "x", "y"))])
    off, errors = np.split(np.array(rows), 2, axis=1)
    tolerance = 3 * (off[:, 0] / true).std() / np.sqrt(len(off))
    assert abs(off[:, 0].mean() / true) < most + tolerance
    pulls = off / errors
    assert ((pulls.std(axis=0) > 0.75) & (pulls.std(axis=0) < 1.35)).all()


def test_flat_emission_is_measured_without_bias():
    """A disk that no Gaussian describes, seen through the beam."""
    rows, columns = np.mgrid[:80, :80] + 0.5
    disk = (np.hypot(columns - 40, rows - 40) < 15).astype(float)
    kernel = gaussian((21, 21), 10.5, 10.5, (BEAM.major, BEAM.minor, BEAM.angle))
    values = 10 * cv2.filter2D(disk, cv2.CV_64F, kernel / kernel.sum())
    found = measure(values)
    assert found["flux"][0] == pytest.approx(values.sum() / BEAM.area, rel=0.01)


def test_islands_of_one_flood_island_share_its_emission():
    shape = (BEAM.major, BEAM.minor, BEAM.angle)
    values = gaussian((60, 60), 25.5, 30.5, shape, 100)
    values += gaussian((60, 60), 32.3, 30.5, shape, 50)
    found = measure(values)
    assert len(found["flux"]) == 2
    assert found["flux"] == pytest.approx([100, 50], rel=0.05)
    assert found["x"] == pytest.approx([25.5, 32.3], abs=0.2)


def test_emission_of_other_flood_islands_is_left_out():
    shape = (BEAM.major, BEAM.minor, BEAM.angle)
    alone = gaussian((60, 60), 25.5, 30.5, shape, 20)
    both = alone + gaussian((60, 60), 34.5, 30.5, shape, 20)
    one, two = (measure(v, at=(30, 25))["flux"][0] for v in (alone, both))
    assert two == pytest.approx(one, rel=0.05)


def test_flux_in_a_bowl_is_positive():
    """Of the pixels above the bowl, since those around sum to less than nothing."""
    shape = (BEAM.major, BEAM.minor, BEAM.angle)
    source = gaussian((60, 60), 30.2, 29.7, shape, 500)
    bowl = gaussian((60, 60), 30.0, 30.0, (30.0, 30.0, 0.0), -100)
    found = measure(source + bowl)
    assert 150 < found["flux"][0] < 400
    assert measure(source)["flux"][0] == pytest.approx(500, rel=0.003)


def test_outline_is_that_of_the_island():
    cutout = make_cutout(
        gaussian((40, 40), 20.3, 19.8, (6.0, 4.0, 20.0), 30), x0=100, y0=200
    )
    found = measure_islands(cutout, BEAM)
    outline = np.stack([found["outline_x"], found["outline_y"]], axis=1)
    expected = mask_polygon(cutout.islands == 1) + np.array([100, 200])
    assert found["corners"].tolist() == [len(outline)]
    assert (outline == expected).all()


@pytest.mark.parametrize("x, edge", [(0.5, True), (15.5, False), (30.5, True)])
def test_edge_of_the_mosaic(x, edge):
    values = gaussian((31, 31), x, 15.5, (BEAM.major, BEAM.minor, BEAM.angle), 50)
    found = measure(values)
    assert found["at_edge"].tolist() == [edge]
    assert found["beside_blank"].tolist() == [False]


@pytest.mark.parametrize("column, beside", [(18, True), (27, False)])
def test_blank_pixels(column, beside):
    values = gaussian((31, 31), 15.5, 15.5, (BEAM.major, BEAM.minor, BEAM.angle), 50)
    values[:, column] = np.nan
    found = measure(values)
    assert found["beside_blank"].tolist() == [beside]
    assert found["at_edge"].tolist() == [False]
    assert np.isfinite(found["flux"]).all()


def test_one_pixel():
    values = np.zeros((9, 9))
    values[4, 5] = 8.0
    found = measure(values)
    assert found["x"].tolist(), found["y"].tolist() == ([5.5], [4.5])
    assert all(np.isfinite(column).all() for column in found.values())


def test_no_islands():
    cutout = make_cutout(gaussian((20, 20), 10.5, 10.5, (3.4, 2.8, 30.0), 5.1))
    found = measure_islands(cutout, BEAM)
    assert {len(column) for column in found.values()} == {0}
