"""Whether a FITS image is an infrared one, and its photometry, by its header."""

import math
import re
from pathlib import Path
from typing import Any, NamedTuple

from claran.io.paths import infrared_name
from claran.sky.header_cards import card_number, card_text

__all__ = ["Photometry", "infrared_sign", "read_photometry"]

TELESCOPES = re.compile(
    r"\b(NEOWISE|WISE|2MASS|SPITZER|IRAC|MIPS|UKIRT|UKIDSS|VISTA|VIRCAM|IRAS|AKARI)\b",
    re.IGNORECASE,
)
CARDS = ("TELESCOP", "INSTRUME", "SURVEY", "ORIGIN")
INFRARED_MICRONS = (0.8, 500.0)


class Photometry(NamedTuple):
    """What a header says about brightness.

    Attributes:
        band: "W1" to "W4" of WISE; "" for others.
        zero_point: Magnitude of one unit of the image, `MAGZP`; None without.
        saturation: Value from which pixels are saturated, `SATURATE`; None without.
    """

    band: str = ""
    zero_point: float | None = None
    saturation: float | None = None


def read_photometry(header: Any) -> Photometry:
    """Returns what a header says about brightness.

    Args:
        header: Header of the image.

    >>> read_photometry({"TELESCOP": "WISE", "BAND": 1, "MAGZP": 20.5})
    Photometry(band='W1', zero_point=20.5, saturation=None)
    """
    zero_point = card_number(header, "MAGZP")
    saturation = card_number(header, "SATURATE")
    return Photometry(
        band=_wise_band(header),
        # AllWISE has 20.5 in W1, unWISE 22.5; -999 and the like mean none.
        zero_point=zero_point if 0 < zero_point < 50 else None,
        saturation=saturation if 0 < saturation < math.inf else None,
    )


def _wise_band(header: Any) -> str:
    """Returns the band of an image of WISE: Atlas and unWISE have `BAND` of 1 to 4."""
    if not any("WISE" in card_text(header, key).upper() for key in CARDS):
        return ""
    band = card_text(header, "BAND").upper().removeprefix("W").removesuffix(".0")
    return f"W{band}" if band in ("1", "2", "3", "4") else ""


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
