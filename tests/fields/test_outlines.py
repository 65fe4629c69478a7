"""Islands of a field and their peaks, in units of its own noise."""

import dataclasses

import numpy as np

from claran.fields.field import unlabelled
from claran.fields.outlines import islands_and_peaks
from claran.sky.images import SkyImage, read_sky_image


def test_peaks_of_each_island(rng):
    y, x = np.mgrid[:60, :60]
    spot = lambda x0, y0: np.exp(-((x - x0) ** 2 + (y - y0) ** 2) / 8)
    radio = 100 * (spot(15, 15) + spot(45, 40) + spot(45, 47))
    radio += rng.normal(0, 0.1, (60, 60))
    radio[0, :] = np.nan
    islands, peaks = islands_and_peaks(
        unlabelled(SkyImage(values=radio.astype(np.float32))) | {"noise": 1.0}
    )
    assert peaks.counts(len(islands)).tolist() == [1, 2]


def test_islands_have_the_peaks_in_a_field_of_9_arcmin_that_they_have_in_3(real_data):
    same, all_ = 0, 0
    for path in sorted((real_data / "first_fields_dev").glob("*.fits")):
        large = read_sky_image(path)
        small = dataclasses.replace(large, values=large.values[100:200, 100:200])
        (inner, inner_peaks), (outer, outer_peaks) = (
            islands_and_peaks(unlabelled(field)) for field in (small, large)
        )
        counts = outer_peaks.counts(len(outer))
        outer_boxes = outer.boxes - 100
        for box, peaks in zip(
            inner.boxes, inner_peaks.counts(len(inner)).tolist(), strict=True
        ):
            if box.min() <= 0 or box.max() >= 100:
                continue  # Cut by the edge of the smaller.
            low = np.maximum(box[:2], outer_boxes[:, :2])
            high = np.minimum(box[2:], outer_boxes[:, 2:])
            (touching,) = (low < high).all(axis=1).nonzero()
            all_ += 1
            same += counts[touching].tolist() == [peaks]
    assert all_ > 20
    assert same >= 0.9 * all_  # With one noise for the large field: 0.64.
