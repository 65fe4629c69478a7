"""The noise of a simulated mosaic of any size, made band by band, and its level.

Noise of unit variance is made in tiles by Fourier transforms, each of one pointing's
spectrum (`field_noise.noise_powers`). Neighboring tiles overlap and are faded into each
other by weights whose squares add up to one. Thus the variance is the same everywhere,
and no pixel of a mosaic repeats another one.
"""

import concurrent.futures
import dataclasses
import functools
import math
from collections.abc import Iterator

import numpy as np
from scipy import fft, ndimage

from claran.io.parallel import cores
from claran.simulation import field_noise
from claran.simulation.observation import SimulatedSurvey

__all__ = ["TILE", "NoiseLevel", "unit_noise"]

TILE = 512  # Rows of a band, and distance between tiles; pixels.
OVERLAP = 64  # Pixels in which a tile fades. Noise is correlated over about three.
SIDE = TILE + OVERLAP

# Pixels along an axis of the spectra before they are interpolated to a tile. Structure
# in the noise is thus smaller than half of it, as in those of `field_noise`.
_COARSE = 120

# Wave packets of gain errors in a field of 3' x 3'. With them the stripes have the
# variance of `artifacts.draw_stripes`, 3% of the noise's. Few sets of packets suffice,
# each of which is shifted at random.
_PACKETS, _PACKET_SETS = 2, 8

# Streams of random numbers that belong to one seed.
_TILES, _NODES, _FEATURES = 1, 2, 3

_FIELD_ARCSEC = 180.0


def unit_noise(
    seed: int, survey: SimulatedSurvey, shape: tuple[int, int]
) -> Iterator[np.ndarray]:
    """Yields noise of unit variance in bands of `TILE` rows, (<= 512, nx) float32.

    Args:
        seed: Seed. Mosaics of other shapes have the same noise where both have pixels.
        survey: Sets beam, pixels and array.
        shape: Rows and columns.
    """
    ny, nx = shape
    columns = math.ceil(nx / TILE)
    carry = np.zeros((OVERLAP, columns * TILE + OVERLAP), np.float32)
    with concurrent.futures.ThreadPoolExecutor(cores()) as pool:
        for row in range(math.ceil(ny / TILE)):
            make = functools.partial(_draw_tile, seed, survey, row)
            band = np.zeros((SIDE, carry.shape[1]), np.float32)
            # In order, since sums of three and four tiles depend on it.
            for column, tile in enumerate(pool.map(make, range(columns))):
                band[:, column * TILE : column * TILE + SIDE] += tile
            band[:OVERLAP] += carry
            carry = band[TILE:].copy()
            yield band[: min(TILE, ny - row * TILE), :nx]


def _draw_tile(seed: int, survey: SimulatedSurvey, row: int, column: int) -> np.ndarray:
    """Returns one tile of noise, faded toward its neighbors, (SIDE, SIDE) float32."""
    rng = np.random.default_rng([seed, _TILES, row, column])
    amplitude = _amplitude(survey, int(rng.integers(_pointings(survey))))
    parts = rng.standard_normal((*amplitude.shape, 2), dtype=np.float32)
    spectrum = amplitude * parts.view(np.complex64)[..., 0]
    noise = np.asarray(fft.irfft2(spectrum, (SIDE, SIDE), overwrite_x=True))
    if survey.stripes:
        stripes = _stripes(survey)
        shift = rng.integers(0, SIDE, 2).tolist()
        chosen = stripes[rng.integers(len(stripes))]
        noise += np.roll(chosen, shift, (0, 1)) * np.float32(rng.choice((-1, 1)))
        noise /= np.float32(math.sqrt(1 + float(np.mean(stripes**2))))
    # No tile lies before the first one.
    return noise * _fade(row > 0)[:, None] * _fade(column > 0)


def _fade(rises: bool) -> np.ndarray:
    """Returns the weights along an axis of a tile, (SIDE,) float32."""
    angle = (np.arange(OVERLAP) + 0.5) * (np.pi / 2 / OVERLAP)
    weights = np.ones(SIDE, np.float32)
    weights[TILE:] = np.cos(angle)
    if rises:
        weights[:OVERLAP] = np.sin(angle)
    return weights


def _pointings(survey: SimulatedSurvey) -> int:
    return len(_powers(survey))


@functools.lru_cache(maxsize=2)
def _powers(survey: SimulatedSurvey) -> np.ndarray:
    powers = fft.fftshift(field_noise.noise_powers(survey, _COARSE), axes=(1, 2))
    return powers.astype(np.float32)


@functools.lru_cache(maxsize=64)
def _amplitude(survey: SimulatedSurvey, pointing: int) -> np.ndarray:
    """Returns amplitudes for `irfft2`, (SIDE, SIDE // 2 + 1) float32."""
    places = fft.fftfreq(SIDE)[:, None], np.abs(fft.rfftfreq(SIDE))[None]
    places = np.broadcast_arrays(*(p * _COARSE + _COARSE // 2 for p in places))
    power = ndimage.map_coordinates(_powers(survey)[pointing], places, order=1)
    # All columns but the first and the last stand for two of the full plane. Of those
    # two `irfft2` uses the real part alone.
    power[:, [0, -1]] *= 2
    variance = power[:, 1:-1].sum() * 4 + power[:, [0, -1]].sum()
    return np.sqrt(power / variance).astype(np.float32) * np.float32(SIDE**2)


@functools.lru_cache(maxsize=2)
def _stripes(survey: SimulatedSurvey) -> np.ndarray:
    """Returns the wave packets that gain errors leave, (n, SIDE, SIDE) float32.

    They are periodic, and in units of the noise; see `artifacts.draw_stripes`.
    """
    rng = np.random.default_rng(2)  # Fixed sets, one of which is drawn.
    stripes = np.zeros((_PACKET_SETS, SIDE, SIDE), np.float32)
    count = _PACKETS * (SIDE * survey.pixel_arcsec / _FIELD_ARCSEC) ** 2
    longest = field_noise.LONGEST / survey.beam_arcsec * survey.pixel_arcsec
    for image in stripes:
        for _ in range(rng.poisson(count)):
            wave = 1 / (longest * 10 ** rng.uniform(-1.4, -0.6))
            angle = rng.uniform(0, np.pi)
            if survey.array.snapshot:
                angle = rng.choice(field_noise.ARM_WAVES) + rng.normal(0, 0.06)
            amplitude = rng.gamma(2, survey.stripes / 2)
            width = min(rng.uniform(0.6, 1.5) * wave, SIDE / 5)
            half = math.ceil(2.4 * width)
            axis = np.arange(-half, half)
            along = math.cos(angle) * axis + math.sin(angle) * axis[:, None]
            packet = np.cos(2 * np.pi * along / wave + rng.uniform(0, 2 * np.pi))
            packet *= amplitude
            fade = np.exp(-((axis / width) ** 2))
            y, x = rng.integers(0, SIDE, 2)
            rows, columns = (axis + y) % SIDE, (axis + x) % SIDE
            image[np.ix_(rows, columns)] += packet * fade * fade[:, None]
    return stripes


@dataclasses.dataclass(frozen=True, kw_only=True)
class NoiseLevel:
    """Standard deviation of the noise of a mosaic, as a function of the place.

    Attributes:
        shape: Rows and columns of the mosaic.
        seed: Seed.
        survey: Sets the median and the scatter, Jy/beam.
        uneven: Whether the noise also rises fourfold toward the edges, and has steps,
            strips of 40 pixels, and spots. Otherwise it changes smoothly over 15' in
            FIRST.
    """

    shape: tuple[int, int]
    seed: int
    survey: SimulatedSurvey
    uneven: bool = False

    def __call__(self, y: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Returns the level on a grid, (n, m) float32 Jy/beam.

        Args:
            y: (n,) rising rows, in pixel edges.
            x: (m,) rising columns, in pixel edges.
        """
        level = self._smooth(y, x)
        if self.uneven:
            level *= self._rise(y, x)
            for axis, place, width, factor in self._steps:
                inside = (y, x)[axis] - place
                inside = (inside > 0) & (inside < width)
                level[inside if axis == 0 else (slice(None), inside)] *= factor
            for spot in self._spots:
                _add_spot(level, y, x, spot)
        return level

    def _smooth(self, y: np.ndarray, x: np.ndarray) -> np.ndarray:
        low = math.floor(y[0] / TILE)
        count = math.ceil(self.shape[1] / TILE) + 2
        rows = range(low, math.floor(y[-1] / TILE) + 2)
        nodes = [_draw_nodes(self.seed, max(row, 0), count) for row in rows]
        places = np.arange(count) * float(TILE)
        nodes = np.array([np.interp(x, places, row) for row in nodes], np.float32)
        index = np.floor(y / TILE).astype(int) - low
        share = (y / TILE - np.floor(y / TILE)).astype(np.float32)[:, None]
        smooth = nodes[index] * (1 - share)
        smooth += nodes[index + 1] * share
        # Between independent nodes the scatter is two thirds of theirs.
        smooth *= np.float32(1.5 * self.survey.noise_scatter)
        np.exp(smooth, out=smooth)
        smooth *= np.float32(self.survey.noise_jy)
        return smooth

    def _rise(self, y: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Returns a factor: 1 at the center, 4 amid the edges and 16 in the corners."""
        rows, columns = (
            (4.0 ** ((2 * axis / side - 1) ** 2)).astype(np.float32)
            for axis, side in zip((y, x), self.shape, strict=True)
        )
        return rows[:, None] * columns

    @functools.cached_property
    def _steps(self) -> list[tuple[int, float, float, float]]:
        """Axis, place, width and factor of steps and strips."""
        ny, nx = self.shape
        return [
            (1, 0.37 * nx, math.inf, 1.6),
            (0, 0.71 * ny, math.inf, 0.7),
            (1, 0.82 * nx, 40.0, 2.5),
            (0, 0.22 * ny, 40.0, 2.5),
        ]

    @functools.cached_property
    def _spots(self) -> list[tuple[float, float, float, float]]:
        """Row, column, sigma in pixels and excess of spots, three a square degree."""
        rng = np.random.default_rng([self.seed, _FEATURES])
        ny, nx = self.shape
        count = 3 + round(3 * ny * nx * (self.survey.pixel_arcsec / 3600) ** 2)
        return [
            (
                rng.uniform(0, ny), rng.uniform(0, nx),
                8 * 10 ** rng.uniform(0, 1), rng.uniform(1, 3),
            )
            for _ in range(count)
        ]  # fmt: skip


@functools.lru_cache(maxsize=8)
def _draw_nodes(seed: int, row: int, count: int) -> np.ndarray:
    return np.random.default_rng([seed, _NODES, row]).standard_normal(count)


def _add_spot(
    level: np.ndarray, y: np.ndarray, x: np.ndarray, spot: tuple[float, ...]
) -> None:
    """Multiplies a level by a spot of higher noise, in place."""
    row, column, sigma, excess = spot
    reach = 4 * sigma
    rows = slice(*np.searchsorted(y, (row - reach, row + reach)))
    columns = slice(*np.searchsorted(x, (column - reach, column + reach)))
    across = np.exp(-((y[rows] - row) ** 2) / (2 * sigma**2)).astype(np.float32)
    along = np.exp(-((x[columns] - column) ** 2) / (2 * sigma**2)).astype(np.float32)
    level[rows, columns] *= 1 + np.float32(excess) * across[:, None] * along
