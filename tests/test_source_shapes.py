"""The script that measures the shapes of RadioGalaxyNET's sources."""

import numpy as np
import pytest
import source_shapes

from claran.fields.field import Field
from claran.sky.images import SkyImage


def field_with(blobs, turn=np.array):
    """Returns a field with round sources: x, y, peak, width."""
    rows, columns = np.mgrid[:80, :80] + 0.5
    values = sum(
        peak * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * width**2))
        for x, y, peak, width in blobs
    )
    image = SkyImage(
        values=np.ascontiguousarray(turn(values.astype("f4"))), pixel_arcsec=2.0,
        beam=(14.0, 14.0, 0.0),
    )  # fmt: skip
    return Field("f", image=image, noise=1.0)


BENT = [(20, 40, 60, 3.0), (40, 44, 90, 3.0), (58, 38, 30, 4.0)]


def test_distance_of_peaks_is_a_share_of_the_extent():
    (one,) = source_shapes.shapes(
        field_with([(25, 40, 50, 2.0), (55, 40, 45, 2.0)]), [np.array([0, 1])]
    )
    first = one[-3 * (2 * source_shapes.PEAKS + 3) :]  # Peaks, not smoothed.
    assert first[: source_shapes.PEAKS + 1].tolist() == [0, 0, 1, 0, 0]
    two = first[2 * source_shapes.PEAKS]
    extent = 30 + 2 * 2.0 * np.sqrt(2 * np.log(47.5 / source_shapes.FAINTEST))
    assert two == pytest.approx(30 / extent, abs=0.03)


@pytest.mark.parametrize("turn", [np.flipud, np.fliplr, np.rot90, np.transpose])
def test_turned_sources_have_the_same_shape(turn):
    expected, found = (
        source_shapes.shapes(field, [np.arange(len(field.islands))])
        for field in (field_with(BENT), field_with(BENT, turn))
    )
    np.testing.assert_allclose(found, expected, atol=0.02)


def test_there_may_be_no_source_and_one_of_few_pixels():
    field = field_with([(30, 40, 8.0, 3.0)])
    assert source_shapes.shapes(field, []).shape == (0, source_shapes.FEATURES)
    found = source_shapes.shapes(field, [np.array([0])])
    assert found.shape == (1, source_shapes.FEATURES) and np.isfinite(found).all()


def test_classes_are_learned(rng):
    features = rng.normal(size=(400, 3)).astype("f4")
    labels = 1 + (features[:, 0] > 0) + (features[:, 1] > 1)
    learned = source_shapes.Classifier(features[:300], labels[:300], 3)
    chances = learned(features[300:])
    np.testing.assert_allclose(chances.sum(axis=1), 1, rtol=1e-5)
    assert (chances.argmax(axis=1) + 1 == labels[300:]).mean() > 0.85
    again = source_shapes.Classifier(features[:300], labels[:300], 3)
    np.testing.assert_array_equal(again(features[300:]), chances)
