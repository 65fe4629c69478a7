"""Sources that have a class on a given noise, drawn until they do.

A source may be drawn for a class by its shape and flux, but it has one only on an
image. What is drawn here is tested on the noise of its own field, by the rule of the
labels.
"""

import math

import cv2
import numpy as np

from claran.simulation import populations
from claran.simulation import radio_sky as radio
from claran.simulation.observation import Survey
from claran.simulation.populations import Source
from claran.sky.islands import (
    MOST_PEAKS,
    THRESHOLD,
    class_code,
    find_all_peaks,
    find_islands,
)

__all__ = ["draw_of_class"]

_SHAPES = 20  # Draws of a source until it has the class asked for.
_FLUXES = 3  # Tries of a flux for each of them.
_BINS = 8  # Parts into which the distribution of fluxes is cut.
# Bands and sidelobes add to the noise by which the field will be labelled.
_EXTRA_NOISE = 1.05
_MARGIN = 2  # Pixels that a whole source keeps from the edge, for noise to add to it.
_NEIGHBOURS = np.ones((3, 3), np.uint8)
_CATALOGUED = 7.0  # Sigma from which a peak may be the one a subject is centred on.


def draw_of_class(
    rng: np.random.Generator,
    code: str,
    factors: tuple[float, float],
    survey: Survey,
    *,
    background: np.ndarray,
    sigma: float,
    whole: bool = False,
) -> Source:
    """Returns a source of a class, one of its peaks at the field's centre.

    A source is drawn until it has the class on the noise of this field; each shape is
    tried at some fluxes. A subject of Radio Galaxy Zoo is centred on an entry of the
    FIRST catalogue: in the catalogue of labels the nearest component lies a median of
    1.2" from the centre, as it does if a peak is in one of the four central pixels.
    With `whole`, sources that would reach beyond the field are moved into it. After
    `_SHAPES` shapes it takes what comes: labels are made from the image, not from the
    class asked for.
    """
    pixel = survey.pixel_arcsec
    size, brightness = factors
    components, peaks = map(int, code.split("_"))
    for _ in range(_SHAPES):
        shape = populations.draw_source(rng, code, survey, size=size, peak=brightness)
        shape = shape.moved(*(rng.uniform(-0.5, 0.5, 2) * pixel))
        model = _render_window(shape, survey)
        tops, heights = _find_tops(model)
        # Noise makes one in thirty third peaks: without it, no source lacks one.
        if len(tops) < peaks:
            continue
        bins = _flux_bins(code, model, components, sigma)
        for _ in range(_FLUXES if bins else 0):
            share = (bins[rng.integers(len(bins))] + rng.random()) / _BINS
            peak = populations.peak_at(code, share)
            if (peak * heights > THRESHOLD * sigma).sum() < peaks:
                continue
            tall = tops[peak * heights > _CATALOGUED * sigma]
            shift = _shift_to_centre(rng, tall, len(model) // 2)
            if whole:
                shift, fits = _shift_inside(
                    rng, shift, peak * model > THRESHOLD * sigma, survey.size
                )
                if not fits:
                    break
            seen = peak * model + _cut_out(background, shift, len(model))
            found = _count(seen, survey, _EXTRA_NOISE * sigma, components)
            if class_code(*found) == code:
                return shape.scaled(peak).moved(*(shift * pixel))
            if found[0] == components and abs(min(found[1], MOST_PEAKS) - peaks) > 1:
                break  # Another flux will not do.
    return populations.draw_source(rng, code, survey, size=size).scaled(brightness)


def _find_tops(model: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns row and column of the maxima of a noise-free image, and their values."""
    tops = model >= np.maximum(cv2.dilate(model, _NEIGHBOURS), 1e-3 * model.max())
    return np.argwhere(tops), model[tops]


def _flux_bins(
    code: str, model: np.ndarray, components: int, sigma: float
) -> list[int]:
    """Returns which of `_BINS` equal parts of a class's fluxes give its islands.

    Islands of one source join where it is brighter: this many thresholds take less time
    than one test on the noise.

    Args:
        code: The class.
        model: Noise-free image, to be multiplied with the flux in Jy.
        components: Islands wanted.
        sigma: Noise, Jy/beam.
    """
    bins = []
    for index in range(_BINS):
        level = THRESHOLD * sigma / populations.peak_at(code, (index + 0.5) / _BINS)
        above = (model > level).view(np.uint8)
        if cv2.connectedComponents(above, connectivity=8)[0] == components + 1:
            bins.append(index)
    return bins


def _render_window(source: Source, survey: Survey) -> np.ndarray:
    """Returns the image of a source about the origin, as small as the source allows."""
    reach = np.abs(source.blobs[:, :2]).max() + 3 * source.blobs[:, 3].max()
    half = math.ceil((reach + 2 * survey.beam_major_arcsec) / survey.pixel_arcsec)
    return radio.render(source.blobs, survey, size=2 * min(half, survey.size // 2))


def _shift_to_centre(
    rng: np.random.Generator, tops: np.ndarray, half: int
) -> np.ndarray:
    """Returns whole pixels, (x, y), that bring one of the peaks to the centre.

    Args:
        rng: Source of randomness.
        tops: (n, 2) rows and columns of the peaks in a window.
        half: Half the window's side.
    """
    if not len(tops):
        return np.zeros(2, int)
    row, column = tops[rng.integers(len(tops))]
    return half - rng.integers(0, 2, 2) - (column, row)


def _shift_inside(
    rng: np.random.Generator, shift: np.ndarray, above: np.ndarray, size: int
) -> tuple[np.ndarray, bool]:
    """Returns the shift, changed where it leaves parts outside, and whether all fits.

    A source that must be moved lands anywhere it fits.

    Args:
        rng: Source of randomness.
        shift: (2,) x and y, whole pixels.
        above: The window, True on the source.
        size: Side of the field.
    """
    shift, half = shift.copy(), len(above) // 2
    for axis, line in enumerate((above.any(axis=0), above.any(axis=1))):
        taken = np.flatnonzero(line)
        low = _MARGIN - (size // 2 - half + taken[0])
        high = size - _MARGIN - (size // 2 - half + taken[-1] + 1)
        if low > high:
            return shift, False
        if not low <= shift[axis] <= high:
            shift[axis] = rng.integers(low, high, endpoint=True)
    return shift, True


def _cut_out(background: np.ndarray, shift: np.ndarray, side: int) -> np.ndarray:
    """Returns the noise under a window about the shifted origin; 0 beyond the field."""
    size = len(background)
    x0, y0 = size // 2 - side // 2 + shift
    window = np.zeros((side, side), np.float32)
    low_x, low_y = max(x0, 0), max(y0, 0)
    part = background[low_y : y0 + side, low_x : x0 + side]
    top, left = low_y - y0, low_x - x0
    window[top : top + part.shape[0], left : left + part.shape[1]] = part
    return window


def _count(
    image: np.ndarray, survey: Survey, sigma: float, components: int
) -> tuple[int, int]:
    """Returns the numbers of islands and of peaks; no peaks if islands are too few."""
    above = (image > THRESHOLD * sigma).view(np.uint8)
    islands = cv2.connectedComponents(above, connectivity=8)[0] - 1
    if islands < components:
        return islands, 0
    found = find_islands(image, sigma, min_pixels=survey.min_pixels)
    if len(found) != components:
        return len(found), 0
    return components, len(find_all_peaks(image, found, sigma))
