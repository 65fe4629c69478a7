"""The date of an observation, for the epoch of positions."""

import math
from typing import Any

from astropy.time import Time

from claran.sky.header_cards import card_number, card_text

__all__ = ["observation_epoch"]

EARLIEST = 1930.0  # Before that nobody observed radio sources.


def observation_epoch(header: Any) -> float | None:
    """Returns when an image was observed, as a Julian year; None if unknown.

    `DATE-OBS` comes first, in the forms of FITS (also 31/12/99), then `MJD-OBS`.

    Args:
        header: Header of the image.

    >>> observation_epoch({"DATE-OBS": "2000-01-01T12:00:00"})
    2000.0
    >>> observation_epoch({"DATE-OBS": "unknown"}) is None
    True
    """
    text = card_text(header, "DATE-OBS").strip()
    if len(text) == 8 and text[2] == text[5] == "/":  # As until 1999.
        text = f"19{text[6:]}-{text[3:5]}-{text[:2]}"
    days = card_number(header, "MJD-OBS")
    for value, form in ((text, "isot"), (text, "iso"), (days, "mjd")):
        if value == "" or (form == "mjd" and math.isnan(days)):
            continue
        try:
            when: Any = Time(value, format=form, scale="utc").tdb
            year = float(when.jyear)
        except (ValueError, OverflowError):
            continue
        if EARLIEST < year < math.inf:
            return round(year, 3) + 0.0
    return None
