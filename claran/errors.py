"""The exceptions for what claran cannot use: files and images, and devices."""

__all__ = ["AcceleratorError", "ImageError"]


class ImageError(ValueError):
    """A file or image that cannot be used; the message names it and what to do."""


class AcceleratorError(RuntimeError):
    """The requested accelerator is not available; the message says what to do."""
