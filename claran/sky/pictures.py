"""The pictures ClaRAN looks at: radio alone (D1), or infrared with contours (D3, D4).

Pictures are uint8, BGR, row 0 on top: the FITS array frame upside down, and enlarged
where the infrared is finer than the radio image. Boxes go from one to the other with
`array_to_picture` and `picture_to_array`.
"""

import warnings
from collections.abc import Iterable

import cv2
import matplotlib
import numpy as np
from astropy.wcs import WCS
from astropy.wcs.utils import proj_plane_pixel_area
from jaxtyping import Bool, Float, Float32, Shaped, UInt8

from claran.errors import ImageError
from claran.sky import contours as radio_image
from claran.sky.images import SkyImage
from claran.sky.noise import noise as measure_noise

__all__ = [
    "METHODS",
    "array_to_picture",
    "draw_contours",
    "fuse",
    "infrared_field",
    "infrared_picture",
    "picture_to_array",
]

METHODS = ("D1", "D3", "D4")
BLUE = (255, 0, 0)
# BGR, over all infrared pictures of Radio Galaxy Zoo.
MEAN_INFRARED = np.array([14, 45, 213], np.uint8)
MAX_ZOOM = 4

# DS9's color map "cool": corners of the piecewise linear red, green and blue. Found by
# comparing a published D1 picture with its FITS file: half of the pixels agree within
# one grey level, stretch (DS9's log) and color together. DS9 paints blank pixels white.
COOL = (
    ((0.0, 0.29, 0.76, 1.0), (0.0, 0.0, 0.1, 1.0)),
    ((0.0, 0.22, 0.96, 1.0), (0.0, 0.0, 1.0, 1.0)),
    ((0.0, 0.53, 1.0), (0.0, 1.0, 1.0)),
)
# Where "gist_heat" shows the infrared sky. With this the mean color over a field of
# real W1 images comes out within 9 of MEAN_INFRARED, whose large red and small blue
# parts are those of this map.
SKY_SHADE = 0.55


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

    `D1` is the radio image alone, logarithmic, in color. `D3` is the infrared picture
    with the radio contours in blue. `D4` is D3 with the infrared replaced by its mean
    color outside of the convex hull of all contours. Without any contour D3 is the
    infrared picture, and D4 the mean color all over.

    An infrared image with a WCS is put on the sky area of the radio image, if that has
    one too: onto its pixels, or onto 2, 3 or 4 of its own for each of these where it is
    finer. What it does not cover gets the mean color. Without a WCS, and for a
    picture, the two are taken to show the same field; the result has the infrared's
    size.

    Args:
        radio: The radio image.
        infrared: Image, or uint8 BGR picture with row 0 on top; not used by D1.
        method: One of `METHODS`.
        sigma_level: The lowest contour, in units of the noise. Higher ones follow by
            factors of two.
        min_extent: See `claran.sky.contours.contours`.
        noise: Of the radio image; None to measure it.

    Raises:
        ImageError: The two show different parts of the sky, or the noise is zero.
        ValueError: The method is unknown, or needs an infrared image and has none.
    """
    if method not in METHODS:
        raise ValueError(
            f"`method` must be one of {', '.join(METHODS)}, got {method!r}."
        )
    if method == "D1":
        return _colored(radio_image.log_minmax(radio.values)[::-1])
    if infrared is None:
        raise ValueError(f"`method` {method} needs `infrared`; D1 works without.")
    picture = infrared_field(radio, infrared)
    sigma = measure_noise(radio.values) if noise is None else noise
    if not sigma > 0:
        raise ImageError(
            f"{radio.name}: has no noise to measure contours by, as over half of its "
            "pixels have one value; set blank pixels to NaN."
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
    """Returns the picture with all contours drawn on it, about half a pixel wide.

    They lie where ClaRAN's pictures have them: half a radio pixel to the right, and in
    pictures of the radio image's size half a pixel down.

    Args:
        picture: BGR, row 0 on top, of the field of the radio image.
        components: Of the radio image, see `claran.sky.contours.contours`.
        shape: (ny, nx) of the radio image.
        color: BGR.
    """
    height, width = picture.shape[:2]
    ny, nx = shape
    # FITS coordinates of the points, read as edges; y is one less, but one picture row
    # lower, as ClaRAN's Matplotlib puts the picture itself one row too high.
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


def infrared_picture(
    values: Float[np.ndarray, "ny nx"],
) -> UInt8[np.ndarray, "ny nx 3"]:
    """Returns an infrared image in the colors of Radio Galaxy Zoo, upside down.

    An asinh stretch, linear within the noise of the sky, through "gist_heat"; blank
    pixels get the mean color. Any unit does.

    Args:
        values: FITS array frame, y up; NaN is blank.
    """
    finite = np.isfinite(values)
    shade = np.full(values.shape, SKY_SHADE)
    sigma = measure_noise(values)
    if sigma > 0:
        sky, top = np.percentile(values[finite], [50, 99.5])
        # Ten sigma at least: without a star, noise is not to become white.
        reach = np.arcsinh(max((top - sky) / sigma, 10.0))
        shade += (1 - SKY_SHADE) * np.arcsinh((values - sky) / sigma) / reach
    heat = matplotlib.colormaps["gist_heat"](shade, bytes=True)[..., 2::-1]
    return np.where(finite[..., None], heat, MEAN_INFRARED)[::-1]


def array_to_picture(
    boxes: Float[np.ndarray, "n 4"],
    shape: tuple[int, int],
    picture_shape: tuple[int, int],
) -> Float[np.ndarray, "n 4"]:
    """Returns boxes of a FITS array as boxes of the picture that shows it.

    Args:
        boxes: `(x0, y0, x1, y1)`, edges, y up: pixel i covers [i, i + 1].
        shape: (ny, nx) of the array.
        picture_shape: (height, width) of the picture, whose y runs down.

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
    """Returns boxes of a picture as boxes of its FITS array: `array_to_picture` undone.

    Args:
        boxes: `(x0, y0, x1, y1)` in the picture, edges, y down.
        shape: (ny, nx) of the array.
        picture_shape: (height, width) of the picture.
    """
    # Turning the y axis round is its own inverse; only the shapes change places.
    return array_to_picture(boxes, picture_shape, shape)


def _colored(shade: Float[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w 3"]:
    ramp = np.linspace(0, 1, 256)
    table = [255 * np.interp(ramp, *corners) for corners in reversed(COOL)]
    blank = np.isnan(shade)
    index = np.rint(255 * np.where(blank, 0.0, shade)).astype(np.uint8)
    picture = np.rint(np.stack(table, axis=-1)).astype(np.uint8)[index]
    picture[blank] = 255
    return picture


def infrared_field(
    radio: SkyImage, infrared: SkyImage | Shaped[np.ndarray, "..."]
) -> UInt8[np.ndarray, "h w 3"]:
    """Returns the infrared picture of the radio image's field, as `fuse` draws on it.

    Args:
        radio: The radio image; only its place on the sky matters.
        infrared: See `fuse`.

    Raises:
        ImageError: The two show different parts of the sky.
        ValueError: `infrared` is neither an image nor a picture.
    """
    if isinstance(infrared, SkyImage):
        if radio.wcs is None or infrared.wcs is None:
            return infrared_picture(infrared.values)
        return infrared_picture(_reproject(radio, infrared, radio.wcs, infrared.wcs))
    if infrared.dtype != np.uint8 or infrared.shape[2:] != (3,) or infrared.size == 0:
        raise ValueError(
            "`infrared` must be a SkyImage or a uint8 picture (height, width, 3), got "
            f"{infrared.dtype} {infrared.shape}."
        )
    return infrared


def _reproject(
    radio: SkyImage, infrared: SkyImage, to_wcs: WCS, from_wcs: WCS
) -> Float32[np.ndarray, "h w"]:
    """Returns the infrared image, bilinear, on a grid over the radio image."""
    area = proj_plane_pixel_area(to_wcs) / proj_plane_pixel_area(from_wcs)
    zoom = int(np.clip(np.rint(np.sqrt(area)), 1, MAX_ZOOM))
    ny, nx = radio.values.shape
    # Centers of the grid's pixels, in radio pixels from the center of the first.
    x = (np.arange(zoom * nx) + 0.5) / zoom - 0.5
    y = (np.arange(zoom * ny) + 0.5) / zoom - 0.5
    with warnings.catch_warnings():
        # Distortions (SIP) may not converge far outside of the infrared image.
        warnings.simplefilter("ignore")
        pixels = from_wcs.world_to_pixel(to_wcs.pixel_to_world(*np.meshgrid(x, y)))
    columns, rows = (
        # OpenCV wants moderate numbers. NaN, sky out of the projection's reach, is
        # outside as well.
        np.nan_to_num(np.clip(np.asarray(axis), -9, size + 9), nan=-9).astype("f4")
        for axis, size in zip(pixels, infrared.values.shape[::-1], strict=True)
    )
    result = cv2.remap(
        infrared.values,
        columns,
        rows,
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=(np.nan,),
    )
    if np.isnan(result).all():
        raise ImageError(
            f"{infrared.name}: shows nothing of the sky area of {radio.name}; give the "
            "infrared image of the same field."
        )
    return result


def _hull(
    components: Iterable[radio_image.Component],
    shape: tuple[int, int],
    picture_shape: tuple[int, int],
) -> Bool[np.ndarray, "h w"]:
    """Returns the convex hull of the components' boxes as ClaRAN fills it."""
    ny, nx = shape
    height, width = picture_shape
    mask = np.zeros(picture_shape, np.uint8)
    corners = [
        # FITS coordinates, cut to whole numbers, counted from zero by OpenCV: up to a
        # pixel to the right and down. The pictures ClaRAN was trained on are so.
        (int((x + 0.5) * width / nx), int((ny - y + 0.5) * height / ny))
        for x0, y0, x1, y1 in (component.bbox for component in components)
        for x in (x0, x1)
        for y in (y0, y1)
    ]
    if not corners:
        return mask.astype(bool)
    hull = cv2.convexHull(np.array(corners, np.int32))[:, 0]
    cv2.fillPoly(mask, [hull], 1)
    # OpenCV 4, which ClaRAN used, fills half a pixel more along an edge that leaves the
    # picture; OpenCV 5 does not.
    edges = zip(hull.tolist(), np.roll(hull, -1, axis=0).tolist(), strict=True)
    for start, end in edges:
        crosses, *clipped = cv2.clipLine((0, 0, width, height), start, end)
        (x0, y0), (x1, y1) = sorted(clipped, key=lambda point: point[1])
        if crosses and y0 < y1 and (start[1] == height or end[1] == height):
            rows = np.arange(y0, y1 + 1)
            slope = int(65536 * (x1 - x0) / (y1 - y0))  # In its fixed-point numbers.
            mask[rows, (65536 * x0 + slope * (rows - y0)) >> 16] = 1
    return mask.astype(bool)
