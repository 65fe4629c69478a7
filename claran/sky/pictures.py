"""The input pictures of ClaRAN: radio (D1), or infrared with contours (D3, D4).

Pictures are uint8, BGR, row 0 on top: upside down relative to the FITS array, and
enlarged if the infrared image is finer than the radio image. `array_to_picture` and
`picture_to_array` convert boxes.
"""

from collections.abc import Iterable

import cv2
import numpy as np
from jaxtyping import Bool, Float, Shaped, UInt8

from claran.errors import ImageError
from claran.sky import contours as radio_image
from claran.sky.images import SkyImage
from claran.sky.infrared_pictures import MEAN_INFRARED, infrared_field
from claran.sky.noise import noise as measure_noise

__all__ = [
    "METHODS",
    "array_to_picture",
    "draw_contours",
    "fuse",
    "picture_to_array",
]

METHODS = ("D1", "D3", "D4")
BLUE = (255, 0, 0)

# DS9's color map "cool": corners of the piecewise linear red, green and blue. From a
# comparison of a published D1 picture with its FITS file: half of the pixels agree
# within one gray level, for DS9's log stretch and this map. DS9 draws blank pixels
# white.
COOL = (
    ((0.0, 0.29, 0.76, 1.0), (0.0, 0.0, 0.1, 1.0)),
    ((0.0, 0.22, 0.96, 1.0), (0.0, 0.0, 1.0, 1.0)),
    ((0.0, 0.53, 1.0), (0.0, 1.0, 1.0)),
)


def fuse(
    radio: SkyImage,
    infrared: SkyImage | Shaped[np.ndarray, "..."] | None = None,
    *,
    method: str = "D4",
    sigma_level: float = 5.0,
    min_extent: float = 0.0,
    noise: float | None = None,
) -> UInt8[np.ndarray, "h w 3"]:
    """Returns the picture of a radio image and its infrared counterpart.

    `D1` is the radio image, logarithmic, in color. `D3` is the infrared picture with
    the radio contours in blue. `D4` is D3 with the infrared replaced by its mean color
    outside of the convex hull of all contours. Without contours D3 is the infrared
    picture, and D4 the mean color everywhere.

    If both images have a WCS, the infrared image is resampled to the sky area of the
    radio image: to its pixels, or to 2 x 2, 3 x 3 or 4 x 4 pixels for each of them if
    the infrared image is finer. Pixels without infrared get the mean color. Otherwise
    both are assumed to show the same field, and the result has the size of the infrared
    image.

    Args:
        radio: The radio image.
        infrared: Image, or uint8 BGR picture with row 0 on top; not used for D1.
        method: One of `METHODS`.
        sigma_level: Level of the lowest contour, in units of the noise. The next levels
            are higher by factors of two.
        min_extent: See `claran.sky.contours.contours`.
        noise: Noise of the radio image, in its unit; None to measure it.

    Raises:
        ImageError: The images show different parts of the sky, or the noise is zero.
        ValueError: The method is unknown, or needs an infrared image and none is given.
    """
    if method not in METHODS:
        raise ValueError(
            f"`method` must be one of {', '.join(METHODS)}, got {method!r}."
        )
    if method == "D1":
        return _colored(radio_image.log_minmax(radio.values)[::-1])
    if infrared is None:
        raise ValueError(f"`method` {method} needs `infrared`; D1 works without it.")
    picture = infrared_field(radio, infrared)
    sigma = measure_noise(radio.values) if noise is None else noise
    if not sigma > 0:
        raise ImageError(
            f"{radio.name}: has no noise for contour levels, as over half of its "
            "pixels share one value; set blank pixels to NaN."
        )
    components = radio_image.contours(
        radio.values,
        radio_image.contour_levels(sigma, start=sigma_level),
        min_extent=min_extent,
    )
    if method == "D4":
        mask = _hull(components, radio.values.shape, picture.shape[:2])
        picture = np.where(mask[..., None], picture, MEAN_INFRARED)
    return draw_contours(picture, components, radio.values.shape)


def draw_contours(
    picture: UInt8[np.ndarray, "h w 3"],
    components: Iterable[radio_image.Component],
    shape: tuple[int, int],
    *,
    color: tuple[int, int, int] = BLUE,
) -> UInt8[np.ndarray, "h w 3"]:
    """Returns the picture with all contours, about half a pixel wide.

    Their positions are those in ClaRAN's pictures: half a radio pixel to the right, and
    in pictures with the size of the radio image half a pixel down.

    Args:
        picture: BGR, row 0 on top, of the same field as the radio image.
        components: Components of the radio image, see `claran.sky.contours.contours`.
        shape: `(ny, nx)` of the radio image.
        color: BGR.
    """
    height, width = picture.shape[:2]
    ny, nx = shape
    # FITS coordinates of the points, taken as edges. In y it is one less, but one row
    # of the picture lower, as ClaRAN's Matplotlib draws the picture one row too high.
    scale = np.array([width / nx, height / ny])
    shift = np.array([0.5, ny - 0.5]) * scale + [0.0, 1.0]
    # Lines of one pixel at twice the size. OpenCV counts from pixel centers, in 1/16.
    to_canvas = lambda line: np.rint(16 * (2 * (line * scale * [1, -1] + shift) - 0.5))
    lines = [
        to_canvas(line).astype(np.int32) for part in components for line in part.lines
    ]
    canvas = np.zeros((2 * height, 2 * width), np.uint8)
    cv2.polylines(canvas, lines, False, 255, 1, cv2.LINE_AA, 4)
    opacity = cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA)
    opacity = opacity[..., None] / np.float32(255)
    blend = picture + opacity * (np.array(color, np.float32) - picture)
    return np.rint(blend).astype(np.uint8)


def array_to_picture(
    boxes: Float[np.ndarray, "n 4"],
    shape: tuple[int, int],
    picture_shape: tuple[int, int],
) -> Float[np.ndarray, "n 4"]:
    """Returns boxes in pixels of the picture of a FITS array.

    Args:
        boxes: `(x0, y0, x1, y1)`, edges in pixels of the array, y up: pixel i covers
            [i, i + 1].
        shape: `(ny, nx)` of the array.
        picture_shape: `(height, width)` of the picture, in which y is down.

    >>> array_to_picture(np.array([[0.0, 0.0, 2.0, 1.0]]), (10, 10), (20, 20)).tolist()
    [[0.0, 18.0, 4.0, 20.0]]
    """
    (ny, nx), (height, width) = shape, picture_shape
    x0, y0, x1, y1 = boxes.T
    return np.stack([x0, ny - y1, x1, ny - y0], axis=-1) * (
        np.array([width / nx, height / ny] * 2, boxes.dtype)
    )


def picture_to_array(
    boxes: Float[np.ndarray, "n 4"],
    shape: tuple[int, int],
    picture_shape: tuple[int, int],
) -> Float[np.ndarray, "n 4"]:
    """Returns boxes in pixels of a FITS array, the inverse of `array_to_picture`.

    Args:
        boxes: `(x0, y0, x1, y1)`, edges in pixels of the picture, y down.
        shape: `(ny, nx)` of the array.
        picture_shape: `(height, width)` of the picture.
    """
    # Reversing the y axis is its own inverse; only the shapes are exchanged.
    return array_to_picture(boxes, picture_shape, shape)


def _colored(shade: Float[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w 3"]:
    ramp = np.linspace(0, 1, 256)
    table = [255 * np.interp(ramp, *corners) for corners in reversed(COOL)]
    blank = np.isnan(shade)
    index = np.rint(255 * np.where(blank, 0.0, shade)).astype(np.uint8)
    picture = np.rint(np.stack(table, axis=-1)).astype(np.uint8)[index]
    picture[blank] = 255
    return picture


def _hull(
    components: Iterable[radio_image.Component],
    shape: tuple[int, int],
    picture_shape: tuple[int, int],
) -> Bool[np.ndarray, "h w"]:
    """Returns the pixels in the convex hull of the components' boxes, as ClaRAN."""
    ny, nx = shape
    height, width = picture_shape
    mask = np.zeros(picture_shape, np.uint8)
    corners = [
        # FITS coordinates, truncated to integers, which OpenCV counts from zero: up to
        # a pixel to the right and down, as in the pictures ClaRAN was trained on.
        (int((x + 0.5) * width / nx), int((ny - y + 0.5) * height / ny))
        for x0, y0, x1, y1 in (component.bbox for component in components)
        for x in (x0, x1)
        for y in (y0, y1)
    ]
    if not corners:
        return mask.astype(bool)
    hull = cv2.convexHull(np.array(corners, np.int32))[:, 0]
    cv2.fillPoly(mask, [hull], 1)
    # Along an edge that leaves the picture, OpenCV 4, which ClaRAN used, fills half a
    # pixel more than OpenCV 5.
    edges = zip(hull.tolist(), np.roll(hull, -1, axis=0).tolist(), strict=True)
    for start, end in edges:
        crosses, *clipped = cv2.clipLine((0, 0, width, height), start, end)
        (x0, y0), (x1, y1) = sorted(clipped, key=lambda point: point[1])
        if crosses and y0 < y1 and (start[1] == height or end[1] == height):
            rows = np.arange(y0, y1 + 1)
            slope = int(65536 * (x1 - x0) / (y1 - y0))  # In OpenCV's fixed point.
            mask[rows, (65536 * x0 + slope * (rows - y0)) >> 16] = 1
    return mask.astype(bool)
