"""Tiles that divide a mosaic: what one job reads."""

import itertools
from typing import NamedTuple

__all__ = ["Tile", "make_tiles"]


class Tile(NamedTuple):
    """A rectangle of a mosaic's pixels, y up as in the FITS array."""

    x0: int
    y0: int
    x1: int
    y1: int

    @property
    def rows(self) -> slice:
        """Rows of the mosaic."""
        return slice(self.y0, self.y1)

    @property
    def columns(self) -> slice:
        """Columns of the mosaic."""
        return slice(self.x0, self.x1)

    @property
    def area(self) -> int:
        """Number of pixels."""
        return (self.x1 - self.x0) * (self.y1 - self.y0)


def make_tiles(shape: tuple[int, int], side: int) -> list[Tile]:
    """Returns squares that divide a mosaic, row by row; the last ones are smaller.

    Args:
        shape: Rows and columns of the mosaic.
        side: Rows and columns of a tile.

    >>> make_tiles((2, 5), 3)
    [Tile(x0=0, y0=0, x1=3, y1=2), Tile(x0=3, y0=0, x1=5, y1=2)]
    """
    ny, nx = shape
    return [
        Tile(x, y, min(x + side, nx), min(y + side, ny))
        for y, x in itertools.product(range(0, ny, side), range(0, nx, side))
    ]
