"""95% confidence intervals of any metric, by bootstrap over fields.

The sources of a field are not independent. Therefore fields, not sources, are drawn
with replacement (Efron 1979, Ann. Statist. 7, 1).
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

__all__ = ["Estimate", "interval", "mean_over_classes", "resamples"]


class Estimate(NamedTuple):
    """A value and its 95% interval over resampled fields; NaN if unknown."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, value: float, spread: Float[np.ndarray, "r"]) -> "Estimate":
        """Returns a value with its interval.

        Args:
            value: The value for all fields.
            spread: The values for the resamples.
        """
        return cls(float(value), *interval(spread))

    @classmethod
    def mean(
        cls,
        values: Sequence[Float[np.ndarray, "1"]],
        spread: Sequence[Float[np.ndarray, "r"]],
    ) -> "Estimate":
        """Returns the mean over classes with its interval.

        Args:
            values: The value of each class for all fields.
            spread: The values of each class for the resamples.
        """
        if not values:
            return cls(math.nan, math.nan, math.nan)
        return cls.of(mean_over_classes(values)[0], mean_over_classes(spread))

    def __str__(self) -> str:
        if math.isnan(self.value):
            return "-"
        if math.isnan(self.low):
            return f"{self.value:.3f}"
        return f"{self.value:.3f}  {self.low:.3f} to {self.high:.3f}"


def resamples(
    field_count: int, *, count: int = 1000, seed: int = 0
) -> Int[np.ndarray, "count fields"]:
    """Returns how often each field occurs in each of many resamples.

    Args:
        field_count: Number of fields, which is also the size of a resample.
        count: Number of resamples.
        seed: Seed of the random generator.
    """
    rng = np.random.default_rng(seed)
    chances = np.full(field_count, 1 / max(field_count, 1))
    drawn = rng.multinomial(field_count, chances, size=count)
    # Column-major order suits the access by field in `average_precision`.
    return np.asfortranarray(drawn, np.int32)


def interval(values: Float[np.ndarray, "r"]) -> tuple[float, float]:
    """Returns the central 95% interval of resampled values, without those NaN."""
    values = values[np.isfinite(values)]
    if not len(values):
        return np.nan, np.nan
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)


def mean_over_classes(
    columns: Sequence[Float[np.ndarray, "r"]],
) -> Float[np.ndarray, "r"]:
    """Returns the mean over classes, without classes that have no source (NaN).

    Args:
        columns: Values of each class in each resample.
    """
    table = np.array(columns)
    known = np.isfinite(table)
    with np.errstate(invalid="ignore"):  # 0/0: no class has a source, NaN.
        return np.where(known, table, 0).sum(axis=0) / known.sum(axis=0)
