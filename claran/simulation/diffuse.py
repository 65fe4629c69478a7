"""Wide sources that are no radio galaxies, as sets of round Gaussians.

See `claran.simulation.radio_sky` for the array of blobs.
"""

import math

import numpy as np

__all__ = ["DIFFUSE", "build"]

DIFFUSE = ("shell", "spiral", "halo")
"""A supernova remnant, a nearby galaxy seen at any inclination, and a halo of a cluster
of galaxies."""


def build(rng: np.random.Generator, family: str, size: float) -> np.ndarray:
    """Returns the blobs of a wide source of unit flux about the origin, (n, 4).

    Args:
        rng: Random generator.
        family: One of `DIFFUSE`.
        size: Diameter, arcsec.
    """
    radius = size / 2
    if family == "shell":
        blobs = _build_shell(rng, radius)
    elif family == "spiral":
        blobs = _build_spiral(rng, radius)
    else:
        blobs = _build_halo(rng, radius)
    blobs[:, 2] /= blobs[:, 2].sum()
    return blobs


def _build_shell(rng: np.random.Generator, radius: float) -> np.ndarray:
    """Returns a ring that is brighter on one side, and often broken."""
    width = radius * rng.uniform(0.12, 0.3)
    count = math.ceil(2 * math.pi * radius / (1.5 * width))
    angle = 2 * math.pi * np.arange(count) / count
    bright = 1 + rng.uniform(0, 1) * np.cos(angle - rng.uniform(0, 2 * np.pi))
    flux = bright * rng.lognormal(0, rng.uniform(0.2, 0.8), count)
    x, y = radius * np.cos(angle), radius * np.sin(angle)
    ring = np.stack([x, y, flux, np.full(count, width)], axis=1)
    filling = [[0.0, 0.0, flux.sum() * rng.uniform(0, 0.5), radius * 0.5]]
    return np.concatenate([ring, filling])


def _build_spiral(rng: np.random.Generator, radius: float) -> np.ndarray:
    """Returns a disk with two arms of knots and a nucleus, inclined."""
    count = 14
    along = np.linspace(0.15, 1, count)
    turn = rng.uniform(0, 2 * np.pi) + rng.choice((-1, 1)) * 2.5 * np.log(along)
    angle = np.concatenate([turn, turn + math.pi]) + rng.normal(0, 0.15, 2 * count)
    distance = np.tile(along * radius, 2)
    flux = np.exp(-2 * distance / radius) * rng.lognormal(0, 0.7, 2 * count)
    x, y = distance * np.cos(angle), distance * np.sin(angle)
    width = np.full(2 * count, radius * 0.12)
    arms = np.stack([x, y, flux, width], axis=1)
    disk = [
        [0.0, 0.0, share * flux.sum(), radius * part]
        for share, part in ((0.6, 0.45), (0.5, 0.25), (rng.uniform(0, 0.4), 0.06))
    ]
    blobs = np.concatenate([arms, disk])
    blobs[:, 1] *= rng.uniform(0.25, 1)
    return _turned(blobs, rng.uniform(0, 2 * np.pi))


def _build_halo(rng: np.random.Generator, radius: float) -> np.ndarray:
    """Returns a smooth cloud with clumps in it."""
    count = 12
    x, y = rng.normal(0, 0.4 * radius, (2, count))
    flux = rng.lognormal(0, 0.7, count)
    clumps = np.stack([x, y, flux, radius * rng.uniform(0.15, 0.4, count)], axis=1)
    cloud = [[0.0, 0.0, flux.sum() * rng.uniform(1, 3), radius * 0.5]]
    return np.concatenate([clumps, cloud])


def _turned(blobs: np.ndarray, angle: float) -> np.ndarray:
    x, y = blobs[:, :2].T
    cosine, sine = math.cos(angle), math.sin(angle)
    places = np.stack([cosine * x - sine * y, sine * x + cosine * y], axis=1)
    return np.concatenate([places, blobs[:, 2:]], axis=1)
