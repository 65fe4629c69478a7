"""Cards that say where the data of an HDU are, read before Astropy sees the file."""

import math
import re
from typing import NamedTuple

from claran.errors import ImageError
from claran.sky.hdu_choice import ImagePlane

__all__ = ["Hdu", "data_bytes", "header_values"]

SIZES = re.compile(r"Z?(NAXIS\d*|BITPIX|PCOUNT|GCOUNT)")


class Hdu(NamedTuple):
    """An HDU by its header, and where its data are."""

    cards: dict[str, str]  # Values as in the file.
    start: int  # Of the data, bytes.
    length: int  # Bytes.
    whole: bool  # Whether the file has all of them.
    cleaned: bytes  # The header, if it has bytes that FITS does not allow.

    @property
    def is_tiled(self) -> bool:
        """Whether it is a compressed image."""
        is_table = self.cards.get("XTENSION") == "BINTABLE"
        return is_table and self.cards.get("ZIMAGE") == "T"

    @property
    def plane(self) -> ImagePlane:
        """What the choice among several HDUs depends on."""
        cards = self.cards
        name, unit = cards.get("EXTNAME", ""), cards.get("BUNIT", "")
        if self.is_tiled:
            is_bytes = cards.get("ZBITPIX") == "8" and "BSCALE" not in cards
            return ImagePlane(_shape(cards, name, "Z"), name, unit, is_bytes)
        if "SIMPLE" in cards or cards.get("XTENSION") in ("IMAGE", "IUEIMAGE"):
            shape = _shape(cards, name)
            is_bytes = cards.get("BITPIX") == "8" and "BSCALE" not in cards
            return ImagePlane(shape or None, name, unit, is_bytes)
        return ImagePlane(None, name, unit)


def header_values(raw: bytes, label: str) -> dict[str, str]:
    """Returns the values of a header's cards as text, the first of each keyword.

    Raises:
        ImageError: A card about the size of the data is there twice: Astropy takes the
            second one, whatever it claims.
    """
    cards: dict[str, str] = {}
    text = raw.decode("latin-1")
    for i in range(0, len(text), 80):
        if text[i + 8] == "=":
            key, value = text[i : i + 8].rstrip(), text[i + 10 : i + 80]
            if key in cards and SIZES.fullmatch(key):
                raise _bad_header(label, f"{key} is there twice")
            cards.setdefault(key, value)
    return {key: _value(value) for key, value in cards.items()}


def _value(text: str) -> str:
    text = text.strip()
    if text.startswith("'"):
        return text[1:].partition("'")[0].rstrip()
    return text.partition("/")[0].strip()


def _integer(cards: dict[str, str], key: str, default: int, label: str) -> int:
    value = cards.get(key)
    if value is None:
        return default
    try:
        return int(value)
    except ValueError:
        raise _bad_header(label, f"{key} = {value[:20]!r}") from None


def _bad_header(label: str, what: str) -> ImageError:
    return ImageError(f"{label}: is damaged, {what} in its header; fetch it again.")


def _shape(cards: dict[str, str], label: str, prefix: str = "") -> tuple[int, ...]:
    """Returns the lengths of the axes, the slowest first."""
    axes = _integer(cards, f"{prefix}NAXIS", 0, label)
    if not 0 <= axes <= 999:
        raise _bad_header(label, f"{prefix}NAXIS = {axes}")
    shape = [
        _integer(cards, f"{prefix}NAXIS{axis}", -1, label)
        for axis in range(axes, 0, -1)
    ]
    if shape and min(shape) < 0:
        raise _bad_header(label, f"an axis of {min(shape)} pixels")
    return tuple(shape)


def data_bytes(cards: dict[str, str], label: str) -> int:
    """Returns the number of bytes of data that a header claims."""
    shape = _shape(cards, label)
    if cards.get("GROUPS") == "T" and shape and shape[-1] == 0:
        shape = shape[:-1]
    elements = math.prod(shape) if shape else 0
    parameters = _integer(cards, "PCOUNT", 0, label)
    groups = _integer(cards, "GCOUNT", 1, label)
    bits = abs(_integer(cards, "BITPIX", 8, label))
    if not shape:
        return 0
    length = bits * groups * (parameters + elements) // 8
    if length < 0 or parameters < 0:
        raise _bad_header(label, f"PCOUNT = {parameters} and GCOUNT = {groups}")
    return length
