import numpy as np
import pytest

from claran.labels import RGZ_CLASSES
from claran.simulation import field_noise, selection
from claran.simulation import radio_sky as radio
from claran.simulation.observation import FIRST
from claran.simulation.populations import CATALOG, SURVEYS
from claran.simulation.source_drawing import Source


def test_cut_out_of_the_noise(rng):
    noise = rng.normal(size=(10, 10)).astype(np.float32)
    np.testing.assert_array_equal(
        selection._cut_out(noise, np.zeros(2, int), 10), noise
    )
    window = selection._cut_out(noise, np.array([4, -2]), 6)  # x is the column.
    np.testing.assert_array_equal(window[:, :4], noise[:6, 6:])
    assert not window[:, 4:].any()


@pytest.mark.parametrize("code", RGZ_CLASSES)
def test_source_has_its_class_on_the_noise(code, rng):
    noise = field_noise.draw_noise(rng, FIRST, 1.6e-4)
    source = selection.draw_of_class(
        rng, code, (1.0, 1.0), FIRST, background=noise, sigma=1.6e-4,
        population=CATALOG,
    )  # fmt: skip
    image = radio.render(source.blobs, FIRST) + noise
    components, peaks = map(int, code.split("_"))
    found = selection._count(image, FIRST, 1.05 * 1.6e-4, components)
    assert found == (components, peaks)
    middle = FIRST.size // 2
    assert image[middle - 2 : middle + 2, middle - 2 : middle + 2].max() > 8e-4


def test_bent_jets_of_two_components_for_other_surveys(rng):
    noise = field_noise.draw_noise(rng, FIRST, 1.6e-4)
    drawn = {
        selection.draw_of_class(
            rng, "2_2", (1.0, 1.0), FIRST, background=noise, sigma=1.6e-4,
            population=SURVEYS,
        ).family
        for _ in range(40)
    }  # fmt: skip
    assert {"double", "twin_jets", "wide_tail"} <= drawn


def test_flux_bins_in_which_two_points_are_separate():
    blobs = np.array([[-5.5, 0.0, 1.0, 0.0], [5.5, 0.0, 1.0, 0.0]])
    model = radio.render(blobs, FIRST, size=60)
    bins = selection._flux_bins("2_2", model, 2, 1.6e-4, FIRST)
    joined = selection._flux_bins("2_2", model, 1, 1.6e-4, FIRST)
    assert bins and joined and max(bins) < min(joined)
    assert sorted(bins + joined) == list(range(min(bins), selection._BINS))


def test_window_contains_the_source(rng):
    source = Source("double", np.array([[20.0, 0.0, 1.0, 2.0]]), np.full(3, np.nan))
    window = selection._render_window(source, FIRST)
    assert len(window) < FIRST.size and len(window) % 2 == 0
    whole = radio.render(source.blobs, FIRST)
    margin = (FIRST.size - len(window)) // 2
    inner = slice(margin, FIRST.size - margin)
    np.testing.assert_allclose(window, whole[inner, inner], atol=1e-6)
    assert whole.sum() == pytest.approx(window.sum(), rel=1e-2)


def test_shift_brings_a_peak_to_the_four_central_pixels(rng):
    tops = np.array([[3, 17], [12, 5]])
    for _ in range(20):
        x, y = selection._shift_to_center(rng, tops, 10)
        assert any({row + y, column + x} <= {9, 10} for row, column in tops.tolist())
    assert not selection._shift_to_center(rng, tops[:0], 10).any()
