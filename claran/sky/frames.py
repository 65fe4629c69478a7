"""The celestial frame of a WCS."""

from typing import Any

from astropy.wcs import WCS
from astropy.wcs.utils import wcs_to_celestial_frame

__all__ = ["celestial_frame"]

_FRAMES: dict[tuple[str, ...], Any] = {}


def celestial_frame(wcs: WCS) -> Any:
    """Returns the Astropy frame of a WCS: `wcs_to_celestial_frame`, remembered.

    Astropy takes 0.6 ms to make one, mostly to parse the equinox; the images of a
    survey share one frame.

    Args:
        wcs: A WCS with a right ascension and a declination, or their like.

    Raises:
        ValueError: Astropy does not know the frame.
    """
    cards = wcs.wcs
    key = tuple(
        str(value)
        for value in (
            cards.radesys, cards.equinox, cards.lngtyp, cards.lattyp, cards.lng,
            cards.lat, cards.dateobs, cards.dateavg,
        )
    )  # fmt: skip
    if key not in _FRAMES:
        _FRAMES[key] = wcs_to_celestial_frame(wcs)
    return _FRAMES[key]
