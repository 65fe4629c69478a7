"""Components of simulated islands, whose truth is known."""

import dataclasses
import threading

import numpy as np
import pytest

from claran.photometry.components import Components, fit_components
from claran.photometry.fit_flags import FitFlag
from claran.photometry.flood import flood_cutouts
from claran.photometry.pixel_beams import PixelBeam
from claran.simulation.simulated_mosaic import simulate_mosaic


def cutouts_of(image, beam, islands=None):
    noise = np.ones_like(image)
    return flood_cutouts(image, noise, image, beam.major, islands=islands)


def components_of(image, beam):
    return fit_components(cutouts_of(image, beam), beam)


def grid_of_sources(simulated, *, count, snr, size=(0.0, 0.0, 0.0)):
    """Returns an image of separate sources, and their positions."""
    step = 27
    image = simulated.noise((count * step, count * step))
    true = (np.indices((count, count)).reshape(2, -1).T + 0.5) * step
    true = true + simulated.rng.uniform(-0.5, 0.5, true.shape)
    for x, y in true:
        x0, y0 = int(x // step) * step, int(y // step) * step
        own = simulated.source((step, step), x - x0, y - y0, snr, size)
        image[y0 : y0 + step, x0 : x0 + step] += own
    return image, true


@pytest.mark.parametrize("size", [(0.0, 0.0, 0.0), (4.5, 2.0, 70.0)])
def test_errors_are_honest(simulated, size):
    snr = 15.0
    image, true = grid_of_sources(simulated, count=12, snr=snr, size=size)
    found = components_of(image, simulated.beam)
    assert 0 <= len(found) - len(true) <= 2
    distance = np.hypot(found.x[:, None] - true[:, 0], found.y[:, None] - true[:, 1])
    own = true[distance.argmin(1)]
    flux = snr * simulated.area(size)
    for pull in (
        (found.x - own[:, 0]) / found.e_x,
        (found.y - own[:, 1]) / found.e_y,
        (found.peak - snr) / found.e_peak,
        (found.flux - flux) / found.e_flux,
    ):
        assert 0.7 < np.std(pull) < 1.3
        assert abs(np.median(pull)) < 0.4
    assert np.median(found.flux) == pytest.approx(flux, rel=0.05)
    unresolved = np.mean((found.flags & FitFlag.UNRESOLVED) > 0)
    assert unresolved > 0.65 if size[0] == 0 else unresolved < 0.05


def test_shape_angle_and_frame(oblique):
    size = (6.0, 1.0, 120.0)
    image = oblique.source((40, 50), 21.3, 17.8, 400.0, size)
    (x, y), found = (21.3, 17.8), components_of(image, oblique.beam)
    assert found.x == pytest.approx(x, abs=0.02) and found.y == pytest.approx(
        y, abs=0.02
    )
    assert found.flux == pytest.approx(400 * oblique.area(size), rel=0.01)
    assert found.dc_major == pytest.approx(6.0, abs=0.1)
    assert found.dc_angle == pytest.approx(120, abs=1)
    assert (found.cutout, found.island, found.flags) == (0, -1, 0)


@pytest.mark.parametrize("gap, snr", [(3.6, 30.0), (2.7, 80.0)])
def test_blends(simulated, gap, snr):
    """With the second gap, there is one maximum only."""
    shape = (30, 40)
    true = [(18.2, 15.1), (18.2 + gap, 15.6)]
    image = simulated.noise(shape)
    for (x, y), peak in zip(true, (snr, 0.7 * snr), strict=True):
        image += simulated.source(shape, x, y, peak)
    found = components_of(image, simulated.beam)
    assert len(found) == 2 and (np.diff(found.peak) < 0).all()
    assert (found.flags & FitFlag.BLENDED > 0).all()
    np.testing.assert_allclose(found.x, [x for x, _ in true], atol=0.5)
    np.testing.assert_allclose(found.flux, [snr, 0.7 * snr], rtol=0.2)
    alone = components_of(
        simulated.noise(shape) + simulated.source(shape, *true[0], snr), simulated.beam
    )
    assert (found.e_x[0] > alone.e_x[0]) and not alone.flags & FitFlag.BLENDED


def test_emission_that_is_no_gaussian_is_measured_by_its_pixels(simulated):
    shape = (70, 70)
    y, x = np.indices(shape)
    ring = np.abs(np.hypot(x - 34, y - 35) - 20) < 4
    image = simulated.noise(shape) + 60 * ring.astype(np.float32)
    found = components_of(image, simulated.beam)
    assert 1 < len(found) < 40
    assert (found.flags & FitFlag.PIXELS > 0).any()
    flux = 60 * ring.sum() / simulated.beam.area
    assert found.flux.sum() == pytest.approx(flux, rel=0.05)


def test_extended_emission_is_not_split_into_noise(simulated):
    shape = (80, 80)
    image = simulated.noise(shape) + simulated.source(shape, 40, 41, 15, (20, 15, 10))
    found = components_of(image, simulated.beam)
    assert len(found) <= 2
    assert found.flux.sum() == pytest.approx(15 * simulated.area((20, 15, 10)), rel=0.1)


def test_noise_holds_no_components(simulated):
    assert len(components_of(simulated.noise((500, 500)), simulated.beam)) <= 1


def test_no_cutouts(simulated):
    found = fit_components([], simulated.beam)
    assert len(found) == 0
    assert found.cutout.dtype == found.flags.dtype == np.int64


def test_edges_and_blanks(simulated):
    shape = (30, 60)
    image = simulated.noise(shape)
    image += simulated.source(shape, 1.0, 12.0, 60)
    image += simulated.source(shape, 40.0, 12.0, 60)
    image[9:12, 42:50] = np.nan
    found = components_of(image, simulated.beam)
    order = np.argsort(found.x)
    flags = found.flags[order] & ~int(FitFlag.UNRESOLVED)
    assert flags.tolist() == [FitFlag.AT_EDGE, FitFlag.NEAR_BLANK]
    np.testing.assert_allclose(found.x[order], [1.0, 40.0], atol=0.2)
    np.testing.assert_allclose(found.flux, 60, rtol=0.1)


def test_islands_of_components(simulated):
    shape = (30, 50)
    image = simulated.source(shape, 15, 15, 100) + simulated.source(shape, 24, 15, 50)
    bridge = np.abs(np.indices(shape)[0] - 15) < 2
    image = np.maximum(image, np.float32(4) * bridge)
    names = np.where(image > 20, 7, 0).astype(np.int32)
    names[:, 20:] *= 2
    (cutout,) = cutouts_of(image, simulated.beam, names)
    found = fit_components([cutout], simulated.beam)
    assert found.island[:2].tolist() == [0, 1]
    assert (found.island[2:] == -1).all()


def columns_of(found: Components, cutout: int) -> list[bytes]:
    rows = found.cutout == cutout
    names = [f.name for f in dataclasses.fields(found) if f.name != "cutout"]
    return [getattr(found, name)[rows].tobytes() for name in names]


def test_a_cutout_has_the_same_bits_whatever_is_fitted_beside_it(simulated):
    image, true = grid_of_sources(simulated, count=7, snr=20.0)
    for x, y in true[::3]:
        image += simulated.source(image.shape, x + 3.5, y + 1, 15.0)
    cutouts = cutouts_of(image, simulated.beam)
    together = fit_components(cutouts, simulated.beam)
    order = simulated.rng.permutation(len(cutouts))
    parts = np.array_split(order, [1, 5, 21])
    found: dict[int, Components] = {}

    def fit(number: int) -> None:
        some = [cutouts[k] for k in parts[number]]
        found[number] = fit_components(some, simulated.beam)

    threads = [threading.Thread(target=fit, args=(k,)) for k in range(len(parts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, part in enumerate(parts):
        for place, k in enumerate(part):
            assert columns_of(found[number], place) == columns_of(together, int(k))


def test_extended_sources_do_not_depend_on_others(simulated):
    """Whether a shape is fixed to the beam is decided for each source by itself."""
    sky = simulate_mosaic((330, 330), seed=28, density=15.0)
    cutouts = cutouts_of(sky.image / np.float32(1.65e-4), simulated.beam)
    together = fit_components(cutouts, simulated.beam)
    for number, cutout in enumerate(cutouts):
        alone = fit_components([cutout], simulated.beam)
        assert columns_of(alone, 0) == columns_of(together, number)


def test_large_islands_are_fitted_in_groups(simulated):
    """A chain of 14 sources, more than are fitted together."""
    shape = (24, 80)
    image = simulated.noise(shape)
    places = 6.0 + 5 * np.arange(14)
    for x in places:
        image += simulated.source(shape, x, 12.3, 50)
    assert len(cutouts_of(image, simulated.beam)) == 1
    found = components_of(image, simulated.beam)
    assert len(found) == 14
    np.testing.assert_allclose(np.sort(found.x), places, atol=0.25)
    np.testing.assert_allclose(found.flux, 50, rtol=0.2)


def test_a_fine_beam_is_thinned_out(rng, simulated):
    """Pixels a tenth of the beam give the same as those of a third."""
    simulated.beam = type(simulated.beam)(10.0, 10.0)
    image = simulated.source((90, 90), 44.2, 45.7, 80, (6, 3, 40))
    found = components_of(image, simulated.beam)
    assert found.flux == pytest.approx(80 * simulated.area((6, 3, 40)), rel=0.01)
    assert (found.x, found.y) == pytest.approx((44.2, 45.7), abs=0.05)


def test_sidelobes_of_which_other_gaussians_leave_nothing(simulated):
    """Warnings are errors here, and a mean over no brightness would be one."""
    rng = np.random.default_rng(1)
    height, spokes = rng.uniform(4, 30), rng.integers(5, 14)
    length = rng.uniform(10, 60)
    simulated = type(simulated)(rng, PixelBeam(4.0, 4.0))
    y, x = np.indices((70, 70)) - 35
    r = np.hypot(x, y)
    image = 1.5 * simulated.noise(r.shape) + 800 * np.exp(-0.5 * (r / 1.6) ** 2)
    image += height * np.cos(spokes * np.arctan2(y, x)) ** 8 * np.exp(-r / length)
    found = components_of(image.astype(np.float32), simulated.beam)
    assert len(found) > 10
    assert np.isfinite([found.flux, found.e_flux, found.e_x, found.e_major]).all()
