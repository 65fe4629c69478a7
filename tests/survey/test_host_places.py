"""Where the hosts of a mosaic's sources can be: whatever the tiles, as in a field."""

import pickle

import numpy as np
import pytest

import claran
from claran.hosts.landmarks import find_landmarks
from claran.hosts.packed_densities import PackedDensities
from claran.hosts.position_density import host_densities
from claran.simulation.mosaic_plan import MosaicPlan
from claran.simulation.simulated_mosaic import write_mosaic
from claran.sky.mosaic_maps import measure_maps
from claran.sky.mosaics import open_mosaic
from claran.survey.fingerprints import fingerprint
from claran.survey.host_places import HostPlacing, place_hosts
from claran.survey.mosaic_islands import find_mosaic_islands, label_tile
from claran.survey.tiles import make_tiles


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("mosaic") / "M.fits"
    plan = MosaicPlan(shape=(300, 330), seed=3, density=12.0, blank=("corners",))
    write_mosaic(plan, path)
    return path


@pytest.fixture(scope="module")
def placing(path):
    """The islands of a crowded mosaic; each second source is of two islands."""
    maps = measure_maps(open_mosaic(path, scratch=path.parent))

    def run(_, __, context, tiles, **___):
        return (label_tile(context, tile) for tile in tiles)

    islands = find_mosaic_islands(maps, make_tiles(maps.mosaic.shape, 128), run)
    count = len(islands)
    assert count > 12
    counts = np.tile([1, 2], count)[: 2 * count // 3]
    members = np.arange(counts.sum())
    return HostPlacing(
        maps=maps, islands=islands, members=members, counts=counts, network=""
    )


def of_tiles(placing, side, together=1):
    tiles = make_tiles(placing.maps.mosaic.shape, side)
    groups = [tiles[i : i + together] for i in range(0, len(tiles), together)]
    parts = [place_hosts(placing, group) for group in groups]
    found = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    order = np.argsort(found.pop("source"))
    assert len(order) == len(placing.counts)
    return PackedDensities.from_arrays(found).chosen(order)


def test_places_do_not_depend_on_tiles(placing):
    one = of_tiles(placing, 2048)
    for side, together in ((50, 3), (128, 1)):
        other = of_tiles(placing, side, together)
        for name, array in one.arrays.items():
            np.testing.assert_array_equal(array, getattr(other, name), err_msg=name)


def test_places_are_those_of_a_field(placing, path):
    field = claran.read_field(path)
    starts = np.cumsum(placing.counts) - placing.counts
    for row, density in enumerate(of_tiles(placing, 128)):
        group = placing.members[starts[row] :][: placing.counts[row]].tolist()
        marks = find_landmarks(
            field.signal_to_noise, field.islands, group, field.beam_pixels
        )
        (wanted,) = host_densities([marks])
        np.testing.assert_allclose(density.means, wanted.means, rtol=1e-9)
        np.testing.assert_allclose(density.weights, wanted.weights, rtol=1e-6)


def test_what_is_kept_between_runs_does_not_depend_on_what_was_computed(placing):
    before = fingerprint(placing)
    assert placing.boxes.shape == (len(placing.counts), 4)
    assert fingerprint(placing) == before
    assert len(pickle.loads(pickle.dumps(placing)).members) == len(placing.members)


def test_no_source_has_no_place(placing):
    none = HostPlacing(
        maps=placing.maps, islands=placing.islands, members=np.zeros(0, int),
        counts=np.zeros(0, int), network="",
    )  # fmt: skip
    found = place_hosts(none, make_tiles(placing.maps.mosaic.shape, 2048))
    assert len(found.pop("source")) == 0
    assert list(PackedDensities.from_arrays(found)) == []
