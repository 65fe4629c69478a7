"""Names of sources from their positions, as the IAU asks for."""

import collections

import numpy as np
from jaxtyping import Float

__all__ = ["iau_names", "name_digits"]

# Degrees. Positions are rounded to 1e-7, which may put one at 0.1 s just below that.
SLACK = 0.6e-7
LETTERS = "abcdefghijklmnopqrstuvwxyz"


def iau_names(
    ra: Float[np.ndarray, "n"],
    dec: Float[np.ndarray, "n"],
    acronym: str,
    *,
    digits: int = 1,
) -> np.ndarray:
    """Returns a name for each position, such as `FIRST J123456.7+123456`.

    Coordinates are cut, not rounded. Positions of the same name get a letter, a, b ...
    z, aa ..., in the order of declination, then right ascension, then of the rows. So
    names do not depend on the order of the rows, but for equal positions.
    https://cds.unistra.fr/Dic/iau-spec.html

    Args:
        ra: Right ascension, degrees, ICRS.
        dec: Declination, degrees, ICRS.
        acronym: Acronym of the survey, "" for none.
        digits: Decimals of the seconds of right ascension; those of the arcseconds of
            declination are one less. See `name_digits`.

    Returns:
        Text; empty where a position is not finite.

    Raises:
        ValueError: The number of digits is not from 0 to 4.
    """
    if not 0 <= digits <= 4:
        raise ValueError(f"`digits` must be from 0 to 4, got {digits}.")
    known = np.isfinite(ra) & np.isfinite(dec)
    # As in tables, so that a name follows from what they say.
    right = np.round(np.where(known, ra, 0.0), 7) % 360.0
    up = np.round(np.where(known, dec, 0.0), 7)
    start = f"{acronym} J" if acronym else "J"
    names = np.char.add(start, _sexagesimal((right + SLACK) / 15, digits))
    # The sign is that of the sky, also of -0.1", which is cut to -000000.
    names = np.char.add(names, np.where(up < 0, "-", "+"))
    names = np.char.add(names, _sexagesimal(np.abs(up) + SLACK, max(digits - 1, 0)))
    order = np.lexsort((right, up))
    names = _with_letters(np.where(known, names, ""), order)
    return np.where(known, names, "")


def name_digits(beam_arcsec: float) -> int:
    """Returns the decimals of right ascension that a beam allows.

    Names tell apart what is a third of a beam apart, and end at 0.0001 s.

    >>> [name_digits(beam) for beam in (45.0, 5.4, 0.6, 0.02)]
    [0, 1, 2, 4]
    """
    step = beam_arcsec / 3 / 15  # Seconds of time.
    return int(np.clip(np.ceil(-np.log10(step)), 0, 4))


def _sexagesimal(values: Float[np.ndarray, "n"], digits: int) -> np.ndarray:
    """Returns hours or degrees as `123456.7`, cut."""
    unit = 10**digits
    steps = np.floor(values * (3600 * unit)).astype(np.int64)
    whole, part = np.divmod(steps, unit)
    minutes, seconds = np.divmod(whole, 60)
    hours, minutes = np.divmod(minutes, 60)
    text = _padded((hours * 100 + minutes) * 100 + seconds, 6)
    return (
        np.char.add(text, np.char.add(".", _padded(part, digits))) if digits else text
    )


def _padded(numbers: np.ndarray, width: int) -> np.ndarray:
    """Returns numbers as text with zeros before, quickly."""
    digits = np.zeros((len(numbers), width), np.uint32)
    for place in range(width - 1, -1, -1):
        numbers, digits[:, place] = np.divmod(numbers, 10)
    return (digits + ord("0")).view(f"U{width}")[:, 0]


def _with_letters(names: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Returns names with letters after those that occur again, in an order."""
    _, which, counts = np.unique(names, return_inverse=True, return_counts=True)
    again = order[counts[which[order]] > 1]
    if not len(again):
        return names
    seen: collections.Counter[int] = collections.Counter()
    letters = [""] * len(names)
    for row in again.tolist():
        letters[row] = _letters(seen[int(which[row])])
        seen[int(which[row])] += 1
    return np.char.add(names, np.array(letters, dtype=str))


def _letters(number: int) -> str:
    """Returns a, b ... z, aa, ab ... for 0, 1 ..."""
    text = LETTERS[number % 26]
    while number >= 26:
        number = number // 26 - 1
        text = LETTERS[number % 26] + text
    return text
