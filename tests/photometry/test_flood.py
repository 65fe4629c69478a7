"""Flood islands and their cutouts."""

import numpy as np

from claran.photometry.flood import flood_cutouts, flood_labels


def test_labels_are_in_scan_order_and_hold_a_seed():
    ratio = np.zeros((6, 9), np.float32)
    ratio[4, 0:2] = 6  # The last one.
    ratio[0, 7] = 5.5  # The first one.
    ratio[1:4, [2, 3, 4]] = np.diag([4, 3.5, 9])
    ratio[0, 0] = 4.9  # No seed.
    ratio[2, 8] = np.nan
    found = flood_labels(ratio)
    assert (found[4, 0], found[4, 1], found[0, 7]) == (3, 3, 1)
    assert found[[1, 2, 3], [2, 3, 4]].tolist() == [2, 2, 2]
    assert np.count_nonzero(found) == 6 and found.dtype == np.int32


def test_cutouts_know_their_neighbors_and_islands():
    ratio = np.zeros((40, 40), np.float32)
    ratio[10, 10:16], ratio[14, 14], ratio[39, 39] = 4, 8, 8
    ratio[10, [10, 15]] = 9, 7
    islands = np.where(ratio > 5, 5, 0).astype(np.int32)
    islands[:, 12:] *= 2
    first, second, last = flood_cutouts(
        ratio * 2, ratio * 0 + 2, ratio, 3.0, islands=islands
    )
    assert (first.x0, first.y0, first.values.shape) == (4, 4, (13, 18))
    assert first.flood.sum() == 6 and first.others[10, 10] and second.others[2, 2]
    assert first.islands[6, 6] == 1 and first.islands[6, 11] == 2
    assert first.islands.sum() == 3 and last.islands.max() == 1
    assert (last.x0, last.values.shape) == (33, (7, 7)) and last.flood[-1, -1]
    assert (first.values == ratio[4:17, 4:22] * 2).all() and (first.noise == 2).all()


def test_nothing_above_the_noise():
    nothing = np.full((5, 5), 2, np.float32)
    assert flood_cutouts(nothing, nothing, nothing, 3.0) == []
