"""Where the host galaxy of a radio source is, given the radio image alone.

The density is a mixture of Gaussians, one for each landmark of the source
(`claran.hosts.landmarks`). A small network says how probable it is that the host is at
each landmark, how far it is off, and how well its place is known. It looks at every
landmark in the same way, beside the mean and the maximum of what it sees in all of
them, so that their order does not matter. `scripts/train_hosts.py` trains it on
simulated sources.
"""

import dataclasses
import functools
import hashlib
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float, Float32, Int

from claran.errors import ImageError
from claran.hosts.landmarks import Landmarks

__all__ = [
    "HostDensity",
    "host_densities",
    "mixtures",
    "network_fingerprint",
    "read_network",
]

WEIGHTS = Path(__file__).parents[1] / "weights" / "host_position.npz"
OUTLIERS = 0.02  # Share of hosts that are at no landmark.
LEAST = 1e-4  # Probability of a landmark that counts.
OUTLIER_BEAMS = 1.5  # Width of their Gaussian, to which the source's size is added.
NARROWEST = 0.03  # Beams, one sigma: hosts and radio images agree no better.
LARGEST = 6.0  # Features are cut at so many of their standard deviations.
BLUR = 0.5  # Beams, one sigma: the best place has most of the density about it.
_DRAWS = 64  # Points that stand for each Gaussian.


@dataclasses.dataclass(frozen=True, eq=False)
class HostDensity:
    """The probability density of the host's place: a mixture of Gaussians.

    Attributes:
        weights: (k,) probability of each Gaussian; their sum is 1.
        means: (k, 2) centers `(x, y)`, pixels of the image (edges, see
            docs/conventions.md).
        covariances: (k, 2, 2) in `x` and `y`, pixels squared.
        blur: One sigma by which the density is smoothed to find its best place, pixels.
    """

    weights: Float[np.ndarray, "k"]
    means: Float[np.ndarray, "k 2"]
    covariances: Float[np.ndarray, "k 2 2"]
    blur: float = 0.0

    def logpdf(
        self,
        points: Float[np.ndarray, "n 2"],
        errors: Float[np.ndarray, "n"] | float = 0,
    ) -> Float[np.ndarray, "n"]:
        """Returns the natural logarithm of the density, per square pixel.

        Args:
            points: `(x, y)`, pixels.
            errors: Error of each point, one sigma for each axis, pixels. The density is
                then the mean over where the point can be.
        """
        extra = np.broadcast_to(np.square(errors), len(points))[:, None]
        xx = self.covariances[:, 0, 0] + extra
        yy = self.covariances[:, 1, 1] + extra
        xy = self.covariances[:, 0, 1]
        area = xx * yy - xy**2
        dx, dy = np.moveaxis(points[:, None] - self.means, -1, 0)
        square = (yy * dx**2 - 2 * xy * dx * dy + xx * dy**2) / area
        logs = np.log(self.weights * (0.5 / math.pi)) - 0.5 * (square + np.log(area))
        highest = logs.max(axis=1)
        return highest + np.log(np.exp(logs - highest[:, None]).sum(axis=1))

    def best(self) -> tuple[Float[np.ndarray, "2"], float]:
        """Returns the most probable place, pixels, and its error, one sigma per axis.

        It is the center of a Gaussian with most of the density about it. A circle of
        1.52 errors has 68.3% of the density in it, as for a single round Gaussian.
        """
        density = self.logpdf(self.means, self.blur)
        place = self.means[density.argmax()]
        distance = np.hypot(*(self._points() - place).T)
        order = np.argsort(distance)
        inside = np.cumsum(np.repeat(self.weights, _DRAWS)[order])
        radius = distance[order[np.searchsorted(inside, 0.683 * inside[-1])]]
        return place, float(radius) / math.sqrt(-2 * math.log(1 - 0.683))

    def level(self, point: Float[np.ndarray, "2"]) -> float:
        """Returns the share of the density where it is higher than at a point.

        A point is in the smallest region of 90% if its level is below 0.9.
        """
        here = self.logpdf(np.asarray(point, np.float64)[None])[0]
        higher = self.logpdf(self._points()) > here
        return float(higher.reshape(-1, _DRAWS).mean(axis=1) @ self.weights)

    def shifted(self, x: float, y: float) -> "HostDensity":
        """Returns the density in a frame whose origin is at (-x, -y) of this one."""
        return dataclasses.replace(self, means=self.means + np.array([x, y]))

    def scaled(self, factor: float) -> "HostDensity":
        """Returns the density in units of another size, as of arcsec for pixels."""
        return HostDensity(
            weights=self.weights, means=self.means * factor,
            covariances=self.covariances * factor**2, blur=self.blur * factor,
        )  # fmt: skip

    def _points(self) -> Float[np.ndarray, "m 2"]:
        """Returns points that stand for the density, `_DRAWS` for each Gaussian."""
        roots = np.linalg.cholesky(self.covariances)
        points = self.means[:, None] + _normal_points() @ roots.transpose(0, 2, 1)
        return points.reshape(-1, 2)


@functools.cache
def _normal_points() -> Float[np.ndarray, "d 2"]:
    """Returns points that are spread as a round Gaussian, on a spiral."""
    share = (np.arange(_DRAWS) + 0.5) / _DRAWS
    radius = np.sqrt(-2 * np.log(1 - share))
    angle = np.arange(_DRAWS) * math.pi * (3 - math.sqrt(5))
    return radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)


def host_densities(
    sources: Sequence[Landmarks],
    network: Mapping[str, Float32[np.ndarray, "..."]] | None = None,
) -> list[HostDensity]:
    """Returns the density of the host's place for each source.

    That of a source does not depend on the others, to the last bit.

    Args:
        sources: The landmarks of each, from `claran.hosts.landmarks.find_landmarks`.
        network: Weights by name; None for those that come with claran.

    Raises:
        ImageError: The weights that come with claran are damaged.
    """
    network = read_network() if network is None else network
    found = []
    for source in sources:
        # Alone: in one product with others, the last bits depend on these.
        outputs = mixtures(network, source.features, np.array([len(source)]))
        found.append(_density(source, outputs.astype(np.float64)))
    return found


@functools.cache
def read_network(path: Path = WEIGHTS) -> Mapping[str, Float32[np.ndarray, "..."]]:
    """Returns the weights of the network, by name.

    Args:
        path: An .npz file that `scripts/train_hosts.py` wrote.

    Raises:
        ImageError: The file is missing or damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            return dict(file)
    except (OSError, ValueError, EOFError) as error:
        raise ImageError(
            f"{path}: cannot read the weights for the places of hosts ({error}); "
            "install claran again."
        ) from error


def network_fingerprint(path: Path = WEIGHTS) -> str:
    """Returns a hash of the weights of the network.

    Args:
        path: As for `read_network`.

    Raises:
        ImageError: As for `read_network`.
    """
    digest = hashlib.sha256()
    for name, array in sorted(read_network(path).items()):
        digest.update(name.encode() + np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def mixtures(
    network: Mapping[str, Float32[np.ndarray, "..."]],
    features: Float32[np.ndarray, "p f"],
    counts: Int[np.ndarray, "n"],
) -> Float32[np.ndarray, "p 6"]:
    """Returns what the network says of each landmark, see `_density`.

    Args:
        network: Weights by name.
        features: The landmarks of one source after the other.
        counts: Number of landmarks of each source.
    """
    shown = (features - network["mean"]) / network["spread"]
    hidden = np.clip(shown, -LARGEST, LARGEST)
    starts = np.cumsum(counts) - counts
    for layer in range(len(network) // 2 - 1):
        if layer:
            hidden = _with_context(hidden, counts, starts)
        hidden = hidden @ network[f"kernel{layer}"] + network[f"bias{layer}"]
        if f"kernel{layer + 1}" in network:
            hidden = hidden / (1 + np.exp(-hidden))
    return hidden


def _with_context(
    hidden: Float32[np.ndarray, "p c"],
    counts: Int[np.ndarray, "n"],
    starts: Int[np.ndarray, "n"],
) -> Float32[np.ndarray, "p d"]:
    """Returns each landmark's values, and mean and maximum over its source."""
    total = np.add.reduceat(hidden, starts)
    mean = total / counts[:, None].astype(np.float32)
    context = np.concatenate([mean, np.maximum.reduceat(hidden, starts)], axis=1)
    return np.concatenate([hidden, np.repeat(context, counts, axis=0)], axis=1)


def _density(source: Landmarks, outputs: Float[np.ndarray, "k 6"]) -> HostDensity:
    """Returns the density that the network's outputs for a source stand for.

    The outputs are the logarithm of the probability, the offset along and across the
    source, the logarithm of the errors along and across, all three in units of the
    landmark's reach, and what their correlation follows from.
    """
    weights = np.exp(outputs[:, 0] - outputs[:, 0].max())
    likely = weights > LEAST * weights.sum()
    weights, outputs = weights[likely], outputs[likely]
    weights = np.append((1 - OUTLIERS) * weights / weights.sum(), OUTLIERS)
    reach = source.reach[likely, None]
    offsets = outputs[:, 1:3] * reach
    sigmas = np.exp(np.clip(outputs[:, 3:5], -4, 4)) * reach + NARROWEST
    wide = np.full((1, 2), OUTLIER_BEAMS + source.size)
    sigmas = np.concatenate([sigmas, wide]) * source.beam
    covariances = sigmas[:, :, None] * sigmas[:, None, :]
    correlation = np.append(0.95 * np.tanh(outputs[:, 5]), 0)
    covariances[:, 0, 1] *= correlation
    covariances[:, 1, 0] *= correlation
    means = source.positions[likely] + offsets * source.beam @ source.axes
    return HostDensity(
        weights=weights,
        means=np.concatenate([means, source.center[None]]),
        covariances=source.axes.T @ covariances @ source.axes,
        blur=BLUR * source.beam,
    )
