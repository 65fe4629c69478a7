"""Densities of the hosts of many sources as a few arrays, for files and memory."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from jaxtyping import Float, Int

from claran.hosts.position_density import HostDensity

__all__ = ["PackedDensities"]


@dataclasses.dataclass(frozen=True, eq=False)
class PackedDensities:
    """The densities of n sources, one after the other.

    Attributes:
        counts: Number of Gaussians of each source.
        blurs: Of each source, see `HostDensity`.
        weights: Of all Gaussians.
        means: Of all Gaussians.
        covariances: `xx`, `yy` and `xy` of all Gaussians.
    """

    counts: Int[np.ndarray, "n"]
    blurs: Float[np.ndarray, "n"]
    weights: Float[np.ndarray, "k"]
    means: Float[np.ndarray, "k 2"]
    covariances: Float[np.ndarray, "k 3"]

    @classmethod
    def of(cls, densities: Sequence[HostDensity]) -> "PackedDensities":
        """Returns densities as arrays."""
        pairs = [one.covariances for one in densities]
        flat = np.concatenate([np.zeros((0, 2, 2)), *pairs]).reshape(-1, 4)
        return cls(
            np.array([len(one.weights) for one in densities], np.int64),
            np.array([one.blur for one in densities], np.float64),
            np.concatenate([np.zeros(0), *(one.weights for one in densities)]),
            np.concatenate([np.zeros((0, 2)), *(one.means for one in densities)]),
            flat[:, [0, 3, 1]],
        )

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> "PackedDensities":
        """Returns densities from arrays by name, see `arrays`."""
        names = [field.name for field in dataclasses.fields(cls)]
        return cls(**{name: arrays[name] for name in names})

    @classmethod
    def joined(cls, parts: "Sequence[PackedDensities]") -> "PackedDensities":
        """Returns the densities of all parts, one after the other."""
        every = [cls.of([]), *parts]
        names = [field.name for field in dataclasses.fields(cls)]
        return cls(*(
            np.concatenate([getattr(part, name) for part in every]) for name in names
        ))  # fmt: skip

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays by name; those of several parts may be joined."""
        names = [field.name for field in dataclasses.fields(self)]
        return {name: getattr(self, name) for name in names}

    def __len__(self) -> int:
        return len(self.counts)

    def __iter__(self) -> Iterator[HostDensity]:
        stops = np.cumsum(self.counts).tolist()
        starts = [0, *stops]
        full = self.covariances[:, [0, 2, 2, 1]].reshape(-1, 2, 2)
        for start, stop, blur in zip(starts, stops, self.blurs.tolist(), strict=False):
            own = slice(start, stop)
            yield HostDensity(self.weights[own], self.means[own], full[own], blur)

    def chosen(self, rows: Int[np.ndarray, "m"]) -> "PackedDensities":
        """Returns the densities of some sources, in their order."""
        starts = np.cumsum(self.counts) - self.counts
        counts = self.counts[rows]
        first = np.repeat(starts[rows] - (np.cumsum(counts) - counts), counts)
        own = first + np.arange(counts.sum())
        return PackedDensities(
            counts, self.blurs[rows], self.weights[own], self.means[own],
            self.covariances[own],
        )  # fmt: skip

    def split(self, counts: Int[np.ndarray, "k"]) -> "list[PackedDensities]":
        """Returns the densities in parts of these numbers of sources."""
        stops = np.cumsum(counts).tolist()
        return [
            self.chosen(np.arange(stop - count, stop))
            for stop, count in zip(stops, counts.tolist(), strict=True)
        ]
