import io

import numpy as np
import pytest

from claran.figures.brightness import brightness_unit, draw_brightness
from claran.figures.isolation import new_figure, own_style


@pytest.mark.parametrize(
    "unit, noise, expected",
    [
        ("JY/BEAM", 1.5e-4, (1e3, "mJy/beam")),
        ("Jy beam-1", 4e-6, (1e6, "µJy/beam")),
        ("Jy/beam", 2.0, (1.0, "Jy/beam")),
        ("Jy/beam", np.nan, (1.0, "Jy/beam")),
        ("mJy/beam", 0.15, (1.0, "mJy/beam")),
        ("", 1.0, (1.0, "unknown unit")),
        ("$K\n", 1.0, (1.0, r"$K\n")),
    ],
)
def test_units(unit, noise, expected):
    assert brightness_unit(unit, noise) == expected


def drawn(values, noise, unit="JY/BEAM"):
    ny, nx = values.shape
    with own_style():
        figure = new_figure(3, 3)
        axes = figure.add_subplot()
        draw_brightness(axes, values, (0, nx, 0, ny), noise=noise, unit=unit)
    figure.savefig(io.BytesIO(), format="png")
    (bar,) = axes.child_axes
    ticks = [label.get_text() for label in bar.get_yticklabels()]
    return axes.images[0], bar.get_ylabel(), ticks


@pytest.mark.parametrize("offset", [0.0, 0.5, -3.0])
def test_shades_are_relative_to_the_background(rng, offset):
    """An offset of the whole image changes no shade, and the bar has its numbers."""
    values = rng.normal(size=(40, 40)).astype(np.float32) * 1e-3
    values[5, 5] = 1
    plain, _, _ = drawn(values, 1e-3)
    image, text, ticks = drawn(values + np.float32(offset), 1e-3)
    np.testing.assert_allclose(
        image.get_array().filled(), plain.get_array().filled(), atol=2e-3
    )
    assert text == "Brightness [mJy/beam]; scale: asinh, linear within 3 σ = 3"
    assert len(ticks) > 2


def test_ticks_are_round_numbers_and_have_zero(rng):
    values = rng.normal(size=(40, 40)).astype(np.float32) * 1e-4
    values[5, 5] = 0.1
    _, text, ticks = drawn(values, 1e-4)
    assert text == "Brightness [mJy/beam]; scale: asinh, linear within 3 σ = 0.3"
    assert ticks[0] == "−0.2" and {"0", "1", "10", "100"} <= set(ticks)


@pytest.mark.parametrize("value", [0.0, 3.0, np.nan])
def test_without_noise_the_scale_is_linear(value):
    _, text, _ = drawn(np.full((4, 4), value, np.float32), np.nan, unit="K")
    assert text == "Brightness [K]; scale: linear"
