"""The infrared sky of a radio field: WISE W1 (3.4 um), as Radio Galaxy Zoo showed it.

Brightness is in the data numbers (DN) of the AllWISE Atlas, zero point 20.5 mag (Vega).
The parameters were fitted to two real Atlas cutouts of 8' (b = 43 and 55 degrees). They
have a sky level of 2.0 and 3.0 DN and a noise (1.4826 MAD) of 0.109 and 0.130 DN. Per
3' x 3' they have 27, 16, 7.2, 2.4, 1.0 and 0.5 maxima above 3, 5, 10, 30, 100 and 300
times the noise.
"""

import functools
import math

import cv2
import numpy as np

from claran.simulation.grid import pixel_axis, sum_products
from claran.simulation.observation import SimulatedSurvey

__all__ = ["ZERO_POINT", "draw_infrared", "picture"]

ZERO_POINT = 20.5  # Vega magnitude of one DN.
SIGMA_DN = 0.12
_SKY_DN = 2.5
# FWHM. A single exposure has 6.1" (Wright et al. 2010, AJ 140, 1868). In the Atlas
# cutouts bright stars fall to half of their peak 3.9" from their center.
_PSF_ARCSEC = 7.8
# Number counts per 9 square arcmin, as power laws: counts with a peak above ten sigma,
# slope, and faint limit in sigma. At high galactic latitude the counts of stars are
# flat and those of galaxies steep. Fainter galaxies are drawn as confusion noise.
_STARS = (2.25, 0.5, 1.0)
_GALAXIES = (5.2, 1.35, 0.8)
# Pixel noise, smoothed to 1.5 pixels, and confusion by fainter galaxies, smoothed to
# the PSF. Together with the galaxies they give the 0.12 DN of the cutouts.
_NOISE_DN = 0.03
_CONFUSION_DN = 0.05
_SPIKED = 2000  # Peak in sigma from which diffraction spikes stand out from the sky.


def draw_infrared(
    rng: np.random.Generator, survey: SimulatedSurvey, hosts: np.ndarray
) -> np.ndarray:
    """Returns the W1 image, (size, size) float32 DN, with y up as in the radio image.

    Args:
        rng: Random generator.
        survey: The radio survey, which sets the field and the pixels.
        hosts: (n, 3) host galaxies: x and y in arcsec from the center, W1 magnitude.
    """
    area = (survey.field_arcsec / 180) ** 2
    stars = _draw_population(rng, survey, _STARS, area)
    galaxies = _draw_population(rng, survey, _GALAXIES, area)
    peaks = np.concatenate([stars[:, 2], galaxies[:, 2], _peak_dn(hosts[:, 2])])
    places = np.concatenate([stars[:, :2], galaxies[:, :2], hosts[:, :2]])
    # At 7", a tenth of the galaxies is resolved.
    width = np.full(len(peaks), _PSF_ARCSEC / 2.355)
    extended = rng.random(len(peaks)) < 0.1
    extended[: len(stars)] = False
    width[extended] *= rng.uniform(1.1, 1.6, extended.sum())
    bright = peaks > 100 * SIGMA_DN  # Wings of the PSF, of some percent of the peak.
    image = _draw_gaussians(
        survey,
        np.concatenate([places, places[bright]]),
        np.concatenate([peaks, 0.04 * peaks[bright]]),
        np.concatenate([width, 2.6 * width[bright]]),
    )
    roll = rng.uniform(0, np.pi / 2)  # Roll of the satellite, the same in a field.
    for place, peak in zip(places, peaks, strict=True):
        if peak > _SPIKED * SIGMA_DN:
            image += _spikes(survey, place, float(peak), roll)
    return image + _draw_noise(rng, survey) + np.float32(_SKY_DN)


def _spikes(
    survey: SimulatedSurvey, place: np.ndarray, peak: float, roll: float
) -> np.ndarray:
    """Returns the cross of diffraction spikes about a bright star, (size, size) DN."""
    axis = pixel_axis(survey)
    x, y = axis - np.float32(place[0]), axis[:, None] - np.float32(place[1])
    along = np.float32(math.cos(roll)) * x + np.float32(math.sin(roll)) * y
    across = np.float32(math.cos(roll)) * y - np.float32(math.sin(roll)) * x
    width = np.float32(_PSF_ARCSEC / 2.355)
    cross = np.zeros(along.shape, np.float32)
    for length, offset in ((along, across), (across, along)):
        # A guess: 1% of the peak, fading with the distance squared beyond 10".
        cross += np.exp(-((offset / width) ** 2) / 2) / (1 + (length / 10) ** 2)
    return np.float32(0.01 * peak) * cross


def _draw_noise(rng: np.random.Generator, survey: SimulatedSurvey) -> np.ndarray:
    """Returns noise and confusion of W1, (size, size) float32 DN.

    Atlas pixels are interpolated from pixels of 2.75", so that their noise is smooth.
    It is therefore drawn on pixels twice as wide and interpolated.
    """
    half = survey.size // 2 + 2
    white = rng.standard_normal((half, half), dtype=np.float32)
    noise = np.zeros_like(white)
    for strength, sigma in ((_NOISE_DN, 1.4), (_CONFUSION_DN, _PSF_ARCSEC / 2.355)):
        pixels = sigma / (2 * survey.pixel_arcsec)
        # Blurring by s pixels reduces white noise to 1 / (2 s sqrt(pi)) of its sigma.
        gain = np.float32(strength * 2 * math.sqrt(math.pi) * pixels)
        noise += gain * cv2.GaussianBlur(white, (0, 0), pixels)
    fine = cv2.resize(noise, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
    return np.asarray(fine)[1 : survey.size + 1, 1 : survey.size + 1]


def picture(infrared: np.ndarray) -> np.ndarray:
    """Returns the (h, w, 3) uint8 BGR picture of an infrared image, in its orientation.

    Radio Galaxy Zoo used Matplotlib's color map `gist_heat`. The stretch is an arcsinh
    about the median. Its two parameters were chosen so that the mean color of the two
    real Atlas cutouts is that of ClaRAN's pictures, BGR (14, 45, 213), to within 0.3.
    """
    x = (infrared - np.median(infrared)) / np.float32(3 * SIGMA_DN)
    # `np.arcsinh` is not vectorized, but `np.log` is: 20 us instead of 90.
    stretched = 0.5423 + 0.216 * np.log(x + np.sqrt(x * x + 1))
    index = np.clip(stretched * 255, 0, 255).astype(np.uint8)
    return np.asarray(cv2.applyColorMap(index, _heat()[:, None]))


def _peak_dn(magnitude: np.ndarray) -> np.ndarray:
    """Returns the peaks, in DN, of point sources on Atlas pixels of 1.375"."""
    area = 2 * math.pi * (_PSF_ARCSEC / 2.355 / 1.375) ** 2
    return 10 ** (-0.4 * (magnitude - ZERO_POINT)) / area


def _draw_population(
    rng: np.random.Generator,
    survey: SimulatedSurvey,
    counts: tuple[float, float, float],
    area: float,
) -> np.ndarray:
    """Returns the sources of a power-law population, (n, 3).

    Args:
        rng: Random generator.
        survey: Sets the field.
        counts: See `_STARS`.
        area: Area of the field in units of 9 square arcmin.

    Returns:
        x and y in arcsec from the center, and the peak in DN.
    """
    at_ten, slope, faintest = counts
    number = rng.poisson(area * at_ten * (faintest / 10) ** -slope)
    peak = faintest * (1 - rng.random(number)) ** (-1 / slope)
    place = rng.uniform(-0.55, 0.55, (number, 2)) * survey.field_arcsec
    # W1 saturates near 8 mag, about 20,000 sigma here.
    return np.column_stack([place, np.minimum(peak, 2e4) * SIGMA_DN])


def _draw_gaussians(
    survey: SimulatedSurvey, places: np.ndarray, peaks: np.ndarray, width: np.ndarray
) -> np.ndarray:
    """Returns the sum of round Gaussians, (size, size) DN; width is their sigma."""
    axis = pixel_axis(survey)
    offset = axis[:, None] - places.T[:, None].astype(np.float32)
    columns, rows = np.exp(offset**2 * (-0.5 / width.astype(np.float32) ** 2))
    return sum_products(rows * peaks.astype(np.float32), columns)


@functools.cache
def _heat() -> np.ndarray:
    """Returns Matplotlib's color map `gist_heat`, (256, 3) uint8 BGR."""
    x = np.linspace(0, 1, 256)
    channels = np.stack([4 * x - 3, 2 * x - 1, 1.5 * x], axis=1)
    return (np.clip(channels, 0, 1) * 255).astype(np.uint8)
