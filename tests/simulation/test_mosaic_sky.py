import dataclasses

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS

from claran.simulation import field_noise, mosaic_sky
from claran.simulation import radio_sky as radio
from claran.simulation.mosaic_noise import OVERLAP, TILE, NoiseLevel, unit_noise
from claran.simulation.mosaic_plan import MosaicPlan
from claran.simulation.mosaic_sky import PlacedSource
from claran.simulation.observation import FIRST_NATIVE, SimulatedSurvey
from claran.simulation.simulated_mosaic import (
    simulate_mosaic,
    truth_paths,
    write_mosaic,
)
from claran.sky.surveys import SURVEYS

QUIET = dataclasses.replace(FIRST_NATIVE, noise_scatter=0.0, stripes=0.0)
SILENT = dataclasses.replace(QUIET, noise_jy=1e-9, sidelobes=0.0, bowl=0.0)


@pytest.fixture(scope="module")
def noise():
    return np.concatenate(list(unit_noise(3, FIRST_NATIVE, (1100, 1600))))


@pytest.fixture(scope="module")
def sky():
    return simulate_mosaic((1100, 1300), seed=1)


def test_noise_has_unit_variance_across_tiles(noise):
    assert noise.std() == pytest.approx(1, abs=0.02)
    assert noise.mean() == pytest.approx(0, abs=0.02)
    borders = [noise[:, n * TILE : n * TILE + OVERLAP] for n in (1, 2)]
    assert np.std(borders) == pytest.approx(1, abs=0.04)
    assert noise[TILE : TILE + OVERLAP].std() == pytest.approx(1, abs=0.04)


def test_noise_is_correlated_as_in_fields(noise):
    def correlation(images, pixels):
        product = images[..., pixels:] * images[..., :-pixels]
        return product.mean() / (images**2).mean()

    rng = np.random.default_rng(0)
    fields = np.array(
        [field_noise.draw_noise(rng, FIRST_NATIVE, 1.0) for _ in range(60)]
    )
    for pixels in (1, 2, 4):
        expected = correlation(fields, pixels)
        assert correlation(noise, pixels) == pytest.approx(expected, abs=0.1)


def test_no_tile_repeats_another(noise):
    tiles = [noise[:TILE, n * TILE : (n + 1) * TILE].ravel() for n in range(3)]
    similar = np.abs(np.corrcoef(tiles) - np.eye(3))
    assert similar.max() < 0.05


def test_noise_does_not_depend_on_the_size_of_the_mosaic(noise):
    small = np.concatenate(list(unit_noise(3, FIRST_NATIVE, (530, 700))))
    np.testing.assert_array_equal(small, noise[:530, :700])


def test_level_at_a_place_is_that_of_the_grid():
    level = NoiseLevel(shape=(700, 900), seed=5, survey=FIRST_NATIVE, uneven=True)
    grid = level(np.arange(700) + 0.5, np.arange(900) + 0.5)
    for row, column in (0, 0), (350, 450), (699, 899), (511, 512), (160, 740):
        one = level(np.array([row + 0.5]), np.array([column + 0.5]))
        assert one[0, 0] == pytest.approx(grid[row, column], rel=1e-5)
    assert grid.max() > 8 * grid.min()
    low = level(np.arange(300, 400) + 0.5, np.arange(900) + 0.5)
    np.testing.assert_allclose(low, grid[300:400], rtol=1e-5)


@pytest.mark.parametrize("kind", ["noise", "uneven"])
def test_empty_sky_has_the_noise_of_its_level(kind):
    mosaic = simulate_mosaic((600, 600), seed=2, kind=kind)
    plan = MosaicPlan(shape=(600, 600), seed=2, kind=kind)
    axis = np.arange(600) + 0.5
    ratio = mosaic.image / plan.level(axis, axis)
    assert ratio.std() == pytest.approx(1, abs=0.04)
    assert np.abs(ratio).max() < 6.5
    assert len(mosaic.sources) == len(mosaic.components) == 0


def test_one_pixel():
    assert simulate_mosaic((1, 1)).image.shape == (1, 1)


@pytest.mark.parametrize("x, y", [(256.0, 256.0), (512.2, 511.7), (40.5, 300.5)])
def test_a_point_is_where_and_as_bright_as_the_truth_says(x, y):
    place = PlacedSource(x=x, y=y, peak=0.02)
    mosaic = simulate_mosaic((600, 600), kind="noise", survey=SILENT, placed=[place])
    (component,) = mosaic.components
    assert component["x"] == pytest.approx(x, abs=0.02)
    assert component["y"] == pytest.approx(y, abs=0.02)
    assert component["peak_flux"] == pytest.approx(0.02, rel=1e-3)
    assert component["flux"] == pytest.approx(0.02)
    flux = mosaic.image.sum() / FIRST_NATIVE.beam_area_pixels
    assert flux == pytest.approx(0.02, rel=1e-3)
    rows, columns = np.mgrid[:600, :600] + 0.5
    total = mosaic.image.sum()
    assert (mosaic.image * columns).sum() / total == pytest.approx(x, abs=0.02)
    assert (mosaic.image * rows).sum() / total == pytest.approx(y, abs=0.02)
    sky = mosaic.wcs.all_world2pix(component["ra"], component["dec"], 0)
    np.testing.assert_allclose(np.array(sky) + 0.5, [x, y], atol=0.02)


@pytest.mark.parametrize("code", ["1_3", "2_2", "3_3"])
def test_flux_of_a_source_is_that_of_its_components(code):
    place = PlacedSource(x=700.3, y=512.0, code=code, peak=0.05, size=1.5)
    mosaic = simulate_mosaic((1100, 1400), kind="noise", survey=SILENT, placed=[place])
    (source,) = mosaic.sources
    assert len(mosaic.components) == source["n_gaussians"]
    assert mosaic.components["flux"].sum() == pytest.approx(source["flux"])
    flux = mosaic.image.sum(dtype=float) / FIRST_NATIVE.beam_area_pixels
    assert flux == pytest.approx(source["flux"], rel=1e-3)
    for part in mosaic.components:
        pixel = mosaic.image[int(part["y"]), int(part["x"])]
        assert 0.8 * part["peak_flux"] < pixel < 1.001 * part["peak_flux"]
    above = np.argwhere(mosaic.image > 5.196 * SILENT.noise_jy)
    box = [source[name] for name in ("y0", "x0", "y1", "x1")]
    # Noise of one sigma moves the outline by up to a pixel.
    found = [*above.min(0), *(above.max(0) + 1)]
    np.testing.assert_allclose(found, box, rtol=0, atol=1)


def test_two_lobes_belong_to_one_source():
    place = PlacedSource(x=300.0, y=300.0, code="2_2", peak=0.01, size=2.0)
    mosaic = simulate_mosaic((600, 600), kind="noise", survey=QUIET, placed=[place])
    assert mosaic.sources["class"].tolist() == ["2_2"]
    assert mosaic.sources["n_components"].tolist() == [2]
    assert set(mosaic.components["island"][mosaic.components["snr"] > 6]) == {0, 1}
    assert mosaic.sources["las"][0] > 60


def test_aperture_fluxes_agree_with_the_truth():
    places = [
        PlacedSource(x=50.0 + 60 * column + 0.3, y=50.0 + 60 * row, peak=0.005)
        for row in range(10)
        for column in range(10)
    ]
    mosaic = simulate_mosaic((700, 700), kind="noise", survey=QUIET, placed=places)
    rows, columns = np.mgrid[:700, :700] + 0.5
    ratios = []
    for part in mosaic.components:
        near = np.hypot(rows - part["y"], columns - part["x"]) < 6
        flux = mosaic.image[near].sum() / FIRST_NATIVE.beam_area_pixels
        ratios.append(flux / part["flux"])
    assert len(ratios) == 100
    error = np.std(ratios) / 10
    assert np.mean(ratios) == pytest.approx(1, abs=4 * error)
    assert error < 0.03


def test_density_and_mix_are_those_of_first():
    shape = (4 * TILE, 40 * TILE)
    plan = MosaicPlan(shape=shape)
    drawn = [
        mosaic_sky.draw_cell(1, row, column, FIRST_NATIVE, 1.0)
        for row in range(4)
        for column in range(40)
    ]
    sources = [source for cell in drawn for _, source, _, _ in cell]
    assert len(sources) / plan.deg2 == pytest.approx(134, rel=0.1)
    peaks = [radio.peak_brightness(one.blobs, FIRST_NATIVE) for one in sources]
    above = np.mean(np.array(peaks) > 1e-3)
    assert above * len(sources) / plan.deg2 == pytest.approx(75, rel=0.1)
    compact = np.mean([source.family == "compact" for source in sources])
    assert 0.7 < compact < 0.9


def test_truth_of_a_sky(sky):
    sources, components = sky.sources, sky.components
    assert 40 < len(sources) <= len(components)
    assert set(components["source"]) == set(sources["source"])
    ny, nx = sky.image.shape
    for name, side in ("x", nx), ("y", ny):
        assert ((components[name] >= 0) & (components[name] <= side)).all()
    bright = components[components["snr"] > 12]
    rows, columns = (bright[name].astype(int) for name in ("y", "x"))
    values = sky.image[rows, columns] / bright["peak_flux"]
    assert np.median(values) == pytest.approx(0.97, abs=0.05)
    assert {"1_1", "0_0"} <= set(sources["class"])
    assert (sources["inside"] > 0.99).mean() > 0.9


def test_another_seed_gives_another_sky_and_the_same_the_same(sky):
    again = simulate_mosaic((1100, 1300), seed=1)
    np.testing.assert_array_equal(again.image, sky.image)
    assert again.components.pformat() == sky.components.pformat()
    other = simulate_mosaic((64, 64), seed=2).image
    assert not np.array_equal(other, sky.image[:64, :64])


def test_sources_across_tiles_have_no_seam():
    place = PlacedSource(x=512.0, y=512.0, code="1_1", peak=0.05)
    mosaic = simulate_mosaic((1024, 1024), kind="noise", survey=SILENT, placed=[place])
    moved = dataclasses.replace(place, x=300.0, y=300.0)
    alone = simulate_mosaic((512, 512), kind="noise", survey=SILENT, placed=[moved])
    np.testing.assert_allclose(
        mosaic.image[412:612, 412:612], alone.image[200:400, 200:400], atol=1e-7
    )


def test_blank_pixels_and_cut_sources():
    blank = ("border", "corners", "holes")
    place = PlacedSource(x=0.5, y=200.0, peak=0.02)
    inside = PlacedSource(x=200.0, y=200.0, peak=0.02)
    plan = {"kind": "noise", "placed": [place, inside]}
    mosaic = simulate_mosaic((400, 400), **plan)
    assert mosaic.sources["inside"][0] == pytest.approx(0.6, abs=0.1)
    assert mosaic.sources["inside"][1] == pytest.approx(1)
    mosaic = simulate_mosaic(
        (400, 400), kind="noise", placed=[place, inside], blank=blank
    )
    assert len(mosaic.sources) == 1
    assert 0.05 < np.isnan(mosaic.image).mean() < 0.5


def test_other_surveys():
    survey = SimulatedSurvey.of(SURVEYS["vlass"])
    mosaic = simulate_mosaic((600, 600), survey=survey, density=3.0)
    assert len(mosaic.sources) > 0
    assert np.median(np.abs(mosaic.image)) == pytest.approx(0.67 * 1.4e-4, rel=0.2)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32"])
def test_files_equal_the_mosaic_in_memory(sky, dtype, tmp_path):
    path = tmp_path / "new" / "M.fits"
    plan = MosaicPlan(shape=(1100, 1300), seed=1, blank=("holes",))
    write_mosaic(plan, path, dtype=dtype)
    with fits.open(path) as hdus:
        hdus.verify("exception")
        header = hdus[0].header.copy()
        values = hdus[0].data
    blank = np.isnan(values)
    assert 0 < blank.mean() < 0.1
    error = 1e-6 if dtype == "int32" else 0
    np.testing.assert_allclose(values[~blank], sky.image[~blank], rtol=0, atol=error)
    assert header["BUNIT"] == "JY/BEAM"
    assert header["BMAJ"] == pytest.approx(5.4 / 3600)
    sources, components = map(Table.read, truth_paths(path))
    assert 0 < len(sources) <= len(components)
    x, y = WCS(header).all_world2pix(sources["ra"], sources["dec"], 0)
    np.testing.assert_allclose(x + 0.5, sources["x"], atol=1e-3)
    np.testing.assert_allclose(y + 0.5, sources["y"], atol=1e-3)
    assert sources["flux"].unit == "Jy" and sources["flux"].description
    assert sorted(file.suffix for file in path.parent.iterdir()) == [
        ".ecsv", ".ecsv", ".fits",
    ]  # fmt: skip


def test_interrupted_write_leaves_nothing(tmp_path):
    def stop(_bands):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_mosaic(MosaicPlan(shape=(9, 9)), tmp_path / "M.fits", progress=stop)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"shape": (0, 5)}, "`shape` must be at least"),
        ({"shape": (300000, 300000)}, "SIN projection"),
        ({"kind": "full"}, "`kind` must be one of"),
        ({"blank": ("all",)}, "`blank` must be some of"),
        ({"density": float("nan")}, "`density` must be >= 0"),
        ({"seed": -1}, "`seed` must be >= 0"),
        ({"center": (0.0, 91.0)}, "declination from -90 to 90"),
    ],
)
def test_nonsense_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        MosaicPlan(**{"shape": (5, 5)} | changes)
