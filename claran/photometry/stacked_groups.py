"""The Gaussians and pixels of many groups in few arrays.

Most groups are one Gaussian and 50 pixels, for which each call of NumPy costs more than
what it computes.
"""

import dataclasses
import functools
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from claran.photometry.fit_groups import Group, gaussian

__all__ = ["StackedGroups"]


@dataclasses.dataclass(frozen=True, eq=False)
class StackedGroups:
    """Groups, and their Gaussians and pixels one group after the other.

    Attributes:
        groups: The groups, of which there are `m`.
    """

    groups: Sequence[Group]

    @functools.cached_property
    def start(self) -> Float[np.ndarray, "n 6"]:
        """Parameters of all Gaussians."""
        return np.concatenate([np.zeros((0, 6)), *(one.start for one in self.groups)])

    @functools.cached_property
    def counts(self) -> Int[np.ndarray, "m"]:
        """Number of the Gaussians of each group."""
        return np.array([len(one.start) for one in self.groups], np.int64)

    @functools.cached_property
    def pixel_counts(self) -> Int[np.ndarray, "m"]:
        """Number of the pixels of each group."""
        return np.array([len(one.data) for one in self.groups], np.int64)

    @functools.cached_property
    def points(self) -> Float[np.ndarray, "2 p"]:
        """Coordinates of all pixels."""
        return np.concatenate(
            [np.zeros((2, 0)), *(one.points for one in self.groups)], axis=1
        )

    @functools.cached_property
    def residual(self) -> Float[np.ndarray, "p"]:
        """What the last fit left of the brightness of each pixel."""
        return self.pixels([one.fit.residual / one.weight for one in self.groups])

    @functools.cached_property
    def pairs(self) -> tuple[Int[np.ndarray, "k"], Int[np.ndarray, "k"]]:
        """Each Gaussian with each pixel of its group: places of both, by Gaussian."""
        first = np.cumsum(self.pixel_counts) - self.pixel_counts
        number = np.repeat(self.pixel_counts, self.counts)
        own = np.repeat(np.arange(len(number)), number)
        skipped = np.repeat(first, self.counts) - (np.cumsum(number) - number)
        return own, np.arange(len(own)) + skipped[own]

    @functools.cached_property
    def shapes(self) -> Float[np.ndarray, "k"]:
        """Each Gaussian at each pixel of its group, with a height of 1."""
        own, pixel = self.pairs
        _, *shape = self.start[own].T
        return gaussian(self.points[:, pixel], (1.0, *shape))

    def pixels(self, parts: Sequence[np.ndarray]) -> Float[np.ndarray, "p"]:
        """Returns a value of each pixel, from one array a group."""
        return np.concatenate([np.zeros(0), *parts])

    def by_group(self, pixels: np.ndarray) -> list[np.ndarray]:
        """Returns the values of the pixels of each group, the opposite of `pixels`."""
        ends = np.cumsum(self.pixel_counts)
        parts = zip((ends - self.pixel_counts).tolist(), ends.tolist(), strict=True)
        return [pixels[start:end] for start, end in parts]
