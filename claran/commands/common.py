"""Messages to the user."""

import os

__all__ = ["UsageError", "discard_output", "say"]


class UsageError(ValueError):
    """Flags that are missing, invalid or exclude each other."""


def say(text: str) -> None:
    """Prints a line for the user.

    Raises:
        OSError: Standard output cannot be written to.
    """
    try:
        print(text, flush=True)  # noqa: T201
    except BrokenPipeError:
        raise
    except OSError as error:
        discard_output()
        raise OSError(
            f"The standard output cannot be written to ({error.strerror}); the files "
            "that were written are whole."
        ) from None


def discard_output() -> None:
    """Leads what is still to be printed nowhere, when printing has failed."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
