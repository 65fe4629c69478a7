"""What was wrong with an answer, and where."""

import dataclasses

__all__ = ["Failure", "place_in"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Failure:
    """What was wrong with the answer to an input.

    Attributes:
        what: "traceback", "unclear", "nonsense", "warning", "prints", "crash", "hang"
            or "memory".
        where: File and function of claran, or what is known of the place.
        message: What came, in words.
        note: What was damaged.
        details: The traceback, or the stacks of all threads.
    """

    what: str
    where: str
    message: str
    note: str = ""
    details: str = ""


def place_in(text: str) -> str:
    """Returns the last place of claran in a traceback; "" if there is none."""
    places = [
        line.strip().split(", ")
        for line in text.splitlines()
        if line.strip().startswith("File") and "/claran/" in line
    ]
    if not places:
        return ""
    file, line, *function = places[-1]
    name = file.split("/claran/")[-1].rstrip('"')
    return f"{name}:{line.removeprefix('line ')} {' '.join(function)}"
