"""From the radio sky to a radio image: beam, correlated noise, stripes and sidelobes.

A source is a set of round Gaussians ("blobs"), an (n, 4) float array of
`(x, y, flux, sigma)`: x to the west and y to the north of the center of the field in
arcsec, flux in Jy, and sigma in arcsec. Gaussians convolved with a Gaussian beam stay
Gaussians, so that an image is exact for any pixel size. A Gaussian aligned with the
axes is the product of a row and a column, so that a source is one small matrix product.
"""

import dataclasses
import functools
import math

import cv2
import numpy as np
from scipy import fft

from claran.simulation.arrays import uv_counts
from claran.simulation.grid import pixel_axis, sum_products
from claran.simulation.observation import SimulatedSurvey
from claran.sky.beams import fwhm_to_sigma

__all__ = [
    "ARM_WAVES",
    "LONGEST",
    "bowl",
    "draw_blank",
    "draw_noise",
    "draw_sidelobes",
    "draw_spokes",
    "draw_stripes",
    "draw_unevenness",
    "noise_powers",
    "peak_brightness",
    "render",
]

# Longest baseline in cycles per arcsec, times the FWHM of the beam in arcsec. The VLA's
# B array reaches 0.257 cycles/arcsec at 1.4 GHz, with a beam of 5.4". The noise power
# of real FIRST cutouts ends there too.
LONGEST = 1.388

# Directions, from west through north, in which the noise of FIRST has most power. They
# belong to baselines within one arm of the VLA.
ARM_WAVES = np.radians([-32.0, 27.0, 90.0])

_SIDES = np.array([-1.0, 1.0])
_SPOKED = 100.0  # Sigma from which a source has spokes.
_PER_WAVE = 64  # Samples per wavelength at which a stripe is computed.

# Number of pointings for which noise spectra are computed, and fraction of the power
# that is specific to the pointing; the rest is the mean over the pointings.
_POINTINGS, _OWN_POWER = 40, 0.9
_HOUR_ANGLE = -0.15  # Mean over the pointings, radians.
_TRACKS = 6  # Pointings of a survey of long tracks; they are much alike.


@functools.lru_cache(maxsize=32)
def beam_covariance(survey: SimulatedSurvey) -> np.ndarray:
    """Returns the beam's covariance in (x, y), (2, 2), arcsec squared."""
    major = fwhm_to_sigma(survey.beam_major_arcsec) ** 2
    minor = fwhm_to_sigma(survey.beam_minor_arcsec) ** 2
    # East is -x, so a position angle from north through east turns toward -x.
    angle = math.radians(survey.beam_angle_deg)
    along = np.array([-math.sin(angle), math.cos(angle)])
    across = np.array([along[1], -along[0]])
    return major * np.outer(along, along) + minor * np.outer(across, across)


def peak_brightness(blobs: np.ndarray, survey: SimulatedSurvey) -> float:
    """Returns the highest brightness at the centers of blobs, Jy/beam; 0 if none."""
    values = _evaluate(blobs, survey, blobs[:, 0], blobs[:, 1])
    return float(values.max(initial=0.0))


def render(
    blobs: np.ndarray, survey: SimulatedSurvey, *, size: int | None = None
) -> np.ndarray:
    """Returns the noise-free image of a source, (size, size) float32, Jy/beam.

    Row 0 is the southernmost and column 0 the easternmost, as in a FITS array.

    Args:
        blobs: (n, 4) blobs, see the module.
        survey: Sets beam and pixels.
        size: Rows and columns of an image with the same center; None means the field's.
    """
    beam = beam_covariance(survey)
    axis = pixel_axis(survey, size)
    if abs(beam[0, 1]) > 1e-6 * beam[0, 0]:
        return _render_slanted(blobs, beam, axis)
    x, y, flux, sigma = blobs.T.astype(np.float32)
    across, along = np.diag(beam).astype(np.float32)
    wide, high = sigma**2 + across, sigma**2 + along
    peak = flux * np.sqrt(across * along / (wide * high))
    rows = peak * np.exp((axis[:, None] - y) ** 2 * (-0.5 / high))
    columns = np.exp((axis[:, None] - x) ** 2 * (-0.5 / wide))
    return sum_products(rows, columns)


def bowl(blobs: np.ndarray, survey: SimulatedSurvey) -> np.ndarray:
    """Returns the negative bowl of a source as one blob, (1, 4).

    An interferometer without short spacings does not measure the total flux; cleaning
    recovers part of it.
    """
    total = blobs[:, 2].sum()
    x, y = blobs[:, 2] @ blobs[:, :2] / total
    width = fwhm_to_sigma(survey.largest_arcsec)
    return np.array([[x, y, -survey.bowl * total, width]])


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


def _render_slanted(
    blobs: np.ndarray, beam: np.ndarray, axis: np.ndarray
) -> np.ndarray:
    """Returns the image for a beam that is not aligned with the axes; see `render`.

    Gaussians end at 5.5 sigma, where they have 3e-7 of their peak.
    """
    image = np.zeros((len(axis), len(axis)), np.float32)
    beam_determinant = beam[0, 0] * beam[1, 1] - beam[0, 1] ** 2
    for x, y, flux, sigma in blobs.tolist():
        xx, yy, xy = beam[0, 0] + sigma**2, beam[1, 1] + sigma**2, beam[0, 1]
        determinant = xx * yy - xy**2
        columns = slice(*np.searchsorted(axis, x + 5.5 * math.sqrt(xx) * _SIDES))
        rows = slice(*np.searchsorted(axis, y + 5.5 * math.sqrt(yy) * _SIDES))
        dx, dy = axis[columns] - np.float32(x), axis[rows] - np.float32(y)
        exponent = np.multiply.outer(dy, dx * np.float32(xy / determinant))
        exponent -= dx**2 * np.float32(0.5 * yy / determinant)
        exponent -= (dy**2 * np.float32(0.5 * xx / determinant))[:, None]
        peak = flux * math.sqrt(beam_determinant / determinant)
        image[rows, columns] += np.float32(peak) * np.exp(exponent)
    return image


def _evaluate(
    blobs: np.ndarray, survey: SimulatedSurvey, x: np.ndarray, y: np.ndarray
) -> np.ndarray:
    """Returns the brightness at the points (x, y), (n,) Jy/beam, for any beam."""
    (across, slant), (_, along) = beam_covariance(survey).tolist()
    left, down, flux, sigma = blobs.T
    variance = sigma**2
    xx, yy = across + variance, along + variance
    determinant = xx * yy - slant**2
    dx, dy = x[:, None] - left, y[:, None] - down
    distance = (yy * dx**2 - 2 * slant * dx * dy + xx * dy**2) / determinant
    peak = flux * np.sqrt((across * along - slant**2) / determinant)
    return np.exp(-distance / 2) @ peak


def _coverage(
    survey: SimulatedSurvey, side: int, hour_angle: float, dec: float
) -> np.ndarray:
    """Returns the uv coverage of a field, as counts per cell, (side, side).

    Zero frequency is at `[side // 2, side // 2]`. Hour angle and declination are in
    radians.
    """
    cell = LONGEST / survey.beam_arcsec * survey.pixel_arcsec * side
    return uv_counts(survey.array, side=side, cell=cell, hour_angle=hour_angle, dec=dec)


def _random_dec(rng: np.random.Generator, survey: SimulatedSurvey) -> float:
    return math.radians(rng.uniform(*survey.array.dec_deg))


def _fast_length(minimum: int) -> int:
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
    side = _fast_length(survey.size + margin)
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
        dec = _random_dec(rng, survey)
        # A field lies in several pointings, observed at about the same hour angle.
        hours = rng.normal(_HOUR_ANGLE, 0.25) + rng.normal(0, 0.05, 3)
        counts = sum(_coverage(survey, side, hour_angle, dec) for hour_angle in hours)
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
        counts = _coverage(survey, side, rng.normal(0, 0.3), _random_dec(rng, survey))
        smooth = cv2.GaussianBlur(counts, (0, 0), 1.0)
        powers.append(smooth * _robust_weights(smooth) ** 2)
    return np.array(powers)


def _robust_weights(density: np.ndarray) -> np.ndarray:
    """Returns the imaging weights of robustness 0.6 (Briggs 1995, PhD thesis)."""
    mean = (density**2).sum() / density.sum()
    return 1 / (1 + 1.6 * density / mean)


@functools.lru_cache(maxsize=32)
def _sidelobe_kernels(survey: SimulatedSurvey) -> np.ndarray:
    """Returns sidelobe patterns of unit peak, (16, 2 size + 1, 2 size + 1) float32.

    A pattern is the dirty beam of a field with random declination and hour angle,
    without its main lobe, which cleaning removes.
    """
    rng = np.random.default_rng(1)  # A fixed set of patterns, one of which is drawn.
    side = 2 * survey.size + 1
    padded = _fast_length(side)
    axis = np.arange(side) - survey.size
    radius = np.hypot(axis[:, None], axis) * survey.pixel_arcsec / survey.beam_arcsec
    kernels = []
    for _ in range(16):
        dec, hour_angle = _random_dec(rng, survey), rng.normal(0, 0.5)
        sampled = _coverage(survey, padded, hour_angle, dec)
        if not survey.array.snapshot:
            sampled = sampled * _robust_weights(sampled)
        dirty = fft.fftshift(fft.ifft2(fft.ifftshift(sampled))).real
        start = padded // 2 - survey.size
        dirty = dirty[start : start + side, start : start + side]
        dirty = dirty * (1 - np.exp(-((radius / 1.2) ** 4)))
        kernels.append(dirty / np.abs(dirty).max())
    return np.array(kernels, np.float32)
