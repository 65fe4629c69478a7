"""The exceptions and the warning for what claran cannot use: files, images, devices."""

__all__ = [
    "AcceleratorError",
    "ImageError",
    "ImageWarning",
    "first_line",
    "unreadable",
    "unusable",
]


class ImageError(ValueError):
    """A file or image that cannot be used; the message names it and what to do."""


class AcceleratorError(RuntimeError):
    """The requested accelerator is not available; the message says what to do."""


class ImageWarning(UserWarning):
    """What the user should know about an image that is used, such as its header."""


def first_line(error: BaseException) -> str:
    r"""Returns the first line of what an error says, or its type if it says nothing.

    >>> first_line(ValueError("too short\nsee above")), first_line(KeyError())
    ('too short', 'KeyError')
    """
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def unreadable(label: str, error: Exception) -> ImageError:
    """Returns the `ImageError` for a file that the system does not let us read.

    Args:
        label: Name of the file.
        error: What the system said.
    """
    reason = getattr(error, "strerror", None) or first_line(error)
    return ImageError(f"{label}: cannot be read ({reason}); check the path.")


def unusable(label: str, error: BaseException) -> ImageError:
    """Returns the `ImageError` for a failure that nobody foresaw.

    Args:
        label: Name of the file or field.
        error: What happened.
    """
    if isinstance(error, ImageError):
        return error
    if isinstance(error, MemoryError):
        return ImageError(f"{label}: needs more memory than there is; cut the image.")
    kind, reason = type(error).__name__, first_line(error)
    what = kind if reason == kind else f"{kind}: {reason}"
    return ImageError(
        f"{label}: cannot be used ({what}); look into the file, or leave it out."
    )
