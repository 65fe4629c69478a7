"""Background and noise of mosaics: those of a field, in whatever part they are read."""

import pickle

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from claran.errors import ImageError
from claran.fields.field import Field
from claran.sky import bands, blanks, mesh
from claran.sky.images import read_sky_image
from claran.sky.mosaic_maps import measure_maps, write_maps
from claran.sky.mosaics import open_mosaic
from claran.sky.signal_to_noise import excess_halo, noise_excess

KEYS = ("values", "noise", "signal_to_noise")


def header(beam_pixels=3.0):
    cards = fits.Header()
    cards["BMAJ"] = cards["BMIN"] = beam_pixels * 1.8 / 3600
    cards["CTYPE1"], cards["CTYPE2"] = "RA---SIN", "DEC--SIN"
    cards["CRVAL1"], cards["CRVAL2"], cards["CRPIX1"], cards["CRPIX2"] = 10, 20, 30, 40
    cards["CDELT1"], cards["CDELT2"] = -1.8 / 3600, 1.8 / 3600
    cards["BUNIT"] = "Jy/beam"
    return cards


def sky(rng, shape, kind):
    """Noise of 1.5e-4 with sources, uneven or above a background."""
    values = gaussian_filter(rng.normal(size=shape), 1.27)
    values *= 1.5e-4 / values.std()
    ny, nx = shape
    for y, x in zip(rng.integers(0, ny, 30), rng.integers(0, nx, 30), strict=True):
        values[y : y + 4, x : x + 4] += 1e-3 * (1 + rng.pareto(1))
    if kind == "uneven":
        values *= np.linspace(1, 5, nx)
        values[ny // 3 : ny // 2, nx // 3 : nx // 2] *= 8
        values[: ny // 4, : nx // 3] = np.nan
        values[-ny // 5 :, -nx // 4 :] = 0
        values[ny // 2, ::37] = -9999
    if kind == "background":
        values += np.linspace(0, 2e-3, ny)[:, None]
    return values.astype(np.float32)


@pytest.fixture
def measure(tmp_path):
    """Writes an image, and returns its maps and the field."""

    def write(values, **keys):
        path = tmp_path / "mosaic.fits"
        fits.writeto(path, values, header(**keys), overwrite=True)
        maps = measure_maps(open_mosaic(path, scratch=tmp_path / "scratch"))
        return maps, Field("f", image=read_sky_image(path))

    return write


def whole(shape):
    return slice(0, shape[0]), slice(0, shape[1])


def assert_equals(maps, field):
    region = maps.region(*whole(field.shape))
    np.testing.assert_array_equal(region.values, field.source_image.values)
    np.testing.assert_array_equal(region.signal_to_noise, field.signal_to_noise)
    expected = np.broadcast_to(np.float32(field.noise_map), field.shape)
    np.testing.assert_array_equal(region.noise, expected)
    assert {getattr(region, key).dtype for key in KEYS} == {np.dtype(np.float32)}
    return region


def assert_same_parts(maps, region, rng, count=12):
    ny, nx = maps.mosaic.shape
    for _ in range(count):
        y, x = rng.integers(0, ny), rng.integers(0, nx)
        h, w = rng.integers(1, 200, 2)
        part = slice(y, min(y + h, ny)), slice(x, min(x + w, nx))
        own = maps.region(*part)
        assert (own.rows, own.columns) == part
        for key in KEYS:
            np.testing.assert_array_equal(getattr(own, key), getattr(region, key)[part])


@pytest.mark.parametrize("kind", ["even", "uneven", "background"])
@pytest.mark.parametrize("shape", [(420, 530), (120, 140), (60, 700), (1, 300)])
def test_they_are_those_of_the_field_in_any_part(
    measure, rng, kind, shape, monkeypatch
):
    monkeypatch.setattr(bands, "BAND", 7 * shape[1])
    monkeypatch.setattr(blanks, "CHUNK", 50 * shape[1])
    monkeypatch.setattr(mesh, "BLOCK", 160)
    maps, field = measure(sky(rng, shape, kind))
    region = assert_equals(maps, field)
    assert_same_parts(maps, region, rng)


def test_all_regimes_are_there(measure, rng):
    maps, field = measure(sky(rng, (420, 530), "uneven"))
    assert maps.background is None and np.ptp(field.noise_map) > 1e-3
    assert maps.mosaic.blanks.sentinels and maps.mosaic.blanks.side
    assert measure(sky(rng, (420, 530), "background"))[0].background is not None
    assert isinstance(measure(sky(rng, (120, 140), "even"))[0].noise, np.float32)


def test_they_can_be_sent_to_another_process(measure, rng):
    maps, field = measure(sky(rng, (300, 400), "uneven"))
    sent = pickle.dumps(maps)
    assert len(sent) < 20_000
    again = pickle.loads(sent)
    assert again.mosaic.fingerprint == maps.mosaic.fingerprint
    assert_equals(again, field)


def test_jobs_get_top_level_functions_and_plain_items(tmp_path, rng, monkeypatch):
    monkeypatch.setattr(mesh, "BLOCK", 160)
    path = tmp_path / "m.fits"
    fits.writeto(path, sky(rng, (420, 530), "background"), header())
    stages = {}

    def run(stage, function, context, items):
        stages[stage] = len(items)
        for item in items:
            sent = pickle.loads(pickle.dumps((function, context, item)))
            found = sent[0](*sent[1:])
            assert all(array.dtype != object for array in found.values())
            yield found

    mosaic = open_mosaic(path, scratch=tmp_path)
    maps, plain = measure_maps(mosaic, run), measure_maps(mosaic)
    assert list(stages) == ["blank-values", "background", "background-rest", "noise"]
    assert stages["noise"] > 4
    assert 0 < stages["background-rest"] <= stages["background"]
    for key in KEYS:
        one, other = (
            getattr(m.region(*whole(mosaic.shape)), key) for m in (maps, plain)
        )
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    "values, message",
    [
        (np.full((300, 400), np.nan, np.float32), "no finite pixel"),
        (np.full((300, 400), 3, np.float32), "cannot estimate the noise"),
        (np.full((30, 40), 3, np.float32), "cannot estimate the noise"),
    ],
)
def test_images_without_noise_are_refused(measure, values, message):
    with pytest.raises(ImageError, match=message):
        measure(values)


def test_an_almost_empty_mosaic_has_the_noise_of_all_its_pixels(measure, rng):
    values = np.full((300, 400), np.nan, np.float32)
    values[::15, ::15] = rng.normal(size=(20, 27))
    maps, field = measure(values)
    assert_equals(maps, field)


def test_maps_are_written_as_images(measure, rng, tmp_path):
    maps, field = measure(sky(rng, (200, 250), "background"))
    paths = write_maps(maps, tmp_path / "maps")
    assert [p.name for p in paths] == ["mosaic_background.fits", "mosaic_noise.fits"]
    for path, expected in zip(paths, (field.background, field.noise_map), strict=True):
        image = read_sky_image(path)
        assert image.unit == "Jy/beam"
        np.testing.assert_array_equal(image.values, expected)
        np.testing.assert_allclose(
            image.wcs.all_pix2world([[3, 4]], 0), field.wcs.all_pix2world([[3, 4]], 0)
        )


@given(seed=st.integers(0, 2**32 - 1), beam=st.sampled_from([1.0, 2.3, 3.0, 8.0]))
@settings(deadline=None, max_examples=30)
def test_excess_noise_does_not_depend_on_the_part(seed, beam):
    rng = np.random.default_rng(seed)
    shape = 160, 260
    ratio = rng.normal(size=shape) * rng.uniform(1.5, 2.5)
    # Sums that run over such pixels lose the last digits of what comes after them.
    ratio[:, :60] *= 10 ** rng.uniform(0, 8, (160, 60))
    ratio[rng.random(shape) < 0.1] = np.nan
    ratio = ratio.astype(np.float32)
    excess = noise_excess(ratio, beam, start=1.4)
    assert excess is not None
    halo, start = excess_halo(beam), rng.integers(1, 200)
    rows = slice(rng.integers(1, 100), 160)
    own = noise_excess(np.ascontiguousarray(ratio[rows, start:]), beam, start=1.4)
    if own is None:
        own = np.ones_like(ratio[rows, start:])
    np.testing.assert_array_equal(own[halo:, halo:], excess[rows, start:][halo:, halo:])
