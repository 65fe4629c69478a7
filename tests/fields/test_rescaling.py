import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from claran.fields.rescaling import interpolate, linear_samples


def rescaled(values, shape):
    return interpolate(values, *map(linear_samples, values.shape, shape))


@pytest.mark.parametrize("shape", [(40, 50), (25, 31), (90, 12), (1, 1), (40, 100)])
def test_it_is_the_linear_interpolation_of_opencv(rng, shape):
    values = rng.normal(size=(40, 50)).astype(np.float32)
    expected = cv2.resize(values, shape[::-1])
    found = rescaled(values, shape)
    assert found.shape == shape and found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=2e-6)


def test_a_ramp_stays_a_ramp():
    values = np.broadcast_to(np.arange(10, dtype=np.float32), (3, 10))
    found = rescaled(np.ascontiguousarray(values), (3, 20))
    expected = np.clip(np.arange(20) / 2 - 0.25, 0, 9)
    np.testing.assert_allclose(found, np.broadcast_to(expected, (3, 20)), rtol=1e-6)


def test_the_same_shape_changes_nothing(rng):
    values = rng.normal(size=(7, 9)).astype(np.float32)
    values[2, 3] = np.nan
    np.testing.assert_array_equal(rescaled(values, (7, 9)), values)


def test_blank_pixels_stay_blank():
    values = np.ones((9, 9), np.float32)
    values[4, 4] = np.nan
    # Every third pixel lies on the center of one.
    assert np.argwhere(np.isnan(rescaled(values, (3, 3)))).tolist() == [[1, 1]]
    blank = np.argwhere(np.isnan(rescaled(values, (18, 18))))
    assert blank.min() == 7 and blank.max() == 10 and len(blank) == 16


@settings(max_examples=100, deadline=None)
@given(
    st.integers(1, 40), st.integers(1, 90), st.data(),
)  # fmt: skip
def test_a_part_is_that_of_the_whole(source, target, data):
    start = data.draw(st.integers(0, target - 1))
    stop = data.draw(st.integers(start + 1, target))
    whole, part = (
        linear_samples(source, target, *ends) for ends in ((), (start, stop))
    )
    for all_of_it, some in zip(whole, part, strict=True):
        np.testing.assert_array_equal(all_of_it[start:stop], some)
    assert (part.low >= 0).all() and (part.high < source).all()
    assert (part.high - part.low <= 1).all()
