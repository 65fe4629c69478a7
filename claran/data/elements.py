"""One labelled field as it travels from a file to a batch: a plain dictionary."""

from typing import NotRequired, TypedDict

import numpy as np
from jaxtyping import Bool, Float32, Int32, UInt8

__all__ = ["Element"]


class Element(TypedDict):
    """One field and its objects.

    Boxes and outlines are in pixels of the FITS array, y up, where pixel `i` covers
    `[i, i + 1]` (see `claran.ops.boxes`). Rows of `boxes`, `labels`, `ignored` and
    `outlines` belong together. Transforms return a new dictionary and leave the arrays
    of the old one alone.
    """

    name: str
    radio: Float32[np.ndarray, "ny nx"]
    """Any unit; row 0 first, y up; blank pixels are NaN."""
    noise: float
    """Standard deviation of the noise, in the unit of `radio`."""
    beam: NotRequired[float]
    """Full width at half maximum in pixels; NaN, or left out, if it is not known."""
    infrared: NotRequired[UInt8[np.ndarray, "h w 3"] | None]
    """Picture of the same field, BGR, row 0 on top; None, or left out, without one."""
    boxes: Float32[np.ndarray, "n 4"]
    """`(x0, y0, x1, y1)`, edges."""
    labels: Int32[np.ndarray, "n"]
    """Class, from 1; 0 where an ignored object has none."""
    ignored: Bool[np.ndarray, "n"]
    """Objects that are neither to be learned nor to be taken for background."""
    outlines: NotRequired[list[Float32[np.ndarray, "_ 2"]] | None]
    """Points whose bounds are the box, see `claran.data.outlines`; made when needed."""
