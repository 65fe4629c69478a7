"""Noise with the spatial frequencies that the baselines of an array measure."""

import dataclasses
import functools
import math

import cv2
import numpy as np
from scipy import fft

from claran.simulation.arrays import uv_counts
from claran.simulation.observation import SimulatedSurvey

__all__ = [
    "ARM_WAVES",
    "LONGEST",
    "draw_noise",
    "fast_length",
    "noise_powers",
    "random_dec",
    "robust_weights",
    "uv_coverage",
]

# Longest baseline in cycles per arcsec, times the FWHM of the beam in arcsec. The VLA's
# B array reaches 0.257 cycles/arcsec at 1.4 GHz, with a beam of 5.4". The noise power
# of real FIRST cutouts ends there too.
LONGEST = 1.388

# Directions, from west through north, in which the noise of FIRST has most power. They
# belong to baselines within one arm of the VLA.
ARM_WAVES = np.radians([-32.0, 27.0, 90.0])

# Number of pointings for which noise spectra are computed, and fraction of the power
# that is specific to the pointing; the rest is the mean over the pointings.
_POINTINGS, _OWN_POWER = 40, 0.9

_HOUR_ANGLE = -0.15  # Mean over the pointings, radians.

_TRACKS = 6  # Pointings of a survey of long tracks; they are much alike.


def draw_noise(
    rng: np.random.Generator, survey: SimulatedSurvey, sigma: float
) -> np.ndarray:
    """Returns noise with the spectrum of the array's baselines, (size, size) Jy/beam.

    Args:
        rng: Random generator.
        survey: Sets beam, pixels and array.
        sigma: Standard deviation, Jy/beam.
    """
    spectra = _noise_spectra(survey)
    amplitude = spectra.amplitudes[rng.integers(len(spectra.amplitudes))]
    parts = rng.standard_normal((amplitude.size, 2), dtype=np.float32)
    spectrum = np.zeros((spectra.side, spectra.columns), np.complex64)
    spectrum.ravel()[spectra.places] = amplitude * parts.view(np.complex64)[:, 0]
    # `irfft2` in two steps. The second is done only for the rows that are kept.
    rows = fft.ifft(spectrum, axis=0, overwrite_x=True)[: survey.size]
    noise = np.asarray(fft.irfft(rows, n=spectra.side, axis=1))
    return noise[:, : survey.size] * np.float32(sigma)


def uv_coverage(
    survey: SimulatedSurvey, side: int, hour_angle: float, dec: float
) -> np.ndarray:
    """Returns the uv coverage of a field, as counts per cell, (side, side).

    Zero frequency is at `[side // 2, side // 2]`. Hour angle and declination are in
    radians.
    """
    cell = LONGEST / survey.beam_arcsec * survey.pixel_arcsec * side
    return uv_counts(survey.array, side=side, cell=cell, hour_angle=hour_angle, dec=dec)


def random_dec(rng: np.random.Generator, survey: SimulatedSurvey) -> float:
    """Returns a declination that the array observes, radians."""
    return math.radians(rng.uniform(*survey.array.dec_deg))


def fast_length(minimum: int) -> int:
    """Returns the next length of which a Fourier transform is fast."""
    length = fft.next_fast_len(minimum, real=True)
    return minimum if length is None else int(length)


@dataclasses.dataclass(frozen=True, eq=False)
class _Spectra:
    """Amplitude spectra of the noise at the spatial frequencies that were measured.

    Attributes:
        side: Rows of the transform, and its pixels along an axis.
        columns: Columns of the half plane of `rfft2`, up to the last with power.
        places: (k,) flat indices of the amplitudes in (side, columns).
        amplitudes: (n, k) float32 square roots of the power, a row per pointing.
    """

    side: int
    columns: int
    places: np.ndarray
    amplitudes: np.ndarray


@functools.lru_cache(maxsize=32)
def _noise_spectra(survey: SimulatedSurvey) -> _Spectra:
    """Returns the amplitude spectra of noise of unit variance.

    See `noise_powers`; most of the plane has no power and is left out.
    """
    # Wider than the field, so that opposite edges of the field are not correlated.
    margin = round(3 * survey.beam_arcsec / survey.pixel_arcsec)
    side = fast_length(survey.size + margin)
    power = noise_powers(survey, side)
    half = power[:, :, : side // 2 + 1]
    columns = int(np.flatnonzero(half.any(axis=(0, 1)))[-1]) + 1
    half = half[:, :, :columns].reshape(len(half), -1)
    places = np.flatnonzero(half.any(axis=0))
    # The transform divides by side squared and gives both halves of the plane.
    amplitudes = np.sqrt(half[:, places] / 2) * side**2
    return _Spectra(side, columns, places, amplitudes.astype(np.float32))


def noise_powers(survey: SimulatedSurvey, side: int) -> np.ndarray:
    """Returns power spectra of noise of unit variance, (n, side, side), one a pointing.

    The power follows the uv coverage. Most of it is that of the snapshots that made up
    a field, so that fields differ in texture; the rest is the mean over the survey. Two
    corrections were fitted to the spectrum of 153 real FIRST cutouts outside their
    sources. The longest baselines have less weight, and below 0.03 cycles per arcsec
    there is up to twice the power (faint and incompletely cleaned emission).

    Args:
        survey: Sets beam, pixels and array.
        side: Pixels along an axis. Zero frequency is at `[0, 0]`, as for `fft2`.
    """
    frequency = fft.fftshift(fft.fftfreq(side, survey.pixel_arcsec))
    radius = np.hypot(frequency[:, None], frequency) * survey.beam_arcsec
    if survey.array.snapshot:
        power = _snapshot_powers(survey, side)
    else:
        power = _track_powers(survey, side)
    power = power * np.exp(-((radius / 1.25) ** 6))
    power *= 1 + 1.0 * np.exp(-((radius / 0.16) ** 2))
    power = fft.ifftshift(power, axes=(1, 2))
    power[:, power.max(axis=0) < 1e-5 * power.max()] = 0
    power /= power.sum(axis=(1, 2), keepdims=True)
    return power


def _snapshot_powers(survey: SimulatedSurvey, side: int) -> np.ndarray:
    """Returns noise power spectra of a survey of snapshots, (n, side, side)."""
    rng = np.random.default_rng(0)  # A fixed set of pointings, one of which is drawn.
    own = []
    for _ in range(_POINTINGS):
        dec = random_dec(rng, survey)
        # A field lies in several pointings, observed at about the same hour angle.
        hours = rng.normal(_HOUR_ANGLE, 0.25) + rng.normal(0, 0.05, 3)
        counts = sum(uv_coverage(survey, side, hour_angle, dec) for hour_angle in hours)
        own.append(cv2.GaussianBlur(np.asarray(counts), (0, 0), 0.7))
    mean = cv2.GaussianBlur(np.mean(own, axis=0), (0, 0), 1.5)
    return _OWN_POWER * np.array(own) + (1 - _OWN_POWER) * mean


def _track_powers(survey: SimulatedSurvey, side: int) -> np.ndarray:
    """Returns noise power spectra of a survey of long tracks, (n, side, side).

    Images are made with weights between natural and uniform ones, so that the beam is
    nearly a Gaussian in spite of the many short baselines.
    """
    rng = np.random.default_rng(0)
    powers = []
    for _ in range(_TRACKS):
        counts = uv_coverage(survey, side, rng.normal(0, 0.3), random_dec(rng, survey))
        smooth = cv2.GaussianBlur(counts, (0, 0), 1.0)
        powers.append(smooth * robust_weights(smooth) ** 2)
    return np.array(powers)


def robust_weights(density: np.ndarray) -> np.ndarray:
    """Returns the imaging weights of robustness 0.6 (Briggs 1995, PhD thesis)."""
    mean = (density**2).sum() / density.sum()
    return 1 / (1 + 1.6 * density / mean)
