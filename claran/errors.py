"""The exception for files and images that cannot be used."""

__all__ = ["ImageError"]


class ImageError(ValueError):
    """A file or image that cannot be used; the message names it and what to do."""
