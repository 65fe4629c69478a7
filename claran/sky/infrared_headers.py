"""Whether a FITS image is an infrared one, by its header and name."""

import re
from pathlib import Path
from typing import Any

from claran.io.paths import infrared_name
from claran.sky.header_cards import card_number, card_text

__all__ = ["infrared_sign"]

TELESCOPES = re.compile(
    r"\b(NEOWISE|WISE|2MASS|SPITZER|IRAC|MIPS|UKIRT|UKIDSS|VISTA|VIRCAM|IRAS|AKARI)\b",
    re.IGNORECASE,
)
CARDS = ("TELESCOP", "INSTRUME", "SURVEY", "ORIGIN")
INFRARED_MICRONS = (0.8, 500.0)


def infrared_sign(header: Any, name: str) -> str:
    """Returns what marks an image as infrared, such as "TELESCOP = 'WISE'".

    An image with a beam, or a brightness per beam, is a radio image whatever else its
    header or name say.

    Args:
        header: Header of the image.
        name: Name of the file.

    Returns:
        "" for an image without such a mark.
    """
    if "BMAJ" in header or "beam" in card_text(header, "BUNIT").lower():
        return ""
    for key in CARDS:
        value = card_text(header, key)
        if TELESCOPES.search(value):
            return f"{key} = {value!r}"
    low, high = INFRARED_MICRONS
    microns = card_number(header, "WAVELEN")
    if "MAGZP" in header and low < microns < high:
        return f"WAVELEN = {microns:g} microns"
    return "by its name" if infrared_name(Path(name)) else ""
