"""Artifacts of calibration and imaging: stripes, spokes, sidelobes, edges."""

import functools
import math

import numpy as np
from scipy import fft

from claran.simulation.field_noise import (
    ARM_WAVES,
    LONGEST,
    fast_length,
    random_dec,
    robust_weights,
    uv_coverage,
)
from claran.simulation.grid import pixel_axis
from claran.simulation.observation import SimulatedSurvey

__all__ = [
    "draw_blank",
    "draw_sidelobes",
    "draw_spokes",
    "draw_stripes",
    "draw_unevenness",
]

_SPOKED = 100.0  # Sigma from which a source has spokes.

_PER_WAVE = 64  # Samples per wavelength at which a stripe is computed.


def draw_stripes(
    rng: np.random.Generator,
    survey: SimulatedSurvey,
    centers: np.ndarray,
    peaks: np.ndarray,
    sigma: float,
) -> np.ndarray:
    """Returns the stripes that gain errors leave, (size, size) float32, Jy/beam.

    The error of one baseline is a wave on the sky. The errors of similar baselines form
    a wave packet through the source they affect, a stripe across the field. The arms of
    the VLA give three directions. In real cutouts these stripes hold much of the power
    below 0.04 cycles per arcsec. The errors grow with the brightness of the source.

    Args:
        rng: Random generator.
        survey: Sets beam and pixels.
        centers: (n, 2) positions of the sources, arcsec from the center of the field.
        peaks: (n,) peak brightness of the sources, Jy/beam.
        sigma: Noise, Jy/beam, the unit of `SimulatedSurvey.stripes`.
    """
    axis = pixel_axis(survey)
    image = np.zeros((survey.size, survey.size), np.float32)
    longest = LONGEST / survey.beam_arcsec
    for _ in range(rng.poisson(2)):
        # A third of the stripes belongs to sources outside the field.
        anchor, peak = rng.uniform(-0.5, 0.5, 2) * survey.field_arcsec, 0.0
        phase = rng.uniform(0, 2 * np.pi)
        if peaks.any() and rng.random() < 2 / 3:
            index = rng.choice(len(peaks), p=peaks / peaks.sum())
            anchor, peak = centers[index], float(peaks[index])
            phase = rng.normal(
                0, 1
            )  # Mostly positive at the source: cleaned too little.
        amplitude = rng.gamma(2, (survey.stripes * sigma + 0.001 * peak) / 2)
        spacing = longest * 10 ** rng.uniform(-1.4, -0.6)
        angle = rng.uniform(0, np.pi)
        if survey.array.snapshot:
            angle = rng.choice(ARM_WAVES) + rng.normal(0, 0.06)
        width = rng.uniform(0.3, 1.0)
        image += _stripe(
            axis, anchor, angle=angle, spacing=spacing, amplitude=amplitude,
            phase=phase, width=width,
        )  # fmt: skip
    return image


def _stripe(
    axis: np.ndarray,
    anchor: np.ndarray,
    *,
    angle: float,
    spacing: float,
    amplitude: float,
    phase: float,
    width: float,
) -> np.ndarray:
    """Returns a wave packet that runs across the whole field, float32 Jy/beam.

    Args:
        axis: Pixel centers along an axis, arcsec.
        anchor: (2,) place that it goes through, arcsec.
        angle: Direction of the wave, radians.
        spacing: Waves per arcsec.
        amplitude: Its height, Jy/beam.
        phase: Phase at the anchor, radians.
        width: Half width of the packet at 1/e, waves.
    """
    x = (math.cos(angle) * (axis - anchor[0])).astype(np.float32)
    y = (math.sin(angle) * (axis - anchor[1])).astype(np.float32)
    across = (x + y[:, None]) * np.float32(spacing * _PER_WAVE)
    # The brightness depends on one coordinate only: it is tabulated.
    index = (across - across.min()).astype(np.intp)
    waves = (np.arange(index.max() + 1) + float(across.min())) / _PER_WAVE
    stripe = amplitude * np.cos(2 * np.pi * waves + phase)
    stripe *= np.exp(-((waves / width) ** 2))
    return stripe.astype(np.float32)[index]


def draw_spokes(
    rng: np.random.Generator,
    survey: SimulatedSurvey,
    centers: np.ndarray,
    peaks: np.ndarray,
    sigma: float,
) -> np.ndarray:
    """Returns stripes through very bright sources, (size, size) float32, Jy/beam.

    Errors of calibration that differ from that of the field leave them in images of
    all arrays. They fade with the distance from the source.

    Args:
        rng: Random generator.
        survey: Sets beam, pixels and how many there are.
        centers: (n, 2) positions of the sources, arcsec from the center of the field.
        peaks: (n,) peak brightness of the sources, Jy/beam.
        sigma: Noise, Jy/beam.
    """
    axis = pixel_axis(survey)
    image = np.zeros((survey.size, survey.size), np.float32)
    longest = LONGEST / survey.beam_arcsec
    for center, peak in zip(centers, peaks.tolist(), strict=True):
        if peak < _SPOKED * sigma:
            continue
        spokes = np.zeros_like(image)
        for _ in range(rng.poisson(survey.spokes)):
            spokes += _stripe(
                axis, center, angle=rng.uniform(0, np.pi),
                spacing=longest * 10 ** rng.uniform(-1.2, -0.2),
                amplitude=peak * rng.uniform(0.001, 0.004),
                phase=rng.uniform(0, 2 * np.pi), width=rng.uniform(0.3, 1.0),
            )  # fmt: skip
        reach = np.float32(rng.uniform(8, 30) * survey.beam_arcsec)
        distance = np.hypot(axis - center[0], (axis - center[1])[:, None])
        image += spokes * np.exp(-distance.astype(np.float32) / reach)
    return image


def draw_unevenness(rng: np.random.Generator, survey: SimulatedSurvey) -> np.ndarray:
    """Returns factors on the noise that change over a field, (size, size) float32.

    Either a rise to one side, by up to a factor of two, or a step of up to 1.6.
    """
    angle = rng.uniform(0, 2 * np.pi)
    axis = (pixel_axis(survey) / survey.field_arcsec).astype(np.float32)
    along = math.cos(angle) * axis + math.sin(angle) * axis[:, None]
    if rng.random() < 0.5:
        return np.exp(rng.uniform(0, math.log(2)) * (along + 0.5)).astype(np.float32)
    step = rng.uniform(1.1, 1.6)
    return np.where(along > rng.uniform(-0.4, 0.4), step, 1.0).astype(np.float32)


def draw_sidelobes(
    rng: np.random.Generator,
    survey: SimulatedSurvey,
    centers: np.ndarray,
    peaks: np.ndarray,
    sigma: float,
) -> np.ndarray:
    """Returns residual sidelobes around bright sources, (size, size) float32, Jy/beam.

    Args:
        rng: Random generator.
        survey: Sets beam and pixels.
        centers: (n, 2) positions of the sources, arcsec from the center of the field.
        peaks: (n,) peak brightness of the sources, Jy/beam.
        sigma: Noise, Jy/beam. Sidelobes below a fifth of it are not drawn.
    """
    image = np.zeros((survey.size, survey.size), np.float32)
    if not survey.sidelobes:
        return image
    kernels = _sidelobe_kernels(survey)
    for center, peak in zip(centers, peaks, strict=True):
        strength = peak * survey.sidelobes * rng.lognormal(0, 0.7)
        if strength < 0.2 * sigma:
            continue
        kernel = kernels[rng.integers(len(kernels))]
        shift = np.rint(center / survey.pixel_arcsec + (survey.size - 1) / 2)
        column, row = np.clip(shift.astype(int), 0, survey.size - 1)
        top, left = survey.size - row, survey.size - column
        window = kernel[top : top + survey.size, left : left + survey.size]
        image += np.float32(strength * rng.choice((-1, 1))) * window
    return image


def draw_blank(rng: np.random.Generator, survey: SimulatedSurvey) -> np.ndarray:
    """Returns the pixels beyond the edge of the survey, (size, size) bool.

    The edge cuts off a strip on one side. In cutouts of FIRST's images such strips are
    typically 2% wide, sometimes much wider.
    """
    blank = np.zeros((survey.size, survey.size), bool)
    if rng.random() < survey.edges:
        strip = min(rng.exponential(0.08), 0.4) * survey.size
        blank[: math.ceil(strip)] = True
        blank = np.rot90(blank, int(rng.integers(4)))
    return blank


@functools.lru_cache(maxsize=32)
def _sidelobe_kernels(survey: SimulatedSurvey) -> np.ndarray:
    """Returns sidelobe patterns of unit peak, (16, 2 size + 1, 2 size + 1) float32.

    A pattern is the dirty beam of a field with random declination and hour angle,
    without its main lobe, which cleaning removes.
    """
    rng = np.random.default_rng(1)  # A fixed set of patterns, one of which is drawn.
    side = 2 * survey.size + 1
    padded = fast_length(side)
    axis = np.arange(side) - survey.size
    radius = np.hypot(axis[:, None], axis) * survey.pixel_arcsec / survey.beam_arcsec
    kernels = []
    for _ in range(16):
        dec, hour_angle = random_dec(rng, survey), rng.normal(0, 0.5)
        sampled = uv_coverage(survey, padded, hour_angle, dec)
        if not survey.array.snapshot:
            sampled = sampled * robust_weights(sampled)
        dirty = fft.fftshift(fft.ifft2(fft.ifftshift(sampled))).real
        start = padded // 2 - survey.size
        dirty = dirty[start : start + side, start : start + side]
        dirty = dirty * (1 - np.exp(-((radius / 1.2) ** 4)))
        kernels.append(dirty / np.abs(dirty).max())
    return np.array(kernels, np.float32)
