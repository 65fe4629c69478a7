"""What the network sees of infrared images: on a mosaic as on a field."""

import dataclasses
import pickle

import cv2
import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

import claran
from claran.detection.mosaic_infrared import MosaicInfrared, show_on
from claran.fields.channels import BLANK_HEAT, Channels
from claran.fields.rescaling import rescaled_part
from claran.sky.infrared_pictures import infrared_picture
from claran.sky.mosaics import open_mosaic
from claran.sky.resampling import resample

NY, NX = 90, 110


def make_wcs(shape, pixel, center=(180.0, 30.0), turn=0.0, kind="RA---SIN DEC--SIN"):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval = kind.split(), list(center)
    wcs.wcs.crpix = [(side + 1) / 2 for side in shape[::-1]]
    cos, sin = np.cos(np.radians(turn)), np.sin(np.radians(turn))
    wcs.wcs.pc = [[cos, -sin], [sin, cos]]
    wcs.wcs.cdelt = [-pixel / 3600, pixel / 3600]
    wcs.wcs.set()
    return wcs


@pytest.fixture
def files(rng, tmp_path):
    """Writes images with stars or sources, and opens them as mosaics."""

    def write(name, wcs, shape, values=None, **cards):
        if values is None:
            values = rng.normal(3.0, 0.1, shape)
            for y, x in rng.integers(0, min(shape), (40, 2)):
                values[y : y + 3, x : x + 3] += rng.exponential(4.0)
        header = wcs.to_header()
        header.update(cards)
        path = tmp_path / f"{name}.fits"
        fits.writeto(path, values.astype(np.float32), header, overwrite=True)
        return path, open_mosaic(path, scratch=tmp_path / "scratch")

    return write


@pytest.fixture
def radio(files):
    beam = {"BMAJ": 5.4 / 3600, "BMIN": 5.4 / 3600, "BPA": 0.0}
    return files("radio", make_wcs((NY, NX), 1.8), (NY, NX), **beam)


INFRARED = {  # Shape, pixel, and so on of the infrared image.
    "same pixels": ((NY, NX), 1.8, {}),
    "finer, turned": ((400, 420), 0.6, {"turn": 31.0}),
    "coarser": ((99, 95), 2.75, {"center": (180.002, 30.001)}),
    "part of it": ((60, 60), 1.375, {"center": (180.01, 30.01)}),
    "another projection": ((150, 150), 1.375, {"kind": "RA---TAN DEC--TAN"}),
}


@pytest.mark.parametrize("beam_pixels", [3.0, 2.2, 7.0])
@pytest.mark.parametrize("kind", INFRARED)
def test_as_on_a_field(files, radio, kind, beam_pixels):
    shape, pixel, options = INFRARED[kind]
    path, image = files("w1", make_wcs(shape, pixel, **options), shape)
    field = claran.read_field(radio[0], path)
    scene = Channels(beam_pixels=beam_pixels)(field)
    shown = show_on(radio[1], [image])
    assert shown.zoom == field.picture.shape[0] // NY
    rows, columns = scene.shape
    whole = shown.channel(scene.shape, (slice(0, rows), slice(0, columns)))
    if scene.shape == field.picture.shape[:2]:
        np.testing.assert_array_equal(whole, scene.infrared)
    else:  # OpenCV rescales the whole image at once, with other rounding.
        np.testing.assert_allclose(whole, scene.infrared, atol=5e-7)
    for part in (slice(3, 30), slice(20, 60)), (slice(0, 2), slice(columns - 9, None)):
        bounds = slice(*part[0].indices(rows)[:2]), slice(*part[1].indices(columns)[:2])
        found = shown.channel(scene.shape, bounds)
        if found is None:  # No infrared is there.
            np.testing.assert_allclose(whole[part], BLANK_HEAT, rtol=1e-6)
        else:
            np.testing.assert_array_equal(found, whole[part])


def test_stretch_of_a_large_image(files, radio, monkeypatch):
    """It is measured on the same pixels as that of a field."""
    monkeypatch.setattr("claran.sky.infrared_pictures.MOST_LOOKED_AT", 1000)
    wcs = make_wcs((50, 300), 1.375, center=(180.01, 29.995), turn=10.0)
    path, image = files("w1", wcs, (50, 300))
    field = claran.read_field(radio[0], path)
    shown = show_on(radio[1], [image])
    whole = shown.channel((NY, NX), (slice(0, NY), slice(0, NX)))
    np.testing.assert_array_equal(whole, Channels()(field).infrared)


def test_several_images(files, radio):
    """Each with its own levels; where two have values, the first one is shown."""
    sides = [("a", 179.988, 1.0), ("b", 180.012, 500.0), ("c", 200.0, 1.0)]
    images = []
    for name, ra, unit in sides:
        values = np.random.default_rng(len(images)).normal(7.0, 1.0, (150, 60)) * unit
        wcs = make_wcs((150, 60), 1.8, center=(ra, 30.0))
        images.append(files(name, wcs, (150, 60), values)[1])
    shown = show_on(radio[1], images)
    assert [layer.image.name for layer in shown.layers] == ["a.fits", "b.fits"]
    frame = (NY, NX), (slice(0, NY), slice(0, NX))
    both = shown.channel(*frame)
    first, second = (
        dataclasses.replace(shown, layers=[layer]).channel(*frame)
        for layer in shown.layers
    )
    blank = np.abs(first - BLANK_HEAT) < 1e-6  # Which the second one fills.
    assert 0.3 < blank.mean() < 0.7
    np.testing.assert_array_equal(both, np.where(blank, second, first))
    # Both have about the same spread of colors, whatever their units.
    assert np.std(first[~blank]) == pytest.approx(np.std(second[blank]), rel=0.4)
    corner = shown.channel((NY, NX), (slice(0, 30), slice(0, 9)))
    np.testing.assert_array_equal(corner, both[:30, :9])


def test_no_image_there(files, radio):
    shape = (30, 30)
    far = files("far", make_wcs(shape, 1.375, center=(20.0, -40.0)), shape)[1]
    assert show_on(radio[1], [far]) is None and show_on(radio[1], []) is None
    blank = make_wcs(shape, 1.8, center=(180.0, 30.0))
    nothing = files("blank", blank, shape, np.full(shape, np.nan))[1]
    assert show_on(radio[1], [nothing]) is None
    path, image = files("near", make_wcs(shape, 1.8, center=(180.02, 30.0)), shape)
    shown = show_on(radio[1], [image])
    part = slice(20, 80), slice(70, 110)
    assert shown.channel((NY, NX), part) is None
    scene = Channels()(claran.read_field(radio[0], path))
    x0, y0, x1, y1 = part[1].start, part[0].start, part[1].stop, part[0].stop
    view = scene.view((x0, y0, x1, y1)).image
    assert not view[..., 3:].any() and scene.view().image[..., 4].all()


def test_large_images_are_read_in_parts(files, rng, monkeypatch):
    """The values are the same, and no part is larger than allowed."""
    monkeypatch.setattr("claran.sky.resampling.MOST_READ", 4000)
    shape = (300, 280)
    image = files("w1", make_wcs(shape, 1.0), shape)[1]
    sky = make_wcs((40, 50), 6.0, turn=20.0).pixel_to_world(
        *np.meshgrid(np.arange(50), np.arange(40))
    )
    sizes = []

    def read(rows, columns):
        found = image.read(rows, columns)
        sizes.append(found.size)
        return found

    found = resample(read, shape, image.wcs, sky)
    assert len(sizes) > 10 and max(sizes) <= 4000
    monkeypatch.undo()
    np.testing.assert_array_equal(found, resample(image.read, shape, image.wcs, sky))
    assert np.isfinite(found).mean() > 0.9


@pytest.mark.parametrize("target", [(40, 31), (70, 63), (23, 20), (117, 100)])
def test_rescaled_as_by_opencv(rng, target):
    source = (70, 60)
    values = rng.normal(size=source).astype(np.float32)
    method = cv2.INTER_AREA if source[0] > target[0] else cv2.INTER_LINEAR
    expected = cv2.resize(values, target[::-1], interpolation=method)
    whole = rescaled_part(
        lambda *part: values[part], source, target, tuple(map(slice, (0, 0), target))
    )
    np.testing.assert_allclose(whole, expected, atol=2e-5)
    part = slice(7, 19), slice(target[1] - 11, target[1])
    found = rescaled_part(lambda *own: values[own], source, target, part)
    np.testing.assert_array_equal(found, whole[part])


def test_is_the_same_elsewhere(files, radio):
    """Pickled, as it is sent to workers."""
    image = files("w1", make_wcs((150, 150), 1.375), (150, 150))[1]
    shown = show_on(radio[1], [image])
    sent = pickle.loads(pickle.dumps(shown))
    assert isinstance(sent, MosaicInfrared)
    part = (NY, NX), (slice(10, 50), slice(30, 99))
    np.testing.assert_array_equal(sent.channel(*part), shown.channel(*part))


def test_picture_of_a_large_image(rng):
    """Levels of some of its pixels are nearly those of all."""
    values = rng.normal(size=(1500, 1200))
    small = infrared_picture(values[:1000, :1000])
    large = infrared_picture(values)[500:, :1000]
    assert np.abs(small.astype(int) - large.astype(int)).max() <= 6
