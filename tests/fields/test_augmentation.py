"""Random changes of a field: what they change, and what they must not."""

import dataclasses
import math

import numpy as np
import pytest

from claran.fields import field as field_module
from claran.fields.augmentation import AddNoise, DropInfrared, Move, ScaleFlux
from claran.fields.channels import Channels
from claran.fields.field import Field
from claran.fields.outlines import components
from claran.sky.images import SkyImage
from claran.sky.noise import noise

DOUBLE = [(20.0, 22.5), (34.0, 30.0)]
SINGLE = [(44.5, 40.5)]
ALL = (
    Move(shift=5), ScaleFlux(), AddNoise(gain=1.3), DropInfrared(probability=0.5),
)  # fmt: skip


@pytest.mark.parametrize("transform", ALL, ids=lambda t: type(t).__name__)
def test_seed_decides_and_field_is_left_alone(make_field, transform):
    field, untouched = make_field(DOUBLE, SINGLE), make_field(DOUBLE, SINGLE)
    one, same, other = (
        transform(field, np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one.image.values, same.image.values)
    np.testing.assert_array_equal(one.objects.boxes, same.objects.boxes)
    if not isinstance(transform, DropInfrared):
        assert not np.array_equal(one.image.values, other.image.values, equal_nan=True)
    np.testing.assert_array_equal(field.image.values, untouched.image.values)
    np.testing.assert_array_equal(field.picture, untouched.picture)
    for key in ("boxes", "labels", "ignored"):
        np.testing.assert_array_equal(
            getattr(field.objects, key), getattr(untouched.objects, key)
        )


@pytest.mark.parametrize("transform", ALL, ids=lambda t: type(t).__name__)
def test_field_without_objects_keeps_types(make_field, transform, rng):
    changed = transform(make_field(infrared=False), rng)
    assert changed.objects.boxes.shape == (0, 4)
    assert changed.objects.boxes.dtype == changed.image.values.dtype == np.float32
    assert (changed.objects.labels.dtype, changed.objects.ignored.dtype) == (
        np.int32,
        bool,
    )
    assert changed.picture is None


def test_move_by_quarter_turns_reaches_all_eight_pictures(make_field, rng):
    field = make_field([(50.5, 40.5)])
    move = Move(step=90)
    pictures = {move(field, rng).image.values.tobytes() for _ in range(100)}
    assert len(pictures) == 8


def test_move_shifts_up_to_its_limit(make_field, rng):
    field = make_field([(32.5, 32.5)])
    move = Move(flip=0, step=360, shift=3)
    places = {tuple(move(field, rng).objects.boxes[0, :2].tolist()) for _ in range(500)}
    x0, y0 = field.objects.boxes[0, :2].tolist()
    assert places == {(x0 + i, y0 + j) for i in range(-3, 4) for j in range(-3, 4)}


def test_scaled_flux_scales_the_noise_and_nothing_else(make_field, rng):
    field = make_field(DOUBLE)
    scaled = ScaleFlux(low=0.1, high=10)(field, rng)
    assert scaled.noise != field.noise
    np.testing.assert_allclose(
        scaled.image.values / scaled.noise, field.image.values / field.noise, rtol=1e-5
    )
    np.testing.assert_array_equal(scaled.objects.boxes, field.objects.boxes)


def test_added_noise_is_as_strong_as_it_says(make_field, rng):
    field = make_field(shape=(128, 128))
    ratios = []
    for _ in range(50):
        noisy = AddNoise(gain=2)(field, rng)
        added = math.sqrt(noisy.noise**2 - field.noise**2)
        ratios.append(noise(noisy.image.values) / added)
        assert field.noise <= noisy.noise <= 2 * field.noise
    assert np.mean(ratios) == pytest.approx(1, abs=0.02)


def test_added_noise_has_the_correlation_of_the_beam(make_field, rng):
    field = make_field(shape=(256, 256))
    image = SkyImage(
        values=0 * field.image.values, pixel_arcsec=1.0, beam=(6.0, 6.0, 0.0)
    )
    field = field.replace(image=image, noise=1.0)
    noisy = AddNoise(gain=2)(field, rng).image.values
    # The beam has half of its height three pixels from its center.
    lag = np.corrcoef(noisy[:, 3:].ravel(), noisy[:, :-3].ravel())[0, 1]
    assert lag == pytest.approx(0.5, abs=0.05)


def test_added_noise_draws_boxes_again(make_field, rng):
    field = make_field([(32.7, 32.5)], flux=90)
    boxes = []
    for _ in range(60):
        noisy = AddNoise(gain=1.5)(field, rng)
        above = noisy.image.values > 9 / 3**0.5 * noisy.noise
        rows, columns = above[26:40, 26:40].nonzero()
        expected = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        assert (noisy.objects.boxes[0] - 26).tolist() == expected
        boxes.append(tuple(expected))
    assert len(set(boxes)) > 1


def test_noise_that_would_drown_a_component_is_not_added(
    make_field, make_objects, with_values, rng
):
    strong, faint = make_field([(20.5, 20.5)]), make_field([(40.5, 40.5)], flux=12)
    field = with_values(strong, strong.image.values + faint.image.values)
    field = field.replace(objects=make_objects([[16, 16, 43, 43]]))
    kept = 0
    for _ in range(40):
        noisy = AddNoise(gain=2)(field, rng)
        if noisy is field:
            kept += 1
        else:
            _, (count,) = components(noisy.islands, noisy.objects.boxes)
            assert count == 2
    assert 0 < kept < 40
    # The same object, ignored, does not stand in the way.
    ignored = make_objects([[16, 16, 43, 43]], ignored=np.array([True]))
    ignored = field.replace(objects=ignored)
    assert AddNoise(gain=2)(ignored, rng) is not ignored


def test_blank_pixels_stay_blank(make_field, with_values, rng):
    field = make_field(SINGLE)
    values = field.image.values.copy()
    values[:, :9] = np.nan
    field = with_values(field, values)
    noisy = AddNoise()(field, rng)
    np.testing.assert_array_equal(
        np.isnan(noisy.image.values), np.isnan(field.image.values)
    )


def test_infrared_is_dropped_as_often_as_it_says(make_field, rng):
    field = make_field()
    drop = DropInfrared(probability=0.3)
    dropped = sum(drop(field, rng).picture is None for _ in range(1000))
    assert 250 < dropped < 350


def test_each_image_is_measured_once(make_field, count_calls, rng):
    """Outlines, boxes and channels of a training sample use the same islands."""
    islands = count_calls(field_module, "find_islands")
    ratios = count_calls(field_module, "local_noise")
    noises = count_calls(field_module, "noise")
    made = make_field(DOUBLE, SINGLE)
    for count in range(1, 4):
        field = made.replace(image=dataclasses.replace(made.image), noise=1.0)
        moved = Move(shift=3)(field, rng)
        noisy = AddNoise(gain=1.1)(moved, rng)
        assert noisy is not moved
        dropped = DropInfrared(probability=1.0)(noisy, rng)
        Channels()(dropped).view()
        # As it was, moved, and with noise; what the network sees is the last.
        assert len(islands) == len(ratios) == 3 * count
    assert noises == []  # It is given, and follows the changes by rule.


@pytest.mark.parametrize("transform", [ScaleFlux(), AddNoise()], ids=str)
def test_a_picture_has_no_flux(rng, transform):
    field = Field("drawn", picture=np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(ValueError, match="drawn: is a picture"):
        transform(field, rng)


@pytest.mark.parametrize(
    "transform, options, message",
    [
        (Move, {"flip": 1.5}, r"`flip` must be a probability .* got 1\.5"),
        (Move, {"flip": math.nan}, "`flip` must be a probability .* got nan"),
        (Move, {"step": -1}, r"`step` must be in \[0, 360\] degrees, got -1"),
        (Move, {"shift": -2}, "`shift` must be at least 0 pixels, got -2"),
        (ScaleFlux, {"low": 0}, "`low` and `high` must satisfy .* got 0 and 2"),
        (ScaleFlux, {"low": 3}, "`low` and `high` must satisfy .* got 3 and 2"),
        (AddNoise, {"gain": 0.9}, r"`gain` must be in \[1, 2\], got 0\.9"),
        (DropInfrared, {"probability": -1}, "`probability` must be .* got -1"),
    ],
)
def test_nonsense_is_refused(transform, options, message):
    with pytest.raises(ValueError, match=message):
        transform(**options)
