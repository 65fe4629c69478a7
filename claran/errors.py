"""The error that all of claran raises about a file that cannot be used."""

__all__ = ["ImageError"]


class ImageError(ValueError):
    """An image that cannot be used; the message names it and the remedy."""
