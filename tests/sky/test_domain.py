"""What the user is told of images that scores are not calibrated for."""

import numpy as np
import pytest
from scipy import ndimage, stats

from claran.fields.field import Field
from claran.sky.domain import (
    count_depths,
    domain_notes,
    has_gaussian_noise,
    sampled,
    tail_depth,
)
from claran.sky.images import SkyImage
from claran.sky.surveys import Survey

SAID = "scores are not calibrated for images with "
NARROW, WIDE = "a beam of less than 2 pixels", "a beam of more than 10 pixels"
LONG, NOISE = "a beam more than 2 times as long as wide", "noise that is not Gaussian"


def gaussian(shape=(200, 200), *, seed=0, beam=3.0):
    """Gaussian noise with the correlation of a beam."""
    sky = np.random.default_rng(seed).normal(size=shape)
    smooth = ndimage.gaussian_filter(sky, beam / 2.355, mode="wrap")
    return (smooth / smooth.std()).astype(np.float32)


def field(values, beam=(5.4, 5.4, 0.0)):
    return Field("f", image=SkyImage(values=values, pixel_arcsec=1.8, beam=beam))


@pytest.mark.parametrize(
    "beam, reasons",
    [
        ((5.4, 5.4, 0.0), []),
        ((3.6, 3.6, 0.0), []),  # Just two pixels, and just ten.
        ((18.0, 18.0, 0.0), []),
        ((7.2, 3.6, 40.0), []),  # Just 2:1.
        ((3.5, 3.5, 0.0), [NARROW]),
        ((18.2, 18.2, 0.0), [WIDE]),
        ((7.4, 3.6, 40.0), [LONG]),
        ((60.0, 6.0, 0.0), [WIDE, LONG]),
    ],
)
def test_beams(beam, reasons):
    expected = (SAID + " and ".join(reasons),) if reasons else ()
    assert field(gaussian(), beam).domain_notes == expected


def test_the_beam_of_the_survey_counts_without_one_in_the_header():
    long = Survey(
        name="LONG", beam_major_arcsec=20.0, beam_minor_arcsec=5.0, beam_angle_deg=0.0,
        pixel_arcsec=1.8, noise_jy=1e-4, frequency_hz=1.4e9,
    )  # fmt: skip
    image = SkyImage(values=gaussian(), pixel_arcsec=1.8)
    assert Field("f", image=image, survey=long).domain_notes == (SAID + LONG,)
    assert Field("f", image=image).domain_notes == ()


def quantiles(distribution):
    """The noise with another distribution, whose pixels are as high in order."""
    return lambda noise: distribution.ppf(stats.norm.cdf(noise))


OTHERS = {
    "uniform": quantiles(stats.uniform),
    "exponential": quantiles(stats.expon),
    "polarized intensity": lambda noise: np.hypot(noise, gaussian(seed=9)),
    "absolute": np.abs,
    "Laplace": quantiles(stats.laplace),
    "Student": quantiles(stats.t(3)),
    "on a logarithmic scale": lambda noise: np.log(np.maximum(noise + 4, 0.1)),
    "negative sources": lambda noise: noise - 9 * (gaussian(seed=8) > 2),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_noise_that_is_not_gaussian(kind):
    values = OTHERS[kind](gaussian()).astype(np.float32)
    assert field(values).domain_notes == (SAID + NOISE,)


@pytest.mark.parametrize("kind", ["noise", "sources", "rising", "offset", "blank"])
def test_noise_that_is_gaussian(kind):
    values = gaussian(seed=3)
    y, x = np.mgrid[:200, :200]
    if kind == "sources":
        for place in range(20, 200, 20):
            values += 900 * np.exp(-((x - place) ** 2 + (y - place) ** 2) / 3.2)
    elif kind == "rising":
        values *= 1 + x / 100
    elif kind == "offset":
        values += 100
    elif kind == "blank":
        values[:60] = np.nan
    assert field(values.astype(np.float32)).domain_notes == ()


def test_few_beams_say_nothing():
    noise = quantiles(stats.uniform)(gaussian((40, 40))).astype(np.float32)
    assert has_gaussian_noise(noise, 3.0)
    assert has_gaussian_noise(np.full((200, 200), np.nan, np.float32), 3.0)


def test_parts_add_up():
    """In a large image each second row and column counts, from wherever it is cut."""
    values = gaussian((600, 700), seed=5)
    values[3:9] = np.nan
    whole = count_depths(sampled(values, values.shape))
    parts = [
        count_depths(sampled(values[y : y + 77, x : x + 91], values.shape, (y, x)))
        for y in range(0, 600, 77)
        for x in range(0, 700, 91)
    ]
    assert np.sum(parts, axis=0).tolist() == whole.tolist()
    assert tail_depth(whole) == pytest.approx(3, abs=0.1)


def test_simulated_fields_are_as_networks_know_them():
    from claran.simulation.endless import SimulatedFields  # noqa: PLC0415

    source = SimulatedFields(4, seed=6)
    assert not [note for i in range(4) for note in source[i].domain_notes]


def test_pictures_and_images_without_noise_have_no_note():
    picture = np.zeros((20, 20, 3), np.uint8)
    assert Field("f", picture=picture).domain_notes == ()
    assert field(np.zeros((60, 60), np.float32)).domain_notes == ()


def test_notes_stay_when_pixels_go():
    values = gaussian()
    one = field(values, (3.0, 3.0, 0.0))
    assert one.without_pixels().domain_notes == one.domain_notes == (SAID + NARROW,)
    other = one.replace(image=SkyImage(values=values, pixel_arcsec=1.8))
    assert other.domain_notes == ()


def test_words():
    assert domain_notes(1.0, 3.0, gaussian=False) == (
        f"{SAID}{NARROW} and {LONG} and {NOISE}",
    )
