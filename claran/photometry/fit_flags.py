"""What a user of a component should know about it, as bits of one number."""

import enum
from collections.abc import Mapping

__all__ = ["FIT_FLAG_MEANINGS", "FitFlag"]


class FitFlag(enum.IntFlag):
    """Bits of `Components.flags`.

    >>> int(FitFlag.UNRESOLVED | FitFlag.AT_EDGE)
    5
    """

    UNRESOLVED = 1
    """Its size was fixed to the beam, as the data do not show another one."""
    BLENDED = 2
    """Its flood island holds other components, fitted together with it."""
    AT_EDGE = 4
    """Its flood island touches the edge of the image."""
    NEAR_BLANK = 8
    """Pixels that its fit would need are blank."""
    MOMENTS = 16
    """The fit failed: peak, centroid and moments of its pixels are given."""
    PIXELS = 32
    """No Gaussian describes the emission: flux and size are those of its pixels."""


FIT_FLAG_MEANINGS: Mapping[FitFlag, str] = {
    FitFlag.UNRESOLVED: "its size was fixed to the beam, as the data show no other one",
    FitFlag.BLENDED: "fitted together with other components of the same emission",
    FitFlag.AT_EDGE: "its emission reaches the edge of the image",
    FitFlag.NEAR_BLANK: "pixels that its fit would need are blank",
    FitFlag.MOMENTS: "the fit failed: the moments of its pixels are given",
    FitFlag.PIXELS: "no Gaussian describes it: flux and size are those of its pixels",
}
"""What each bit means, for tables and documents."""
