"""Values of FITS header cards, whatever state they are in."""

import math
import re
from collections.abc import Mapping
from typing import Any

from astropy.io import fits

__all__ = [
    "card_number",
    "card_text",
    "card_value",
    "changed_header",
    "header_text",
    "printable_header",
]


def card_value(header: Any, key: str) -> Any:
    """Returns the value of a card; None if it is missing or has none.

    A card that Astropy cannot parse has the value "unreadable".

    Args:
        header: A header, or the like.
        key: The keyword.
    """
    try:
        return header.get(key)
    except Exception:  # Astropy fails in many ways on a damaged card.
        return "unreadable"


def card_number(header: Any, key: str) -> float:
    """Returns the value of a card as a number; NaN if it is missing or no number.

    Numbers in quotes count, also with the exponent D of Fortran.

    Args:
        header: See `card_value`.
        key: The keyword.

    >>> card_number({"BMAJ": "1.5D-3 "}, "BMAJ")
    0.0015
    """
    value = card_value(header, key)
    if value is None or isinstance(value, bool):
        return math.nan
    if isinstance(value, str):
        value = re.sub("d", "e", value.strip(" \0"), flags=re.IGNORECASE)
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan


def card_text(header: Any, key: str) -> str:
    """Returns the value of a card as printable text; "" if it has none.

    Args:
        header: See `card_value`.
        key: The keyword.
    """
    value = card_value(header, key)
    text = "" if value is None or value == "unreadable" else str(value)
    return "".join(c for c in text if c.isprintable()).strip()


def printable_header(header: fits.Header) -> fits.Header:
    """Returns a header with spaces for bytes that FITS does not allow.

    As wcslib stops at a NUL, without a word.

    Args:
        header: The header, which is returned itself if it has no such bytes.
    """
    text = header_text(header)
    if text.isascii() and text.isprintable():
        return header
    return fits.Header.fromstring(_printable(text))


def header_text(header: fits.Header) -> str:
    """Returns the cards of a header as one text, as they were read."""
    try:
        return header.tostring()
    except ValueError:  # Astropy checks some values when it writes them.
        return "".join(map(_as_read, header.cards))


def _as_read(card: fits.Card) -> str:
    """Returns the text of a card, even if Astropy would not write it."""
    try:
        return str(card)
    except ValueError:
        # Only Astropy itself can get at the text; that of a table's card is gone.
        own: Any = card._image
        return own or str(fits.Card(card.keyword, _printable(str(card.value))))


def _printable(text: str) -> str:
    return "".join(c if " " <= c <= "~" else " " for c in text)


def changed_header(header: fits.Header, changes: Mapping[str, Any]) -> fits.Header:
    """Returns a copy of a header with changed cards.

    A card that Astropy cannot parse gets the value "unreadable".

    Args:
        header: The header.
        changes: New values by keyword; None to remove a card.
    """
    copy = fits.Header()
    for card in header.cards:
        try:
            value = card.value
        except Exception:
            value = "unreadable"
        copy.append((card.keyword, value), end=True)
    for key, value in changes.items():
        if value is None:
            copy.remove(key, ignore_missing=True, remove_all=True)
        else:
            copy[key] = value
    return copy
