"""The islands that a network says a detection is, as numbers in the field."""

import numpy as np
from jaxtyping import Bool, Int

__all__ = ["MEMBERS", "MOST_MEMBERS", "member_numbers"]

MEMBERS = "members"
"""Column of the numbers of these islands, `(n, m)` with -1 in empty places; not for
tables."""
MOST_MEMBERS = 16  # Islands of a group; those of more are left out.


def member_numbers(
    members: Bool[np.ndarray, "n slots"], islands: Int[np.ndarray, "k"]
) -> Int[np.ndarray, "n m"]:
    """Returns the numbers of the islands of each group, for the column `MEMBERS`.

    Args:
        members: Which islands of a window each group has.
        islands: Numbers of these islands, increasing.
    """
    found = np.full((len(members), MOST_MEMBERS), -1, np.int64)
    rows, own = np.nonzero(members[:, : len(islands)])
    place = np.arange(len(rows)) - np.searchsorted(rows, rows)
    fits = place < MOST_MEMBERS
    found[rows[fits], place[fits]] = islands[own[fits]]
    found[members.sum(axis=1) > MOST_MEMBERS] = -1
    return found
