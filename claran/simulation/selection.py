"""Rejection sampling of sources with a given class on the noise of a field.

Shape and flux make a class likely, but only the image decides it. Each drawn source is
therefore tested on the noise of its own field, by the rule of the labels.
"""

import math

import cv2
import numpy as np

from claran.simulation import radio_sky as radio
from claran.simulation import source_drawing
from claran.simulation.observation import SimulatedSurvey
from claran.simulation.populations import Population
from claran.simulation.source_drawing import Source
from claran.sky.islands import (
    MOST_PEAKS,
    THRESHOLD,
    class_code,
    find_all_peaks,
    find_islands,
)

__all__ = ["draw_of_class"]

_SHAPES = 20  # Largest number of shapes that are tried.
_FLUXES = 3  # Fluxes that are tried for each shape.
_BINS = 8  # Quantile bins of the flux distribution.
# Stripes and sidelobes increase the noise by which the field will be labeled.
_EXTRA_NOISE = 1.05
_MARGIN = 2  # Pixels between a whole source and the edge, since noise may extend it.
_NEIGHBORS = np.ones((3, 3), np.uint8)
_CATALOGED = 7.0  # Sigma above which a peak may be the center of a subject.


def draw_of_class(
    rng: np.random.Generator,
    code: str,
    factors: tuple[float, float],
    survey: SimulatedSurvey,
    *,
    background: np.ndarray,
    sigma: float,
    population: Population,
) -> Source:
    """Returns a source of a class, with one of its peaks at the center of the field.

    Sources are drawn until one has the class on the noise of this field, each shape
    with several fluxes. A subject of Radio Galaxy Zoo is centered on an entry of the
    FIRST catalog: in the RGZ catalog the median distance of the nearest component from
    the center is 1.2", as it is if a peak lies in one of the four central pixels. After
    `_SHAPES` shapes one more is drawn and returned whatever its class, since labels are
    made from the image and not from the class asked for.

    Args:
        rng: Random generator.
        code: One of the six classes.
        factors: Factors on the size and on the peak brightness.
        survey: Sets beam and pixels.
        background: (size, size) noise of the field, Jy/beam.
        sigma: Standard deviation of the noise, Jy/beam.
        population: Says of which families the source may be, and whether one that
            extends beyond the field is moved into it.
    """
    pixel = survey.pixel_arcsec
    size, brightness = factors
    components, peaks = map(int, code.split("_"))
    for _ in range(_SHAPES):
        shape = source_drawing.draw_source(
            rng, code, survey, size=size, peak=brightness, in_beams=True,
            families=population.families,
        )  # fmt: skip
        shape = shape.moved(*(rng.uniform(-0.5, 0.5, 2) * pixel))
        model = _render_window(shape, survey)
        tops, heights = _find_tops(model)
        # Noise makes only one in thirty third peaks. A shape that lacks a peak without
        # noise is therefore skipped.
        if len(tops) < peaks:
            continue
        bins = _flux_bins(code, model, components, sigma, survey)
        for _ in range(_FLUXES if bins else 0):
            share = (bins[rng.integers(len(bins))] + rng.random()) / _BINS
            peak = source_drawing.peak_at(code, share, survey)
            if (peak * heights > THRESHOLD * sigma).sum() < peaks:
                continue
            tall = tops[peak * heights > _CATALOGED * sigma]
            shift = _shift_to_center(rng, tall, len(model) // 2)
            if population.whole:
                shift, fits = _shift_inside(
                    rng, shift, peak * model > THRESHOLD * sigma, survey.size
                )
                if not fits:
                    break
            observed = peak * model + _cut_out(background, shift, len(model))
            found = _count(observed, survey, _EXTRA_NOISE * sigma, components)
            if class_code(*found) == code:
                return shape.scaled(peak).moved(*(shift * pixel))
            if found[0] == components and abs(min(found[1], MOST_PEAKS) - peaks) > 1:
                break  # Another flux is unlikely to give the class.
    last = source_drawing.draw_source(
        rng, code, survey, size=size, in_beams=True, families=population.families
    )
    return last.scaled(brightness)


def _find_tops(model: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns rows and columns, (n, 2), and values, (n,), of the maxima of an image."""
    tops = model >= np.maximum(cv2.dilate(model, _NEIGHBORS), 1e-3 * model.max())
    return np.argwhere(tops), model[tops]


def _flux_bins(
    code: str,
    model: np.ndarray,
    components: int,
    sigma: float,
    survey: SimulatedSurvey,
) -> list[int]:
    """Returns the flux bins in which a source has the right number of islands.

    The islands of a source merge as it gets brighter. Testing all bins without noise
    takes less time than a single test with noise.

    Args:
        code: The class, which sets the distribution of fluxes.
        model: Noise-free image, which is multiplied by the peak brightness in Jy/beam.
        components: Number of islands wanted.
        sigma: Noise, Jy/beam.
        survey: The survey, which scales the fluxes.
    """
    bins = []
    for index in range(_BINS):
        peak = source_drawing.peak_at(code, (index + 0.5) / _BINS, survey)
        level = THRESHOLD * sigma / peak
        above = (model > level).view(np.uint8)
        if cv2.connectedComponents(above, connectivity=8)[0] == components + 1:
            bins.append(index)
    return bins


def _render_window(source: Source, survey: SimulatedSurvey) -> np.ndarray:
    """Returns the image of a source about the origin, as small as it fits."""
    reach = np.abs(source.blobs[:, :2]).max() + 3 * source.blobs[:, 3].max()
    half = math.ceil((reach + 2 * survey.beam_major_arcsec) / survey.pixel_arcsec)
    return radio.render(source.blobs, survey, size=2 * min(half, survey.size // 2))


def _shift_to_center(
    rng: np.random.Generator, tops: np.ndarray, half: int
) -> np.ndarray:
    """Returns the shift (x, y) in whole pixels that centers a random peak.

    Args:
        rng: Random generator.
        tops: (n, 2) rows and columns of the peaks in a window.
        half: Half the side of the window, pixels.
    """
    if not len(tops):
        return np.zeros(2, int)
    row, column = tops[rng.integers(len(tops))]
    return half - rng.integers(0, 2, 2) - (column, row)


def _shift_inside(
    rng: np.random.Generator, shift: np.ndarray, above: np.ndarray, size: int
) -> tuple[np.ndarray, bool]:
    """Returns a shift that keeps the source inside the field, and whether it fits.

    Along an axis on which the given shift leaves the source partly outside, a random
    one is drawn among those that keep it inside.

    Args:
        rng: Random generator.
        shift: (2,) shift (x, y) in whole pixels.
        above: Window that is True on the source.
        size: Side of the field, pixels.
    """
    shift, half = shift.copy(), len(above) // 2
    for axis, line in enumerate((above.any(axis=0), above.any(axis=1))):
        occupied = np.flatnonzero(line)
        low = _MARGIN - (size // 2 - half + occupied[0])
        high = size - _MARGIN - (size // 2 - half + occupied[-1] + 1)
        if low > high:
            return shift, False
        if not low <= shift[axis] <= high:
            shift[axis] = rng.integers(low, high, endpoint=True)
    return shift, True


def _cut_out(background: np.ndarray, shift: np.ndarray, side: int) -> np.ndarray:
    """Returns the noise in a window about the shifted origin; 0 beyond the field."""
    size = len(background)
    x0, y0 = size // 2 - side // 2 + shift
    window = np.zeros((side, side), np.float32)
    low_x, low_y = max(x0, 0), max(y0, 0)
    part = background[low_y : y0 + side, low_x : x0 + side]
    top, left = low_y - y0, low_x - x0
    window[top : top + part.shape[0], left : left + part.shape[1]] = part
    return window


def _count(
    image: np.ndarray, survey: SimulatedSurvey, sigma: float, components: int
) -> tuple[int, int]:
    """Returns the numbers of islands and peaks; 0 peaks if the islands do not match."""
    above = (image > THRESHOLD * sigma).view(np.uint8)
    islands = cv2.connectedComponents(above, connectivity=8)[0] - 1
    if islands < components:
        return islands, 0
    found = find_islands(image, sigma, min_pixels=survey.min_pixels)
    if len(found) != components:
        return len(found), 0
    return components, len(find_all_peaks(image, found, sigma))
