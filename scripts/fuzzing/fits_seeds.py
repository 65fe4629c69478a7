"""Good FITS images of the kinds that astronomers have, as the bytes of their files."""

import functools
import gzip
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from astropy.io import fits

from claran import examples

SIDE = 64  # Pixels.
COMPRESSIONS = ("RICE_1", "GZIP_1", "GZIP_2", "HCOMPRESS_1", "PLIO_1")


def radio_sky(number: int = 0) -> np.ndarray:
    """Returns a field with a double and a compact source, `(64, 64)`, Jy/beam."""
    rng = np.random.default_rng([2019, number])
    values = rng.normal(0, 4.5, (SIDE, SIDE))
    for x, y, peak in ((24, 30, 300), (33, 34, 240), (50, 12, 120)):
        values[y, x] += peak * rng.uniform(5, 30)
    # A beam of 3 pixels: 5.4 arcsec at 1.8 arcsec a pixel.
    return cv2.GaussianBlur(values, (0, 0), 3 / 2.355).astype(np.float32) * 1e-4


def sky_header(
    longitude: str = "RA---SIN", latitude: str = "DEC--SIN", **cards: Any
) -> fits.Header:
    """Returns the header of a radio image at 180 +30 degrees.

    Args:
        longitude: `CTYPE1`.
        latitude: `CTYPE2`.
        **cards: Further cards; with `CD1_1` or `PC1_1` and so on there is no `CDELT`,
            or `CDELT` too.
    """
    header = fits.Header(
        {
            "CTYPE1": longitude, "CTYPE2": latitude, "CUNIT1": "deg", "CUNIT2": "deg",
            "CRPIX1": SIDE / 2, "CRPIX2": SIDE / 2, "CRVAL1": 180.0, "CRVAL2": 30.0,
            "BMAJ": 5.4 / 3600, "BMIN": 5.4 / 3600, "BPA": 10.0, "BUNIT": "JY/BEAM",
            "OBJECT": "FUZZED",
        }
    )  # fmt: skip
    if "CD1_1" not in cards:
        header["CDELT1"], header["CDELT2"] = -0.0005, 0.0005
    header.update(cards)
    return header


def to_bytes(*hdus: Any) -> bytes:
    """Returns the bytes of a file with these HDUs."""
    file = io.BytesIO()
    fits.HDUList(list(hdus)).writeto(file, output_verify="silentfix")
    return file.getvalue()


def primary(values: Any = None, **header: Any) -> bytes:
    """Returns the bytes of a file with one image; see `sky_header`."""
    values = radio_sky() if values is None else values
    return to_bytes(fits.PrimaryHDU(values, sky_header(**header)))


def _integers(dtype: str, steps: int, **cards: Any) -> bytes:
    """Returns an image of whole numbers; `steps` from the lowest to the highest."""
    values = radio_sky().astype(np.float64)
    zero, scale = values.min(), np.ptp(values) / steps
    hdu = fits.PrimaryHDU(np.rint((values - zero) / scale).astype(dtype), sky_header())
    hdu.header.update({"BSCALE": scale, "BZERO": zero, **cards})
    return to_bytes(hdu)


def _many_hdus() -> bytes:
    table = fits.BinTableHDU.from_columns(
        [fits.Column("FLUX", "E", array=np.arange(4, dtype="f4"))]
    )
    image = fits.ImageHDU(radio_sky(), sky_header(), name="SCI")
    weight = fits.ImageHDU(np.ones((SIDE, SIDE), "f4"), sky_header(), name="WHT")
    return to_bytes(fits.PrimaryHDU(), table, image, weight)


def _distorted() -> bytes:
    sip = {"A_ORDER": 2, "B_ORDER": 2, "A_2_0": 1e-6, "B_0_2": 1e-6, "CRPIX1": 30.0}
    header = sky_header("RA---TAN-SIP", "DEC--TAN-SIP", **sip)
    return to_bytes(fits.PrimaryHDU(radio_sky(), header))


SEEDS: dict[str, Callable[[], bytes]] = {
    "plain": primary,
    "tan_cd": lambda: primary(
        longitude="RA---TAN", latitude="DEC--TAN",
        CD1_1=-0.0005, CD1_2=1e-5, CD2_1=1e-5, CD2_2=0.0005,
    ),
    "zea_pc": lambda: primary(
        longitude="RA---ZEA", latitude="DEC--ZEA", RADESYS="FK5", EQUINOX=2000.0,
        PC1_1=0.8, PC1_2=-0.6, PC2_1=0.6, PC2_2=0.8,
    ),
    "car_galactic": lambda: primary(longitude="GLON-CAR", latitude="GLAT-CAR"),
    "ait_rotated": lambda: primary(
        longitude="RA---AIT", latitude="DEC--AIT", CROTA2=30.0
    ),
    "ncp_b1950": lambda: primary(
        longitude="RA---NCP", latitude="DEC--NCP", RADESYS="FK4", EQUINOX=1950.0,
        **{"DATE-OBS": "1994-05-01"},
    ),
    "sip": _distorted,
    "tpv": lambda: primary(
        longitude="RA---TPV", latitude="DEC--TPV", PV1_1=1.0, PV2_1=1.0
    ),
    "cube4": lambda: primary(
        radio_sky()[None, None], CTYPE3="FREQ", CRVAL3=1.4e9, CDELT3=1e6, CRPIX3=1.0,
        CUNIT3="Hz", CTYPE4="STOKES", CRVAL4=1.0, CDELT4=1.0, CRPIX4=1.0,
    ),
    "plane3": lambda: primary(radio_sky()[None], CTYPE3="STOKES", CRVAL3=1.0),
    "int16": lambda: _integers("int16", 30000, BLANK=-32768),
    "int32": lambda: _integers("int32", 10**9),
    "uint8": lambda: _integers("uint8", 255),
    "float64": lambda: primary(radio_sky().astype(np.float64)),
    "without_wcs": lambda: to_bytes(fits.PrimaryHDU(radio_sky())),
    "many_hdus": _many_hdus,
    "simulated": lambda: Path(
        examples.__file__
    ).with_name("simulated_radio.fits").read_bytes(),
}  # fmt: skip
"""Images that are not compressed."""


def _tiled(compression: str) -> bytes:
    values = radio_sky()
    if compression == "PLIO_1":  # For masks and counts alone.
        values = (values * 1e5).clip(0).astype(np.int16)
    hdu = fits.CompImageHDU(
        values, sky_header(), compression_type=compression, tile_shape=(16, SIDE)
    )
    return to_bytes(fits.PrimaryHDU(), hdu)


COMPRESSED: dict[str, Callable[[], bytes]] = {
    "gz": lambda: gzip.compress(primary(), mtime=0),
    "gz_int16": lambda: gzip.compress(_integers("int16", 30000), mtime=0),
} | {name: functools.partial(_tiled, name) for name in COMPRESSIONS}


@functools.cache
def fits_seed(name: str) -> bytes:
    """Returns one of `SEEDS` or `COMPRESSED`."""
    return (SEEDS | COMPRESSED)[name]()
