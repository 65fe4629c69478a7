"""Whether an image is of the kind that a network's scores are calibrated for.

Networks learn from images with beams of 2 to 10 pixels that are nearly round, and with
Gaussian noise. Of others their scores are no probabilities, which the user is told.
"""

import math

import numpy as np
from jaxtyping import Float32, Int

from claran.sky.beams import beam_area_pixels
from claran.sky.islands import THRESHOLD

__all__ = [
    "DEPTHS",
    "count_depths",
    "domain_notes",
    "has_gaussian_noise",
    "is_gaussian",
    "sampled",
    "tail_depth",
]

NARROWEST, WIDEST = 2.0, 10.0  # Pixels.
LONGEST = 2.0  # Major axis of a beam over its minor axis.

LOWEST, STEP = -10.0, 0.05  # Sigma; of the depths that are counted.
DEPTHS = math.ceil((THRESHOLD - LOWEST) / STEP)
"""Number of depths that pixels are counted in."""
# Below the median by one and by three sigma, shares of a Gaussian.
ONE, THREE = 0.158655, 0.00134990
SMALL = 2**18  # Pixels; of larger images each second row and column counts.

# The depth of the three-sigma tail is 3 in Gaussian noise, 1.5 in uniform noise, 1.9 in
# Rayleigh's (polarized intensity), 4.6 in Student's with five degrees of freedom. Of
# 3,000 fields of --data=simulated none is outside of these limits, and none of the real
# ones at hand (scripts/measure_noise_tails.py).
FEWEST = 250  # Beams in an image; in a smaller one the depth says nothing.
FEWEST_LEVELS = 8  # Within one sigma of zero; of integers with fewer it says nothing.
SHORTEST, DEEPEST = 2.5, 3.8
SCATTER_BELOW, SCATTER_ABOVE = 17.0, 10.0  # Times 1 / sqrt(beams).
# A source of so many sigma deepens the tail of a field of 3' by 1, by its sidelobes.
PEAK, PEAK_BEAMS = 100.0, 1000.0


def domain_notes(
    beam_pixels: float, beam_ratio: float, *, gaussian: bool
) -> tuple[str, ...]:
    """Returns a note on an image that scores are not calibrated for, or none.

    Args:
        beam_pixels: Width of the beam, pixels.
        beam_ratio: Its major over its minor axis.
        gaussian: Whether the noise is, see `is_gaussian`.

    >>> domain_notes(1.5, 1.0, gaussian=True)
    ('scores are not calibrated for images with a beam of less than 2 pixels',)
    """
    # Widths in headers are rounded.
    width, shape = round(beam_pixels, 2), round(beam_ratio, 2)
    reasons = [
        (width < NARROWEST, f"a beam of less than {NARROWEST:g} pixels"),
        (width > WIDEST, f"a beam of more than {WIDEST:g} pixels"),
        (shape > LONGEST, f"a beam more than {LONGEST:g} times as long as wide"),
        (not gaussian, "noise that is not Gaussian"),
    ]
    told = [words for is_so, words in reasons if is_so]
    if not told:
        return ()
    return (f"scores are not calibrated for images with {' and '.join(told)}",)


def has_gaussian_noise(
    signal_to_noise: Float32[np.ndarray, "ny nx"], beam_pixels: float
) -> bool:
    """Returns whether the noise of an image is Gaussian, see `is_gaussian`.

    Args:
        signal_to_noise: The whole image; NaN is blank.
        beam_pixels: Width of the beam, pixels.
    """
    return is_gaussian(
        count_depths(sampled(signal_to_noise, signal_to_noise.shape)),
        beam_pixels,
        pixels=int(np.isfinite(signal_to_noise).sum()),
        peak=float(np.fmax.reduce(signal_to_noise, None)),
    )


def sampled(
    part: Float32[np.ndarray, "h w"], shape: tuple[int, ...], start: tuple = (0, 0)
) -> Float32[np.ndarray, "rows columns"]:
    """Returns the pixels of a part of an image that are counted.

    Args:
        part: The part.
        shape: Rows and columns of the image.
        start: Row and column of the image that the part begins with.
    """
    step = 1 if shape[0] * shape[1] <= SMALL else 2
    return part[-start[0] % step :: step, -start[1] % step :: step]


def count_depths(
    signal_to_noise: Float32[np.ndarray, "ny nx"],
) -> Int[np.ndarray, "depths"]:
    """Returns the number of pixels below the threshold of islands, by their depth.

    The sum for the parts of an image is that for the image.

    Args:
        signal_to_noise: Some pixels of the image; NaN is blank.
    """
    ratio = signal_to_noise.ravel()
    place = (ratio[ratio < THRESHOLD] - np.float32(LOWEST)) * np.float32(1 / STEP)
    return np.bincount(
        np.maximum(place, 0, out=place).astype(np.int64), minlength=DEPTHS
    )[:DEPTHS]


def is_gaussian(
    counts: Int[np.ndarray, "depths"], beam_pixels: float, *, pixels: int, peak: float
) -> bool:
    """Returns whether noise is Gaussian, as far as its negative pixels show.

    Sources are positive. Sidelobes and bowls of bright ones are negative too, and are
    no reason for a note: a network has learned of them.

    Args:
        counts: Of `count_depths`.
        beam_pixels: Width of the beam, pixels.
        pixels: Number of pixels with a value.
        peak: Signal-to-noise of the brightest one.
    """
    beams = pixels / beam_area_pixels(beam_pixels)
    within = slice(*(round((side - LOWEST) / STEP) for side in (-1.0, 1.0)))
    if beams < FEWEST or np.count_nonzero(counts[within]) < FEWEST_LEVELS:
        return True
    depth = tail_depth(counts)
    scatter = 1 / math.sqrt(beams)
    artifacts = peak / PEAK * min(1.0, PEAK_BEAMS / beams)
    lowest = SHORTEST - SCATTER_BELOW * scatter
    return lowest <= depth <= DEEPEST + SCATTER_ABOVE * scatter + artifacts


def tail_depth(counts: Int[np.ndarray, "depths"]) -> float:
    """Returns how far the three-sigma tail reaches, in units of the one-sigma width.

    Args:
        counts: Of `count_depths`; one at least.
    """
    edges = LOWEST + STEP * np.arange(DEPTHS + 1)
    shares = np.append(0, np.cumsum(counts)) / counts.sum()
    three, one, middle = np.interp([THREE, ONE, 0.5], shares, edges)
    return float((middle - three) / (middle - one)) if middle > one else math.inf
