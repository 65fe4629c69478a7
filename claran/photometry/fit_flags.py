"""What a user of a component should know about it, as bits of one number."""

import enum

__all__ = ["FitFlag"]


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
