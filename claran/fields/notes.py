"""What is told to the user about many fields: assumptions, and notes on headers."""

from collections.abc import Mapping

__all__ = ["assumption_note", "describe_assumptions", "notes_for_user"]

MOST_NOTES = 5  # That are told to the user at once.


def assumption_note(assumed: str) -> str:
    """Returns what a command tells its user about `assumed`, with the remedy."""
    return f"Note: {assumed}; give --survey or --beam to change this."


def notes_for_user(
    assumed: Mapping[str, int],
    noted: Mapping[str, int],
    total: int,
    first: Mapping[str, str],
) -> list[str]:
    """Returns what a command tells its user about many fields, each once.

    Args:
        assumed: Number of fields for each of `Field.assumptions`.
        noted: Number of fields for each of `Field.notes`.
        total: Number of all fields.
        first: Name of the first field with each of them.
    """
    told = [describe_assumptions(counts, total, first) for counts in (noted, assumed)]
    lines = [f"Note: {told[0]}."] if told[0] else []
    return lines + ([assumption_note(told[1])] if told[1] else [])


def describe_assumptions(
    counts: Mapping[str, int], total: int, first: Mapping[str, str]
) -> str:
    """Returns assumptions or notes about many fields, in words; empty without any.

    Of more than five the most frequent ones are told.

    Args:
        counts: Number of fields for each of `Field.assumptions` or `Field.notes`.
        total: Number of all fields.
        first: Name of the first field with each of them; told unless all have it.

    >>> describe_assumptions({"no beam": 9}, 12, {"no beam": "a.fits"})
    'no beam, in 9 of 12 fields (first a.fits)'
    """
    by_count = sorted(counts, key=lambda what: (-counts[what], what))
    told, others = sorted(by_count[:MOST_NOTES]), by_count[MOST_NOTES:]
    words = [f"{what}, in {counts[what]} of {total} fields" for what in told]
    for i, what in enumerate(told):
        words[i] += f" (first {first[what]})" if counts[what] < total else ""
    if others:
        words.append(f"and {len(others)} others")
    return "; ".join(words)
