"""The boundary of an island of pixels, as a polygon along the edges of its pixels."""

import numpy as np
from jaxtyping import Bool, Float, Int

__all__ = ["mask_polygon"]


def mask_polygon(mask: Bool[np.ndarray, "h w"]) -> Float[np.ndarray, "v 2"]:
    """Returns the outer boundary of an 8-connected mask.

    It runs along the edges of pixels, counter-clockwise, from its lowest left corner.
    Only corners are kept, so that it is exact. Where two pixels touch by a corner
    alone, it passes that corner twice. Holes are left out.

    Args:
        mask: The pixels of the island; one at least, all connected.

    Returns:
        `(x, y)` of the corners, without the first one again: pixel `i` covers
        `[i, i + 1]`.

    >>> mask_polygon(np.array([[True, True], [False, False]])).tolist()
    [[0.0, 0.0], [2.0, 0.0], [2.0, 1.0], [0.0, 1.0]]
    """
    x, y, across, along = _corners(mask)
    path, at = [], 0
    while True:  # Along one horizontal and one vertical edge in turn.
        path.append(at)
        at = across[at]
        path.append(at)
        at = along[at]
        if at == 0:
            return np.stack([x[path], y[path]], axis=1).astype(np.float64)


def _corners(
    mask: Bool[np.ndarray, "h w"],
) -> tuple[Int[np.ndarray, "c"], Int[np.ndarray, "c"], list[int], list[int]]:
    """Returns the corners of the boundary, and which two are joined by an edge.

    A corner has one horizontal and one vertical edge. In a row of the image, the first
    corner is joined to the second, the third to the fourth; and so in a column. Where
    pixels touch by a corner, there are two corners in one place.

    Returns:
        `x` and `y` of the corners, by row and then by column; the corner at the other
        end of the horizontal edge of each, and of the vertical edge.
    """
    height, width = mask.shape
    framed = np.zeros((height + 2, width + 2), np.int8)
    framed[1:-1, 1:-1] = mask
    # How the number of pixels inside changes at each grid point: odd at corners, 2 or
    # -2 where two pixels touch by a corner.
    turn = framed[1:, 1:] - framed[1:, :-1] - framed[:-1, 1:] + framed[:-1, :-1]
    y, x = np.nonzero(turn)
    turns = turn[y, x]
    twice = np.abs(turns)
    x, y, turns = (np.repeat(part, twice) for part in (x, y, turns))
    count = len(x)
    # Of two corners in one place, the first has the edge to the left. To go around the
    # empty pixel, it takes the edge down if the pixels inside are on the falling
    # diagonal, and the edge up if they are on the rising one.
    second = np.zeros(count, bool)
    second[1:] = (x[1:] == x[:-1]) & (y[1:] == y[:-1])
    rank = np.where(turns == 2, ~second, second)
    order = np.lexsort((rank, y, x))
    along = np.empty(count, np.int64)
    along[order] = order.reshape(-1, 2)[:, ::-1].ravel()
    across = np.arange(count).reshape(-1, 2)[:, ::-1].ravel()
    return x, y, across.tolist(), along.tolist()
