"""The exceptions and the warning for what claran cannot use: files, images, devices."""

__all__ = ["AcceleratorError", "ImageError", "ImageWarning", "unusable"]


class ImageError(ValueError):
    """A file or image that cannot be used; the message names it and what to do."""


class AcceleratorError(RuntimeError):
    """The requested accelerator is not available; the message says what to do."""


class ImageWarning(UserWarning):
    """What the user should know about an image that is used, such as its header."""


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
    reason = (str(error).strip() or "no reason given").splitlines()[0]
    return ImageError(
        f"{label}: cannot be used ({type(error).__name__}: {reason}); look into the "
        "file, or leave it out."
    )
