import numpy as np
import pytest

from claran.photometry.fit_flags import FitFlag
from claran.photometry.pixel_beams import PixelBeam
from claran.photometry.source_flags import SourceFlag
from claran.photometry.source_measures import measure_sources

BEAM = PixelBeam(4.0, 4.0, 0.0)


def make_islands(*places, **columns):
    """Islands of 6 x 6 pixels around places, each in its own flood island."""
    x, y = np.array(places, float).reshape(-1, 2).T
    count = len(x)
    rows = {"x": x, "y": y, "flood": np.arange(count)}
    same = {"e_x": 0.1, "e_y": 0.2, "peak": 1.0, "e_peak": 0.1, "flux": 1.1}
    same |= {"e_flux": 1.0, "major": 4.0, "minor": 4.0, "angle": 0.0}
    rows |= {name: np.full(count, value) for name, value in same.items()}
    rows["rms"], rows["snr"] = np.full(count, 0.1), np.full(count, 10.0)
    rows["peaks"] = np.ones((count, 1), np.int64)
    rows["at_edge"] = rows["beside_blank"] = np.zeros(count, bool)
    rows["boxes"] = np.stack([x - 3, y - 3, x + 3, y + 3], axis=1)
    return rows | {name: np.asarray(value) for name, value in columns.items()}


def make_components(*rows, **columns):
    """Components of rows `(island, x, y, flux)`; point sources."""
    island, x, y, flux = np.array(rows, float).reshape(-1, 4).T
    count = len(x)
    found = {"island": island.astype(int), "x": x, "y": y, "flux": flux}
    found |= {"peak": flux.copy(), "flags": np.zeros(count, int)}
    found["flood"] = found["island"]
    same = {"e_x": 0.1, "e_y": 0.2, "e_flux": 0.1, "e_peak": 0.1, "noise": 0.1}
    same |= {"dc_major": 0.0, "dc_minor": 0.0, "dc_angle": 0.0}
    same |= {"e_dc_major": 1.5, "e_dc_minor": 1.5}
    found |= {name: np.full(count, value) for name, value in same.items()}
    return found | {name: np.asarray(value) for name, value in columns.items()}


def measure(groups, islands, components, **options):
    members = np.array([island for group in groups for island in group], np.int64)
    counts = np.array([len(group) for group in groups], np.int64)
    return measure_sources(members, counts, islands, components, BEAM, **options)


def one(groups, islands, components, **options):
    """The only row."""
    found = measure(groups, islands, components, **options)
    return {name: column[0] for name, column in found.items()}


def test_point_source():
    found = one([[0]], make_islands((20, 30)), make_components((0, 20.1, 30.2, 2.0)))
    assert (found["x"], found["y"]) == (20.1, 30.2)
    assert (found["e_x"], found["e_y"]) == pytest.approx((0.1, 0.2))
    assert (found["flux"], found["peak_flux"], found["snr"]) == (2.0, 2.0, 20.0)
    assert (found["las"], found["e_las"]) == (0.0, 1.5)  # The upper limit.
    assert np.isnan(found["angle"])
    assert found["position_kind"] == "flux"
    assert (found["n_components"], found["n_gaussians"], found["n_peaks"]) == (1, 1, 1)
    assert found["boxes"].tolist() == [17, 27, 23, 33]
    assert found["flags"] == 0


def test_resolved_source_has_its_own_axis():
    components = make_components(
        (0, 20, 30, 2.0), dc_major=[6.0], dc_angle=[40.0], e_dc_major=[0.3]
    )
    found = one([[0]], make_islands((20, 30)), components)
    assert (found["las"], found["e_las"], found["angle"]) == (6.0, 0.3, 40.0)


def test_double_source():
    components = make_components(
        (0, 10, 50, 1.0), (1, 50, 20, 3.0), dc_major=[6.0, 2.0], dc_minor=[6.0, 2.0]
    )
    found = one([[0, 1]], make_islands((10, 50), (50, 20)), components)
    assert (found["x"], found["y"]) == (40.0, 27.5)
    assert found["flux"] == 4.0
    assert found["e_flux"] == pytest.approx(0.1 * np.sqrt(2))
    assert found["peak_flux"] == 3.0
    # The straight distance, and half of the size of each end.
    assert found["las"] == pytest.approx(50 + 3 + 1)
    assert found["angle"] == pytest.approx(np.degrees(np.arctan2(40, 30)))
    assert found["position_kind"] == "flux"
    assert found["boxes"].tolist() == [7, 17, 53, 53]
    # Errors of the fluxes move the center along the line.
    assert found["e_x"] > found["e_y"] > 0.1


def test_core_between_lobes_gives_the_position():
    components = make_components((0, 10, 20, 5.0), (1, 33, 22, 0.5), (2, 50, 20, 1.0))
    found = one([[0, 1, 2]], make_islands((10, 20), (33, 22), (50, 20)), components)
    assert found["position_kind"] == "core"
    assert (found["x"], found["y"]) == (33, 22)
    assert found["e_x"] == 0.1
    assert found["las"] == pytest.approx(np.hypot(23, 2) + np.hypot(17, 2))


@pytest.mark.parametrize(
    "middle, size, flags",
    [
        pytest.param((33, 22), 7.0, 0, id="resolved"),
        pytest.param((20, 20), 0.0, 0, id="nearer to an end"),
        pytest.param((33, 22), 0.0, FitFlag.MOMENTS, id="not fitted"),
    ],
)
def test_what_is_no_core(middle, size, flags):
    components = make_components(
        (0, 10, 20, 5.0), (1, *middle, 0.5), (2, 50, 20, 1.0), dc_major=[0, size, 0],
        dc_minor=[0, size, 0], flags=[0, int(flags), 0],
    )  # fmt: skip
    islands = make_islands((10, 20), middle, (50, 20))
    assert one([[0, 1, 2]], islands, components)["position_kind"] == "flux"


def test_bent_source_is_longer_than_straight():
    components = make_components((0, 10, 10, 1), (1, 30, 34, 1), (2, 50, 10, 1))
    found = one([[0, 1, 2]], make_islands((10, 10), (30, 34), (50, 10)), components)
    assert found["las"] == pytest.approx(2 * np.hypot(20, 24))
    assert found["angle"] == pytest.approx(90)


@pytest.mark.parametrize(
    "flags, bits",
    [
        (FitFlag.PIXELS, SourceFlag.PIXEL_FLUX),
        (FitFlag.MOMENTS, SourceFlag.PIXEL_FLUX | SourceFlag.FIT_FAILED),
    ],
)
def test_what_no_gaussian_describes_is_measured_by_pixels(flags, bits):
    components = make_components(
        (0, 10, 20, 9.0), (0, 12, 20, 9.0), (1, 40, 20, 3.0), flags=[0, int(flags), 0]
    )
    found = one([[0, 1]], make_islands((10, 20), (40, 20)), components)
    assert found["flux"] == pytest.approx(1.1 + 3.0)
    assert found["peak_flux"] == 3.0
    assert found["flags"] == bits


@pytest.mark.parametrize(
    "pixels, error, edge, by_pixels",
    [
        pytest.param(9.0, 0.3, False, False, id="agree"),
        pytest.param(20.0, 3.0, False, False, id="uncertain"),
        pytest.param(7.1, 0.1, False, False, id="nearly agree"),
        pytest.param(20.0, 0.3, False, True, id="too little"),
        pytest.param(5.0, 0.3, False, True, id="too much"),
        pytest.param(20.0, 0.3, True, False, id="at an edge"),
    ],
)
def test_gaussians_must_agree_with_the_pixels(pixels, error, edge, by_pixels):
    """Of a flood island with two islands and a component in neither."""
    islands = make_islands(
        (10, 20), (30, 20), flux=[pixels - 2, 2], e_flux=[error, 0.0], flood=[7, 7],
        at_edge=[edge, edge],
    )  # fmt: skip
    components = make_components(
        (0, 10, 20, 5.0), (1, 30, 20, 2.0), (-1, 14, 20, 1.5), flood=[7, 7, 7]
    )
    found = measure([[0], [1]], islands, components)
    expected = [pixels - 2, 2] if by_pixels else [5, 2]
    assert found["flux"] == pytest.approx(expected)
    bit = found["flags"] & SourceFlag.PIXEL_FLUX
    assert bit.tolist() == 2 * [by_pixels * SourceFlag.PIXEL_FLUX]


def test_island_without_a_component():
    islands = make_islands((10, 20), major=[9.0], minor=[5.0], angle=[30.0], snr=[50.0])
    found = one([[0]], islands, make_components((-1, 13, 20, 2.0)))
    assert found["flux"] == 1.1
    assert found["las"] == pytest.approx(np.sqrt(81 - 16))
    assert found["angle"] == pytest.approx(30)
    assert found["n_gaussians"] == 0
    assert found["flags"] == SourceFlag.FIT_FAILED | SourceFlag.PIXEL_FLUX


def test_rows_do_not_depend_on_other_sources(rng):
    places = rng.uniform(0, 500, (40, 2))
    islands = make_islands(*places)
    rows = [
        (island, *(places[island] + rng.normal(size=2)), rng.uniform(1, 3))
        for island in rng.integers(0, 40, 100)
    ]
    components = make_components(*rows)
    groups = [list(range(i, i + 1 + i % 4)) for i in range(0, 36, 4)]
    together = measure(groups, islands, components)
    for i, group in enumerate(groups):
        alone = measure([group], islands, components)
        for name, column in alone.items():
            np.testing.assert_array_equal(column[0], together[name][i], name)


def flags_of(groups, islands, components, **options):
    return measure(groups, islands, components, **options)["flags"].tolist()


def test_flags_of_pixels():
    islands = make_islands(
        (10, 20), (40, 20), (70, 20), at_edge=[True, False, False],
        beside_blank=[False, True, False],
    )  # fmt: skip
    components = make_components((0, 10, 20, 1), (1, 40, 20, 1), (2, 70, 20, 1))
    found = flags_of([[0], [1, 2]], islands, components)
    assert found == [SourceFlag.AT_EDGE, SourceFlag.NEAR_BLANK]


def test_blended_sources():
    islands = make_islands((10, 20), (20, 20), (70, 20), (80, 20), flood=[0, 0, 1, 1])
    components = make_components(
        *((i, 10 + i, 20, 1) for i in range(4)), flood=[0, 0, 1, 1]
    )
    found = flags_of([[0], [1], [2, 3]], islands, components)
    assert found == [SourceFlag.BLENDED, SourceFlag.BLENDED, 0]


@pytest.mark.parametrize(
    "distance, flux, near", [(100, 1, 1), (130, 1, 0), (100, 2, 0)]
)
def test_near_a_bright_source(distance, flux, near):
    islands = make_islands((10, 20), (10 + distance, 20), flux=[300.0, flux])
    components = make_components((0, 10, 20, 300), (1, 10 + distance, 20, flux))
    found = flags_of([[0], [1]], islands, components)
    assert found == [0, near * SourceFlag.NEAR_BRIGHT]


@pytest.mark.parametrize(
    "window, overlap, large",
    [(100, 20, [0, 0]), (50, 20, [0, 1]), (50, 40, [0, 0]), (30, 40, [0, 1])],
)
def test_larger_than_the_network_sees(window, overlap, large):
    islands = make_islands((10, 20), (40, 20), (70, 20), cluster=np.array([4, 4, 4]))
    components = make_components((0, 10, 20, 1), (1, 40, 20, 1), (2, 70, 20, 1))
    found = flags_of([[0], [1, 2]], islands, components, window=window, overlap=overlap)
    assert found == [bit * SourceFlag.TOO_LARGE for bit in large]


def test_ambiguous_grouping():
    islands = make_islands((10, 20), (40, 20))
    components = make_components((0, 10, 20, 1), (1, 40, 20, 1))
    found = flags_of([[0], [1]], islands, components, second=np.array([0.2, 0.21]))
    assert found == [0, SourceFlag.AMBIGUOUS]


def test_no_sources():
    found = measure([], make_islands((10, 20)), make_components((0, 10, 20, 1)))
    assert {len(column) for column in found.values()} == {0}
