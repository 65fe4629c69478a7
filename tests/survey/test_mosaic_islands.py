import math
import types

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from claran.detection.mosaic_windows import MosaicScene, mosaic_frame
from claran.fields.channels import Channels
from claran.fields.reading import read_field
from claran.photometry.flood import FLOOD, SEED
from claran.sky.islands import THRESHOLD, find_islands, smallest_island
from claran.sky.mosaic_maps import measure_maps
from claran.sky.mosaics import open_mosaic
from claran.survey.mosaic_islands import find_mosaic_islands
from claran.survey.region_labels import label_region
from claran.survey.tiles import make_tiles


class Maps:
    """Signal-to-noise that is given."""

    def __init__(self, ratio, beam=3.0):
        self.ratio = ratio
        self.mosaic = types.SimpleNamespace(shape=ratio.shape, beam_pixels=beam)

    def region(self, rows, columns):
        ratio = np.ascontiguousarray(self.ratio[rows, columns])
        return types.SimpleNamespace(rows=rows, columns=columns, signal_to_noise=ratio)


def run(stage, function, context, items, *, areas=None):
    assert stage == "islands" and sum(areas) == math.prod(context.mosaic.shape)
    return (function(context, item) for item in items)


def find(ratio, side, beam=3.0):
    maps = Maps(np.asarray(ratio, np.float32), beam)
    return find_mosaic_islands(maps, make_tiles(ratio.shape, side), run)


def whole(ratio, level, least):
    """Islands of an image in one piece, above another level."""
    return find_islands(ratio * np.float32(THRESHOLD / level), 1.0, min_pixels=least)


def same(one, other):
    for name, value in vars(one).items():
        np.testing.assert_array_equal(value, getattr(other, name), err_msg=name)
        assert value.dtype == getattr(other, name).dtype


def steps(rng, shape, fill):
    """Pixels far from the thresholds, so that a rounded ratio has the same islands."""
    levels = np.array([0.0, 4.0, 5.1, 9.0, np.nan], np.float32)
    shares = np.array([1 - fill, fill * 0.6, fill * 0.1, fill * 0.25, fill * 0.05])
    return rng.choice(levels, shape, p=shares)


def check_against_the_whole(ratio, found, beam):
    islands = find_islands(ratio, 1.0, min_pixels=smallest_island(beam))
    np.testing.assert_array_equal(found.boxes, islands.boxes)
    assert found.boxes.dtype == np.float64
    labels = islands.labels[found.first[:, 1], found.first[:, 0]]
    np.testing.assert_array_equal(labels, np.arange(len(islands)) + 1)
    sizes = np.bincount(islands.labels.ravel(), minlength=len(islands) + 1)
    np.testing.assert_array_equal(found.pixels, sizes[1:])
    floods = whole(ratio, FLOOD, 1)
    seeded = np.unique(floods.labels[ratio > SEED])
    np.testing.assert_array_equal(found.flood_boxes, floods.boxes[seeded - 1])
    of_floods = floods.labels[found.flood_first[:, 1], found.flood_first[:, 0]]
    np.testing.assert_array_equal(of_floods, seeded)
    sizes = np.bincount(floods.labels.ravel())[seeded]
    np.testing.assert_array_equal(found.flood_pixels, sizes)
    own = floods.labels[found.first[:, 1], found.first[:, 0]]
    np.testing.assert_array_equal(seeded[found.flood], own)
    flat = islands.labels.ravel()
    for place in found.first[:, 1] * ratio.shape[1] + found.first[:, 0]:
        assert np.argmax(flat == flat[place]) == place


@settings(max_examples=80, deadline=None)
@given(
    st.tuples(st.integers(1, 24), st.integers(1, 24)),
    st.integers(1, 25),
    st.sampled_from([0.02, 0.2, 0.4, 0.6, 0.95]),
    st.sampled_from([0.5, 3.0]),
    st.integers(0, 2**32 - 1),
)
def test_tiles_do_not_matter(shape, side, fill, beam, seed):
    ratio = steps(np.random.default_rng(seed), shape, fill)
    found = find(ratio, side, beam)
    check_against_the_whole(ratio, found, beam)
    same(found, find(ratio, 64, beam))


def ring():
    ratio = np.zeros((20, 20))
    ratio[3:17, 3:17] = 9
    ratio[4:16, 4:16] = 0
    return ratio


def spiral():
    ratio = np.zeros((21, 21))
    for k in range(0, 10, 2):
        ratio[k : 21 - k, k : 21 - k] = 9
        ratio[k + 1 : 20 - k, k + 1 : 20 - k] = 0
        ratio[k + 1, k] = 0
        ratio[k + 2, k + 1] = 9
    return ratio


def diagonal():
    return np.eye(20) * 9


def antidiagonal():
    return np.eye(20)[::-1] * 9


@pytest.mark.parametrize("side", [1, 2, 3, 5, 7, 10, 19, 20])
@pytest.mark.parametrize("shape", [ring, spiral, diagonal, antidiagonal])
def test_an_island_through_many_tiles_is_one(shape, side):
    ratio = shape().astype(np.float32)
    found = find(ratio, side)
    assert len(found) == 1 and len(found.flood_boxes) == 1
    assert found.pixels.tolist() == [(ratio > 0).sum()]
    check_against_the_whole(ratio, found, 3.0)


def test_the_end_of_a_row_does_not_touch_the_start_of_the_next():
    ratio = np.zeros((12, 12))
    ratio[2:6, 11] = ratio[3:7, 0] = 9
    assert len(find(ratio, 3)) == 2


@pytest.mark.parametrize("side", [1, 4, 30])
def test_small_islands_that_make_a_large_one_are_kept(side):
    ratio = np.zeros((8, 8))
    ratio[3:5, 3:5] = 9  # One pixel in each of four tiles.
    ratio[0, 7] = ratio[7, :3] = 9  # Too few.
    found = find(ratio, side)
    assert found.boxes.tolist() == [[3, 3, 5, 5]]
    assert len(found.flood_boxes) == 3


@pytest.mark.parametrize("side", [4, 30])
def test_a_seed_in_another_tile_counts(side):
    ratio = np.full((3, 20), 0.0)
    ratio[1, 2:18] = 4
    ratio[1, 17] = 5.1  # Above the seed, below the islands.
    found = find(ratio, side)
    assert found.flood_boxes.tolist() == [[2, 1, 18, 2]] and len(found) == 0
    ratio[1, 17] = 5.0
    assert len(find(ratio, side).flood_boxes) == 0


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_a_mosaic_may_be_empty(value):
    found = find(np.full((9, 7), value), 4)
    assert len(found) == 0 and found.boxes.shape == (0, 4)
    assert found.flood.shape == (0,) and found.flood_boxes.shape == (0, 4)


def smooth_emission(rng, shape=(90, 110)):
    noise = np.pad(rng.normal(size=shape), 4, mode="wrap")
    kernel = np.exp(-(np.linspace(-2, 2, 9) ** 2))
    for axis in (0, 1):
        noise = np.apply_along_axis(np.convolve, axis, noise, kernel, "valid")
    noise *= 3.5 / noise.std()
    noise[rng.random(noise.shape) < 0.01] = np.nan
    return noise.astype(np.float32)


def test_masks_do_not_depend_on_the_region(rng):
    maps = Maps(smooth_emission(rng))
    ny, nx = maps.mosaic.shape
    islands = find(maps.ratio, 32)
    field = find_islands(maps.ratio, 1.0, min_pixels=4)
    everything = label_region(maps.region(slice(0, ny), slice(0, nx)), islands)
    np.testing.assert_array_equal(everything.islands, field.labels)
    assert len(islands.flood_boxes) > 10 and len(islands) > 10
    for flood, box in enumerate(islands.flood_boxes.astype(int).tolist()):
        full = everything.masks(islands, flood, 3)
        rows = slice(max(0, box[1] - 3), min(ny, box[3] + 3))
        columns = slice(max(0, box[0] - 3), min(nx, box[2] + 3))
        assert (full.rows, full.columns) == (rows, columns)
        part, own = islands.of_floods(np.array([flood]))
        masks = label_region(maps.region(rows, columns), part).masks(part, 0, 3)
        for name in ("flood", "others", "islands"):
            np.testing.assert_array_equal(getattr(full, name), getattr(masks, name))
        assert own[masks.numbers].tolist() == full.numbers.tolist()
        assert full.numbers.tolist() == np.flatnonzero(islands.flood == flood).tolist()
        assert full.flood.sum() == islands.flood_pixels[flood]
        for place, number in enumerate(full.numbers):
            mask = field.labels[rows, columns] == number + 1
            np.testing.assert_array_equal(full.islands == place + 1, mask)


@pytest.mark.parametrize("beam", [5.4, 6.9])
def test_a_mosaic_in_a_file_is_as_a_field(rng, tmp_path, beam):
    sky = np.zeros((260, 330))
    sky[rng.integers(5, 255, 40), rng.integers(5, 325, 40)] = 400
    sky = ndimage.gaussian_filter(sky + rng.normal(size=sky.shape), beam / 1.8 / 2.355)
    sky[30:40, 100:140] = np.nan
    header = {"BMAJ": beam / 3600, "BMIN": beam / 3600, "BPA": 0.0}
    header |= {"CDELT1": -1.8 / 3600, "CDELT2": 1.8 / 3600, "CRVAL2": 30.0}
    header |= {"CTYPE1": "RA---SIN", "CTYPE2": "DEC--SIN", "BUNIT": "Jy/beam"}
    path = tmp_path / "mosaic.fits"
    fits.PrimaryHDU(sky.astype(np.float32), fits.Header(header)).writeto(path)
    field = read_field(path)
    maps = measure_maps(open_mosaic(path, scratch=tmp_path))
    islands = find_mosaic_islands(maps, make_tiles(sky.shape, 100), run)
    np.testing.assert_array_equal(islands.boxes, field.islands.boxes)
    assert len(islands) > 20
    region = maps.region(slice(0, 260), slice(0, 330))
    labels = label_region(region, islands).islands
    np.testing.assert_array_equal(labels, field.islands.labels)
    # And the network sees the same.
    channels = Channels()
    scene, frame = channels(field), mosaic_frame(channels, maps.mosaic)
    for bounds in ((0, 0, 40, 30), (50, 7, 178, 135)):
        part = MosaicScene(frame, maps.region(*frame.needed(bounds)))
        np.testing.assert_array_equal(part.view(bounds).image, scene.view(bounds).image)
