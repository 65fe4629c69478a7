"""The arrays of antennas that surveys were made with, and their uv coverage.

An interferometer measures the sky at the spatial frequencies of its baselines. They
decide what noise and sidelobes look like: six arms for a snapshot of the VLA, rings and
short waves for an array with many antennas that tracked a field for hours. The exact
places of antennas do not matter for this: layouts other than the VLA's are drawn at
random, once, with the distribution of distances that the array has.
"""

import dataclasses
import functools
import math

import numpy as np

__all__ = ["ASKAP", "LOFAR", "MEERKAT", "SKA", "VLA", "Array", "uv_counts"]

_SAMPLES = 25  # Samples of a track in time.


@dataclasses.dataclass(frozen=True, kw_only=True)
class Array:
    """An array of antennas and how it observes.

    Attributes:
        name: Name of the array.
        latitude_deg: Geographic latitude, degrees.
        hours: Length of the track of a field, hours; 0 for a snapshot.
        dec_deg: Lowest and highest declination of its fields, degrees.
        radii: Quantiles of the distance of antennas from the center, from the innermost
            to the outermost, in any unit. None for the Y of the VLA.
        antennas: Number of antennas.
    """

    name: str
    latitude_deg: float
    hours: float
    dec_deg: tuple[float, float]
    radii: tuple[float, ...] | None = None
    antennas: int = 27

    @property
    def snapshot(self) -> bool:
        """Whether a field is seen at a single hour angle."""
        return self.hours == 0


# Thompson et al. 1980, ApJS 44, 151.
VLA = Array(name="VLA", latitude_deg=34.08, hours=0.0, dec_deg=(0.0, 60.0))
# Hotan et al. 2021, PASA 38, e009: 36 antennas, 30 of them within 2 km, all in 6 km.
ASKAP = Array(
    name="ASKAP", latitude_deg=-26.70, hours=8.0, dec_deg=(-80.0, 20.0),
    radii=(0.02, 0.25, 0.45, 0.7, 1.0, 1.4, 3.0), antennas=36,
)  # fmt: skip
# van Haarlem et al. 2013, A&A 556, A2: a core of 3.5 km, remote stations up to 80 km.
LOFAR = Array(
    name="LOFAR", latitude_deg=52.91, hours=8.0, dec_deg=(20.0, 70.0),
    radii=(0.05, 0.3, 0.8, 1.5, 4.0, 12.0, 45.0), antennas=62,
)  # fmt: skip
# Jonas et al. 2016 (MeerKAT2016): 64 antennas, 70% of them within 1 km, all in 8 km.
MEERKAT = Array(
    name="MeerKAT", latitude_deg=-30.71, hours=8.0, dec_deg=(-85.0, 10.0),
    radii=(0.02, 0.15, 0.25, 0.4, 0.55, 1.5, 4.0), antennas=64,
)  # fmt: skip
# SKA-Mid: the core of MeerKAT and three arms, here without their shape, to 75 km.
SKA = Array(
    name="SKA", latitude_deg=-30.71, hours=8.0, dec_deg=(-85.0, 10.0),
    radii=(0.05, 0.4, 1.0, 4.0, 12.0, 35.0, 75.0), antennas=130,
)  # fmt: skip


@functools.lru_cache(maxsize=16)
def _baselines(array: Array) -> np.ndarray:
    """Returns the baselines, east and north, in units of the longest, (b, 2)."""
    if array.radii is None:
        # Antenna `n` of an arm is at a distance proportional to `n ** 1.716`. The arms
        # have azimuths of -5, 115 and 236 degrees.
        radius = np.arange(1, 10) ** 1.716
        azimuth = np.radians([-5.0, 115.0, 236.0])[:, None]
    else:
        rng = np.random.default_rng(4)  # One fixed layout.
        share = (np.arange(array.antennas) + 0.5) / array.antennas
        places = np.linspace(0, 1, len(array.radii))
        radius = np.exp(np.interp(share, places, np.log(array.radii)))
        azimuth = rng.uniform(0, 2 * np.pi, array.antennas)
    east, north = radius * np.sin(azimuth), radius * np.cos(azimuth)
    stations = np.stack([east.ravel(), north.ravel()], axis=1)
    pairs = (stations[:, None] - stations).reshape(-1, 2)
    length = np.hypot(*pairs.T)
    return pairs[length > 0] / length.max()


def uv_counts(
    array: Array, *, side: int, cell: float, hour_angle: float, dec: float
) -> np.ndarray:
    """Returns how often the cells of the uv plane are measured, (side, side) float32.

    Zero frequency is at `[side // 2, side // 2]`.

    Args:
        array: The array.
        side: Cells along an axis.
        cell: Cells that the longest baseline reaches from the center.
        hour_angle: Hour angle of the field in the middle of the observation, radians.
        dec: Declination of the field, radians.
    """
    east, north = _baselines(array).T
    latitude = math.radians(array.latitude_deg)
    bx, by, bz = -north * math.sin(latitude), east, north * math.cos(latitude)
    half = math.pi / 24 * array.hours
    samples = 1 if array.snapshot else _SAMPLES
    counts = np.zeros(side * side, np.int64)
    for hour in np.linspace(-half, half, samples) + hour_angle:
        u = math.sin(hour) * bx + math.cos(hour) * by
        v = math.sin(dec) * (math.sin(hour) * by - math.cos(hour) * bx)
        v += math.cos(dec) * bz
        cells = np.rint(np.stack([v, u]) * cell).astype(int) + side // 2
        row, column = cells[:, ((cells >= 0) & (cells < side)).all(axis=0)]
        counts += np.bincount(row * side + column, minlength=side * side)
    return counts.reshape(side, side).astype(np.float32)
