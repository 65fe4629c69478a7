"""One labelled field as it travels from a file to a batch: a plain dictionary."""

import math
from typing import NotRequired, TypedDict

import numpy as np
from jaxtyping import Bool, Float, Float32, Int, Int32, UInt8

from claran.errors import ImageError
from claran.sky.images import SkyImage
from claran.sky.noise import local_noise, noise
from claran.sky.pictures import infrared_field

__all__ = [
    "Element",
    "beam_pixels",
    "beam_width",
    "keep_objects",
    "move_points",
    "signal_to_noise",
    "unlabelled",
]

FIRST_BEAM = 5.4  # Arcsec.
FIRST_PIXELS = 3.0  # That beam in FIRST's own pixels.
NOISE_WINDOW = 180 / FIRST_BEAM  # Beams: the field of Radio Galaxy Zoo, 3'.


class Element(TypedDict):
    """One field and its objects.

    Boxes, outlines and points are in pixels of the FITS array, y up, where pixel `i`
    covers `[i, i + 1]` (see `claran.ops.boxes`). Rows of `boxes`, `labels`, `ignored`,
    `consensus`, `host` and `outlines` belong together. Transforms return a new
    dictionary and leave the arrays of the old one alone.
    """

    name: str
    radio: Float32[np.ndarray, "ny nx"]
    """Any unit; row 0 first, y up; blank pixels are NaN."""
    noise: float
    """Standard deviation of the noise, in the unit of `radio`; 0 without a radio image.
    Of the whole field; see `signal_to_noise`."""
    beam: NotRequired[float]
    """Full width at half maximum in pixels; NaN, or left out, if it is not known; see
    `beam_width`."""
    pixel_arcsec: NotRequired[float]
    """Side of a pixel; NaN, or left out, if it is not known."""
    infrared: NotRequired[UInt8[np.ndarray, "h w 3"] | None]
    """Picture of the same field, BGR, row 0 on top; None, or left out, without one."""
    boxes: Float32[np.ndarray, "n 4"]
    """`(x0, y0, x1, y1)`, edges."""
    labels: Int32[np.ndarray, "n"]
    """Class, from 1; 0 where an ignored object has none."""
    ignored: Bool[np.ndarray, "n"]
    """Objects that are neither to be learned nor to be taken for background."""
    consensus: NotRequired[Float32[np.ndarray, "n"]]
    """Share of the volunteers who agree; NaN if it is not known."""
    host: NotRequired[Float32[np.ndarray, "n 2"]]
    """`(x, y)` of the host galaxy; NaN if it is not known."""
    component_positions: NotRequired[Float32[np.ndarray, "m 2"]]
    """`(x, y)` of the brightest peak of each component, of all objects."""
    component_objects: NotRequired[Int32[np.ndarray, "m"]]
    """Which object each of these belongs to."""
    outlines: NotRequired[list[Float32[np.ndarray, "_ 2"]] | None]
    """Points whose bounds are the box, see `claran.fields.outlines`; made on demand."""


def keep_objects(element: Element, rows: Int[np.ndarray, "k"]) -> Element:
    """Returns the field with only these of its objects, and what belongs to them.

    Args:
        element: The field.
        rows: Which objects stay, each once, in order.
    """
    kept = element.copy()
    kept["boxes"] = element["boxes"][rows]
    kept["labels"] = element["labels"][rows]
    kept["ignored"] = element["ignored"][rows]
    if "consensus" in element:
        kept["consensus"] = element["consensus"][rows]
    if "host" in element:
        kept["host"] = element["host"][rows]
    outlines = element.get("outlines")
    if outlines is not None:
        kept["outlines"] = [outlines[i] for i in rows]
    if "component_objects" in element and "component_positions" in element:
        place = np.full(len(element["boxes"]), -1, np.int32)
        place[rows] = np.arange(len(rows))
        owners = place[element["component_objects"]]
        kept["component_objects"] = owners[owners >= 0]
        kept["component_positions"] = element["component_positions"][owners >= 0]
    return kept


def move_points(element: Element, matrix: Float[np.ndarray, "3 3"]) -> Element:
    """Returns the field with its hosts and components moved, and all else as it was.

    Args:
        element: The field.
        matrix: Acts on columns `(x, y, 1)`, edges, y up.
    """
    moved = element.copy()
    turn, shift = matrix[:2, :2].T, matrix[:2, 2]
    if "host" in element:
        moved["host"] = (element["host"] @ turn + shift).astype(np.float32)
    if "component_positions" in element:
        points = element["component_positions"] @ turn + shift
        moved["component_positions"] = points.astype(np.float32)
    return moved


def beam_width(beam: float = math.nan, pixel_arcsec: float = math.nan) -> float:
    """Returns the full width at half maximum of a field's beam, in pixels.

    Cutouts of FIRST rarely say what their beam is: where it is not known, FIRST's 5.4"
    is taken, and three pixels if the side of a pixel is not known either.

    Args:
        beam: In pixels; NaN if it is not known.
        pixel_arcsec: Side of a pixel; NaN if it is not known.

    >>> beam_width(4.5, 1.0), beam_width(pixel_arcsec=1.8), beam_width()
    (4.5, 3.0, 3.0)
    """
    if beam > 0:
        return beam
    return FIRST_BEAM / pixel_arcsec if pixel_arcsec > 0 else FIRST_PIXELS


def beam_pixels(element: Element) -> float:
    """Returns the full width at half maximum of a field's beam; see `beam_width`."""
    return beam_width(
        element.get("beam", math.nan), element.get("pixel_arcsec", math.nan)
    )


def signal_to_noise(element: Element) -> Float32[np.ndarray, "ny nx"]:
    """Returns the brightness of a field over its noise.

    The labels count in units of the noise of a field of 3'. In one that is more than
    half as large again, the noise is that of 3' about each pixel, 33 beams in other
    surveys. With one noise for 9', 9 of 25 real islands had other numbers of peaks than
    in 3' of the same sky, with this one 1 (tests/survey/test_counting.py).

    A field that is but a picture has neither: its empty radio image is returned.
    """
    if not element["noise"] > 0:
        return element["radio"]
    sigma = local_noise(element["radio"], NOISE_WINDOW * beam_pixels(element))
    return element["radio"] / (np.float32(element["noise"]) if sigma is None else sigma)


def unlabelled(
    radio: SkyImage,
    infrared: SkyImage | UInt8[np.ndarray, "h w 3"] | None = None,
) -> Element:
    """Returns a field without objects, to detect in.

    Args:
        radio: The radio image.
        infrared: See `claran.sky.pictures.fuse`.

    Raises:
        ImageError: The noise is zero, or the images show different parts of the sky.
    """
    sigma = noise(radio.values)
    if not sigma > 0:
        raise ImageError(
            f"{radio.name}: has no noise to measure brightness by, as over half of its "
            "pixels have one value; set blank pixels to NaN."
        )
    major, minor, _ = radio.beam or (math.nan, math.nan, 0.0)
    pixel_arcsec = radio.pixel_arcsec or math.nan
    return Element(
        name=radio.name,
        radio=radio.values,
        noise=sigma,
        beam=math.sqrt(major * minor) / pixel_arcsec,
        pixel_arcsec=pixel_arcsec,
        infrared=None if infrared is None else infrared_field(radio, infrared),
        boxes=np.zeros((0, 4), np.float32),
        labels=np.zeros(0, np.int32),
        ignored=np.zeros(0, bool),
    )
