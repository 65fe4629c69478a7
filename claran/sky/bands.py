"""An image that is read in bands of rows, by jobs that may run elsewhere."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32

from claran.sky.mesh import Part

__all__ = [
    "CHUNK",
    "Found",
    "Pixels",
    "Rows",
    "RunJobs",
    "any_is",
    "around",
    "around_part",
    "bands",
    "crop",
    "edges",
    "run_here",
]

BAND = 2**20  # Pixels that are looked at together.
CHUNK = 2**24
"""Pixels of a job."""

Rows = tuple[int, int]
Found = dict[str, np.ndarray]


@runtime_checkable
class Pixels(Protocol):
    """An image that is read by parts, with its pixels as they are stored."""

    @property
    def shape(self) -> tuple[int, int]:
        """`(ny, nx)`."""
        ...

    def stored(self, rows: slice, columns: slice) -> Float32[np.ndarray, "h w"]:
        """Returns a part of the image, which may be changed or not."""
        ...


RunJobs = Callable[[str, Any, Any, Sequence], Iterable[Found]]
"""Yields `function(context, item)` of each item in their order, here or elsewhere.

Its arguments are the name of the stage, a function at the top of a module, its context
and the items, as of `claran.survey.jobs.Jobs.run`.
"""


def run_here(
    stage: str, function: Any, context: Any, items: Sequence
) -> Iterator[Found]:
    """Runs a function on items in this thread, see `RunJobs`."""
    del stage
    return (function(context, item) for item in items)


def around(
    pixels: Pixels, rows: Rows, halo: int
) -> tuple[Float32[np.ndarray, "h nx"], slice]:
    """Returns rows with those about them, and where they are in the result."""
    start, stop = max(rows[0] - halo, 0), min(rows[1] + halo, pixels.shape[0])
    part = pixels.stored(slice(start, stop), slice(0, pixels.shape[1]))
    return part, slice(rows[0] - start, rows[1] - start)


def bands(
    rows: Rows, shape: tuple[int, int], most: int | None = None
) -> Iterator[Rows]:
    """Yields rows of about a million pixels, so that copies need little memory."""
    step = max(1, (most or BAND) // shape[1])
    for start in range(*rows, step):
        yield start, min(start + step, rows[1])


def around_part(part: Part, halo: int, shape: tuple[int, int]) -> Part:
    """Returns a part of an image with the pixels about it, as far as there are any."""
    rows, columns = (
        slice(max(one.start - halo, 0), min(one.stop + halo, length))
        for one, length in zip(part, shape, strict=True)
    )
    return rows, columns


def crop(part: Part, wide: Part) -> Part:
    """Returns where a part of an image is in a wider part."""
    rows, columns = (
        slice(one.start - more.start, one.stop - more.start)
        for one, more in zip(part, wide, strict=True)
    )
    return rows, columns


def any_is(parts: Iterable[np.ndarray], level: Any) -> bool:
    """Returns whether a pixel has a value in one of several parts of an image."""
    return any((part == level).any() for part in parts)


def edges(values: np.ndarray, rows: Rows, shape: tuple[int, int]) -> list[np.ndarray]:
    """Returns the pixels of a band that are at the edge of the image."""
    edges = [values[:, 0], values[:, -1]]
    if rows[0] == 0:
        edges.append(values[0])
    if rows[1] == shape[0]:
        edges.append(values[-1])
    return edges
