"""The choice of the science image among the HDUs of a FITS file."""

import math
import re
from collections.abc import Sequence
from typing import NamedTuple

from claran.errors import ImageError

__all__ = ["ImagePlane", "choose_image", "cube_message", "wrong_shape"]

# Images that come beside the science image, by the name of the HDU or its unit.
AUXILIARY = re.compile(
    r"(?:^|[\W_\d])(?:weights?|weightmap|wht|wgt|wt|rms|noise|sigma|std|stddev|"
    r"err|errors?|uncert|uncertainty|var|variance|ivar|invvar|mask|dq|flags?|qual|"
    r"quality|cov|cover|coverage|exp|exptime|exposure|nobs|sens|sensitivity|psf|"
    r"bkg|bg|background|pb|primary[\W_]?beam|resid|residuals?|model|chi2|fwhm)"
    r"(?:$|[\W_\d])",
    re.IGNORECASE,
)

PREVIEW = 16  # Times the pixels of a preview, that the image itself has at least.


class ImagePlane(NamedTuple):
    """What the choice among several HDUs depends on."""

    shape: tuple[int, ...] | None  # None for an HDU that is no image.
    name: str = ""
    unit: str = ""
    is_bytes: bool = False  # Whether its values are small whole numbers, as of masks.


def choose_image(
    planes: Sequence[ImagePlane], label: str, wanted: str | None = None
) -> tuple[int, str]:
    """Returns the number of the HDU with the science image, and a note or "".

    Without `wanted` it is the first one with an image of two axes that is not by name
    or unit an image of weights, noise, a mask or the like, nor a mask or a preview by
    its bytes or its size.

    Args:
        planes: One for each HDU.
        label: Name of the file, for messages.
        wanted: Number or name of an HDU; None to choose.

    Raises:
        ImageError: There is none.
    """
    if wanted is not None:
        return _wanted(planes, label, wanted), ""
    images = [i for i, plane in enumerate(planes) if _is_plane(plane.shape)]
    if not images:
        raise ImageError(_no_image(planes, label))
    chosen = _science(planes, images)
    if len(images) == 1:
        return chosen, ""
    name = f" ({planes[chosen].name})" if planes[chosen].name else ""
    other = next(i for i in images if i != chosen)
    return chosen, (
        f"HDU {chosen}{name} of {len(images)} images in the file is taken; for another "
        f"one give its number or name in brackets, as in FILE.fits[{other}]"
    )


def _science(planes: Sequence[ImagePlane], images: Sequence[int]) -> int:
    """Returns the number of the science image among images."""
    largest = max(math.prod(planes[i].shape or ()) for i in images)
    tests = (
        lambda plane: not AUXILIARY.search(plane.name),
        lambda plane: not AUXILIARY.search(plane.unit),
        lambda plane: not plane.is_bytes,
        lambda plane: math.prod(plane.shape or ()) * PREVIEW > largest,
    )
    left = list(images)
    for test in tests:
        left = [i for i in left if test(planes[i])] or left
    return left[0]


def wrong_shape(label: str, shape: tuple[int, ...]) -> str:
    """Returns the message about an array that is no image."""
    return f"{label}: has shape {tuple(shape)}; give an image of two axes, none empty."


def cube_message(label: str, shape: tuple[int, ...]) -> str:
    """Returns the message about an image of more than two axes."""
    return (
        f"{label}: is a cube of shape {shape}; cut one plane first, such as "
        f"`data[{', '.join('0' * (len(shape) - 2))}]`, and give its `wcs=`."
    )


def _is_plane(shape: tuple[int, ...] | None) -> bool:
    """Returns whether an array has two axes, but for axes of length 1."""
    if shape is None or len(shape) < 2 or 0 in shape:
        return False
    return max(shape[:-2], default=1) == 1


def _no_image(planes: Sequence[ImagePlane], label: str) -> str:
    shapes = [plane.shape for plane in planes if plane.shape is not None]
    cubes = [shape for shape in shapes if len(shape) > 2 and 0 not in shape]
    if cubes:
        return cube_message(label, cubes[0])
    if shapes:
        return wrong_shape(label, shapes[0])
    what = f"has no image in its {len(planes)} HDU(s), or a damaged one"
    if len(planes) > 1:
        what = f"has no image in its {len(planes)} HDU(s), but a table"
    return f"{label}: {what}; give a file with an image."


def _wanted(planes: Sequence[ImagePlane], label: str, wanted: str) -> int:
    names = [plane.name.upper() for plane in planes]
    index = int(wanted) if wanted.isdecimal() else None
    name, _, version = wanted.upper().rpartition(",")
    same = [i for i, own in enumerate(names) if own == (name or wanted.upper())]
    if index is None and same:
        number = int(version) if name and version.strip().isdecimal() else 1
        index = same[number - 1] if 0 < number <= len(same) else None
    if index is None or index >= len(planes):
        there = ", ".join(f"{i} {name}".strip() for i, name in enumerate(names))
        raise ImageError(f"{label}: has no HDU {wanted}; it has {there}.")
    shape = planes[index].shape
    if shape is None:
        raise ImageError(f"{label}: HDU {wanted} is no image; give another one.")
    return index
