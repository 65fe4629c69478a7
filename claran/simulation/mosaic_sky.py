"""The sources of a simulated mosaic: their places, images and the truth about them.

The sky is divided into cells of `TILE` x `TILE` pixels. The seed and the place of a
cell alone decide which sources it has, so that a mosaic can be made band by band.

Positions and boxes are pixel edges of the FITS array: column `i` covers `[i, i + 1]`,
row 0 is the southernmost, and `wcs_x = x - 0.5`.
"""

import dataclasses
import functools
import math
from typing import Any

import cv2
import numpy as np
from scipy import spatial

from claran.simulation import artifacts, populations, source_drawing
from claran.simulation import radio_sky as radio
from claran.simulation.mosaic_noise import TILE
from claran.simulation.observation import SimulatedSurvey
from claran.simulation.source_drawing import Source
from claran.sky.beams import fwhm_to_sigma
from claran.sky.islands import class_code, find_all_peaks, find_islands

__all__ = ["PlacedSource", "Rendered", "draw_cell", "draw_placed", "render_source"]

# Number counts: N(> S) is proportional to S ** -0.8 up to 100 mJy, as of neighbors in
# `source_drawing`, and falls with S ** -1.5 beyond. With this density 8,192 x 8,192
# pixels of FIRST have about 1,700 peaks above five sigma (101 a square degree).
_PER_DEG2, _AT_JY = 75.0, 1e-3
_SLOPE, _STEEP_SLOPE, _BREAK_JY, _BRIGHTEST_JY = 0.8, 1.5, 0.1, 10.0
_FAINTEST = 3.0  # Sigma; most fainter sources are never found.

# Stream of random numbers that belong to one seed; see `mosaic_noise` for the others.
_CELLS, _PLACED = 11, 12

_CUT = 0.02  # Sigma at which the image of a source ends.
_ARTIFACTS_BEAMS = 67  # Side of the image of sidelobes and bowls: 200 pixels of FIRST.
_LEAST_BOWL = 0.1  # Sigma; weaker bowls are not drawn.
_LEAST_SIDELOBES = 0.02  # Sigma of the median; `draw_sidelobes` decides by a fifth.
_PEAK_SIGMA = 2.0  # Lower secondary peaks are not components.


@dataclasses.dataclass(frozen=True, kw_only=True)
class PlacedSource:
    """A source at a given place, for tests.

    Attributes:
        x: Column of its core, or of its center, in pixel edges.
        y: Row of it.
        code: "point" for an unresolved source, "compact", or one of the six classes,
            which the source may but need not show.
        peak: Peak brightness in the beam of FIRST at 1.4 GHz, Jy/beam.
        size: Factor on its size.
    """

    x: float
    y: float
    code: str = "point"
    peak: float = 0.01
    size: float = 1.0


@dataclasses.dataclass(frozen=True, eq=False)
class Rendered:
    """One source as it is added to the mosaic, and its rows of the truth.

    Attributes:
        stamps: Images, Jy/beam, each with its first row and column in the mosaic.
        source: Values by name of column, see `simulated_mosaic`.
        components: The same of each component.
    """

    stamps: list[tuple[int, int, np.ndarray]]
    source: dict[str, Any]
    components: list[dict[str, Any]]


def _source_density(survey: SimulatedSurvey) -> float:
    """Returns the number of sources per square degree brighter than three sigma.

    FIRST, with noise of 0.165 mJy/beam, has 132.
    """
    return _PER_DEG2 * (_FAINTEST * survey.noise_jy / _AT_JY) ** -_SLOPE


def draw_cell(
    seed: int, row: int, column: int, survey: SimulatedSurvey, density: float
) -> list[tuple[np.random.Generator, Source, float, float]]:
    """Returns the sources of a cell, each with its own generator, and its x and y.

    Args:
        seed: Seed of the mosaic.
        row: Row of the cell, from -1.
        column: Column of the cell, from -1.
        survey: The survey, which sets noise and pixels.
        density: Factor on the number of sources.
    """
    rng = np.random.default_rng([seed, _CELLS, row + 1, column + 1])
    area = (TILE * survey.pixel_arcsec / 3600) ** 2
    found = []
    for _ in range(rng.poisson(density * _source_density(survey) * area)):
        x, y = (np.array([column, row]) + rng.random(2)) * TILE
        peak = _draw_peak(rng, _FAINTEST * survey.noise_jy)
        compact = rng.random() < populations.CATALOG.neighbor_compact
        code = "compact" if compact else populations.CATALOG.draw_class(rng)
        own = np.random.default_rng(rng.integers(2**63))
        source = source_drawing.draw_source(own, code, survey, peak=peak)
        found.append((own, source, float(x), float(y)))
    return found


def draw_placed(
    seed: int, number: int, placed: PlacedSource, survey: SimulatedSurvey
) -> tuple[np.random.Generator, Source, float, float]:
    """Returns a source at a given place as `draw_cell` does."""
    rng = np.random.default_rng([seed, _PLACED, number])
    if placed.code == "point":
        blobs = np.array([[0.0, 0.0, placed.peak, 0.0]])
        source = Source("point", blobs, np.full(3, np.nan))
    else:
        source = source_drawing.draw_source(
            rng, placed.code, survey, size=placed.size, peak=placed.peak
        )
    return rng, source, placed.x, placed.y


def _draw_peak(rng: np.random.Generator, faintest: float) -> float:
    """Returns a random peak brightness, Jy/beam, by the number counts."""
    left = 1 - rng.random()  # Fraction of sources that are brighter.
    at_break = (max(_BREAK_JY, faintest) / faintest) ** -_SLOPE
    if left > at_break:
        return faintest * left ** (-1 / _SLOPE)
    peak = max(_BREAK_JY, faintest) * (left / at_break) ** (-1 / _STEEP_SLOPE)
    return min(peak, _BRIGHTEST_JY)


def render_source(
    rng: np.random.Generator,
    source: Source,
    x: float,
    y: float,
    *,
    survey: SimulatedSurvey,
    sigma: float,
    artifacts: bool = True,
) -> Rendered:
    """Returns the images of a source at a place of the mosaic, and the truth about it.

    Args:
        rng: Random generator of the artifacts.
        source: The source, with its core at the origin.
        x: Column of the core in the mosaic, pixel edges.
        y: Row of it.
        survey: Sets beam and pixels.
        sigma: Noise at its place, Jy/beam.
        artifacts: Whether it has sidelobes and a bowl.
    """
    half = _reach(source.blobs, survey, sigma)
    left, low = round(x) - half, round(y) - half
    moved = source.moved(
        *(np.array([x - round(x), y - round(y)]) * survey.pixel_arcsec)
    )
    image = radio.render(moved.blobs, survey, size=2 * half)
    stamps = [(low, left, image)]
    if artifacts:
        faint = _render_artifacts(
            rng, moved, survey, sigma=sigma, peak=float(image.max())
        )
        middle = _wide(survey).size // 2
        stamps += [(round(y) - middle, round(x) - middle, part) for part in faint]
    truth, components = _describe(
        image, source, survey, corner=(left, low), sigma=sigma
    )
    dx, dy = truth.pop("offset")
    truth |= {"x": x + dx, "y": y + dy, "core_x": x, "core_y": y}
    return Rendered(stamps, truth, components)


def _reach(blobs: np.ndarray, survey: SimulatedSurvey, sigma: float) -> int:
    """Returns half the side, in pixels, of an image with all of a source."""
    beam = fwhm_to_sigma(survey.beam_major_arcsec)
    ratio = radio.peak_brightness(blobs, survey) / (_CUT * sigma)
    deviations = math.sqrt(2 * math.log(max(ratio, 2.0)))
    width = np.hypot(blobs[:, 3], beam) * deviations
    reach = (np.abs(blobs[:, :2]) + width[:, None]).max()
    return math.ceil(reach / survey.pixel_arcsec) + 1


def _render_artifacts(
    rng: np.random.Generator,
    source: Source,
    survey: SimulatedSurvey,
    *,
    sigma: float,
    peak: float,
) -> list[np.ndarray]:
    """Returns the image of the sidelobes and of the bowl of a bright source, if any."""
    wide, images = _wide(survey), []
    if peak * survey.sidelobes > _LEAST_SIDELOBES * sigma:
        centers, peaks = np.zeros((1, 2)), np.array([peak])
        image = artifacts.draw_sidelobes(rng, wide, centers, peaks, sigma)
        images.append(image * _taper(wide.size))
    bowl = radio.bowl(source.blobs, survey)
    if radio.peak_brightness(bowl * (1, 1, -1, 1), survey) > _LEAST_BOWL * sigma:
        images.append(radio.render(bowl, wide))
    return [image for image in images if image.any()]


@functools.lru_cache(maxsize=4)
def _wide(survey: SimulatedSurvey) -> SimulatedSurvey:
    half = round(_ARTIFACTS_BEAMS * survey.beam_arcsec / survey.pixel_arcsec / 2)
    return dataclasses.replace(survey, size=2 * max(half, 1))


@functools.lru_cache(maxsize=4)
def _taper(size: int) -> np.ndarray:
    """Returns weights that fall to zero at the edges of an image, (size, size)."""
    axis = np.sin((np.arange(size) + 0.5) * (np.pi / size)).astype(np.float32)
    return axis[:, None] * axis


def _describe(
    image: np.ndarray,
    source: Source,
    survey: SimulatedSurvey,
    *,
    corner: tuple[int, int],
    sigma: float,
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Returns the truth about a source and its components, from its noise-free image.

    A component is a peak of the image. Islands and class follow Radio Galaxy Zoo's rule
    at the level of the noise, but without noise.
    """
    left, low = corner
    islands = find_islands(image, sigma, min_pixels=survey.min_pixels)
    flux = float(source.blobs[:, 2].sum())
    tops = _find_tops(image, max(_PEAK_SIGMA * sigma, 0.02 * float(image.max())))
    shares = _share_flux(image, tops)
    components = []
    for (row, column), share in zip(tops.tolist(), shares, strict=True):
        dx, dy, peak = _refine(image, row, column)
        components.append({
            "x": left + column + 0.5 + dx, "y": low + row + 0.5 + dy,
            "peak_flux": peak, "flux": flux * float(share),
            "island": int(islands.labels[row, column]) - 1,
            "snr": peak / sigma, "rms": sigma,
        })  # fmt: skip
    place = source.blobs[:, 2] @ source.blobs[:, :2] / flux / survey.pixel_arcsec
    peaks = len(find_all_peaks(image, islands, sigma)) if len(islands) else 0
    peak = max(part["peak_flux"] for part in components)
    row, column = tops[0]
    box = np.array([column, row, column + 1, row + 1])
    if len(islands):
        box = np.array([*islands.boxes[:, :2].min(0), *islands.boxes[:, 2:].max(0)])
    box = box + np.array([left, low, left, low])
    about = {
        "family": source.family, "flux": flux, "peak_flux": peak, "snr": peak / sigma,
        "rms": sigma, "class": class_code(len(islands), peaks) if peaks else "0_0",
        "n_components": len(islands), "n_peaks": peaks, "n_gaussians": len(components),
        "las": _largest_size(islands.labels) * survey.pixel_arcsec,
        "offset": place, "box": tuple(map(float, box)),
    }  # fmt: skip
    return about, components


def _find_tops(image: np.ndarray, least: float) -> np.ndarray:
    """Returns rows and columns of the maxima above a level, and the highest, (n, 2)."""
    tops = image >= np.maximum(cv2.dilate(image, np.ones((3, 3), np.uint8)), least)
    tops.flat[image.argmax()] = True
    places = np.argwhere(tops)
    places = places[np.argsort(-image[tops], kind="stable")]
    # Between two pixels a peak is as high in both: the first one counts.
    apart = np.abs(places[:, None] - places).max(axis=2) > 1
    return places[np.all(apart | ~np.tri(len(places), k=-1, dtype=bool), axis=1)]


def _share_flux(image: np.ndarray, tops: np.ndarray) -> np.ndarray:
    """Returns the fraction of the flux on the slopes of each top, (n,)."""
    if len(tops) == 1:
        return np.ones(1)
    h, w = image.shape
    padded = np.pad(image, 1, constant_values=-1)
    steps = [(dy, dx) for dy in (0, 1, 2) for dx in (0, 1, 2)]
    around = np.stack([padded[dy : dy + h, dx : dx + w] for dy, dx in steps])
    moves = np.array([(dy - 1) * w + dx - 1 for dy, dx in steps])
    best = moves[around.argmax(axis=0)]
    best[around.max(axis=0) == image] = 0  # A maximum, perhaps one of several pixels.
    uphill = np.arange(h * w) + best.ravel()
    for _ in range(math.ceil(math.log2(h + w)) + 1):
        uphill = uphill[uphill]
    total = np.bincount(uphill, weights=image.ravel(), minlength=h * w)
    # Maxima too low to be components go to the nearest one.
    lows = np.flatnonzero(total)
    nearest = spatial.KDTree(tops).query(np.stack(np.divmod(lows, w), axis=1))[1]
    shares = np.bincount(nearest, weights=total[lows], minlength=len(tops))
    return shares / shares.sum()


def _refine(image: np.ndarray, row: int, column: int) -> tuple[float, float, float]:
    """Returns the offset (x, y) of a maximum from its pixel, and its height.

    Parabolas through the logarithms are exact for a Gaussian.
    """
    patch = np.log(np.maximum(image[row - 1 : row + 2, column - 1 : column + 2], 1e-30))
    height, offsets = float(patch[1, 1]), []
    for low, middle, high in (patch[1], patch[:, 1]):
        curve = float(low - 2 * middle + high)
        slope = float(high - low) / 2
        offset = 0.0 if curve >= 0 else float(np.clip(-slope / curve, -0.5, 0.5))
        height += slope * offset / 2
        offsets.append(offset)
    return offsets[0], offsets[1], math.exp(height)


def _largest_size(labels: np.ndarray) -> float:
    """Returns the largest distance between pixels of islands, pixels; 0 for none."""
    places = np.argwhere(labels > 0)
    if len(places) < 2:
        return float(len(places))
    square = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    corners = (places[:, None] + square).reshape(-1, 2)
    hull = cv2.convexHull(corners.astype(np.int32))[:, 0].astype(float)
    return float(spatial.distance.pdist(hull).max())
