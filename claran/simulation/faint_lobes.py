"""Faint wide lobes, with or without a core and jets, of which fragments are seen.

Real fields have sources whose lobes lie mostly below the lowest contour: what rises
above it are a few small islands in a glow. Networks that had seen none took these for
unrelated sources.
"""

import numpy as np

from claran.simulation import morphology

__all__ = ["draw_faint_lobes"]

# Relative numbers of the families of what is within the lobes; "none" for nothing.
_INNER = {"compact": 0.3, "one_sided": 0.25, "fr1": 0.15, "head_tail": 0.1, "none": 0.2}
_ONE_LOBE = 0.15  # Fraction of sources whose other lobe is too faint.


def draw_faint_lobes(rng: np.random.Generator, size: float) -> np.ndarray:
    """Returns lobes that are clouds of blobs, and what is within them, (n, 4).

    Args:
        rng: Random generator.
        size: Length from end to end, arcsec.
    """
    angle = rng.uniform(0, 2 * np.pi)
    directions = angle + np.array([0, np.pi]) + rng.normal(0, 0.3, 2)
    fluxes = rng.lognormal(0, 0.6, 2)
    if rng.random() < _ONE_LOBE:
        fluxes[1] = 0
    clouds = [
        _draw_cloud(rng, size, direction) * (1, 1, flux, 1)
        for direction, flux in zip(directions, fluxes, strict=True)
        if flux
    ]
    lobes = np.concatenate(clouds)
    lobes[:, 2] /= lobes[:, 2].sum()
    family = str(rng.choice(list(_INNER), p=list(_INNER.values())))
    if family == "none":
        return lobes
    # Jets keep the direction of the lobes, but for what these have drifted since.
    length = 1.6 if family == "compact" else size * rng.uniform(0.15, 0.6)
    inner = _turned(
        morphology.build(rng, morphology.draw_shape(rng, family, length)),
        angle + rng.normal(0, 0.4),
    )
    share = rng.uniform(0.03, 0.6)  # Of the flux.
    inner[:, 2] *= share
    lobes[:, 2] *= 1 - share
    return np.concatenate([inner, lobes])


def _draw_cloud(rng: np.random.Generator, size: float, direction: float) -> np.ndarray:
    """Returns a lobe of unit flux in some direction from the core, (n, 4)."""
    number = rng.integers(4, 13)
    distance = size / 2 * rng.uniform(0.5, 1.0)
    long = size * rng.uniform(0.08, 0.22)
    wide = long * rng.uniform(0.4, 1.0)
    along = distance + long * rng.standard_normal(number)
    across = wide * rng.standard_normal(number)
    sigma = wide * rng.uniform(0.35, 1.0, number)
    flux = sigma**2 * rng.lognormal(0, 0.7, number)
    ahead = np.array([np.cos(direction), np.sin(direction)])
    aside = np.array([-ahead[1], ahead[0]])
    places = along[:, None] * ahead + across[:, None] * aside
    return np.column_stack([places, flux / flux.sum(), sigma])


def _turned(blobs: np.ndarray, angle: float) -> np.ndarray:
    """Returns blobs with the brightest distant part of them in a direction."""
    x, y = blobs[:, 2] @ blobs[:, :2]
    turn = angle - np.arctan2(y, x)
    cosine, sine = np.cos(turn), np.sin(turn)
    blobs = blobs.copy()
    blobs[:, :2] = blobs[:, :2] @ np.array([[cosine, sine], [-sine, cosine]])
    return blobs
