"""Compressed FITS images: all kinds are read, and damaged ones never decoded."""

import io
import re

import numpy as np
import pytest
from astropy.io import fits

from claran.errors import ImageError
from claran.sky.images import read_sky_image

KINDS = ["RICE_1", "GZIP_1", "GZIP_2", "HCOMPRESS_1", "PLIO_1"]


def packed(kind, dtype="f4", tile_shape=None):
    values = np.random.default_rng(0).normal(100, 10, (40, 50))
    if kind == "PLIO_1":
        dtype = "i2"
    hdu = fits.CompImageHDU(
        values.astype(dtype), compression_type=kind, tile_shape=tile_shape
    )
    content = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(content)
    return content.getvalue()


def with_value(whole, key, value):
    card = f"{key:8}= {value:>20}"
    start = whole.index(card[:10].encode())
    return whole[:start] + card.ljust(80).encode() + whole[start + 80 :]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", ["f4", "i2", "f8"])
@pytest.mark.parametrize("tile_shape", [None, (8, 50), (16, 25)])
def test_good_files_are_read(kind, dtype, tile_shape):
    content = packed(kind, dtype, tile_shape)
    with fits.open(io.BytesIO(content)) as hdus:
        expected = hdus[1].data.astype("f4")
    np.testing.assert_array_equal(read_sky_image(content).values, expected)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "key, value",
    [
        ("ZNAXIS2", 8), ("ZTILE1", 0), ("ZTILE2", 3), ("ZBITPIX", 7),
        ("ZNAXIS1", 10**9), ("NAXIS2", 0), ("NAXIS1", 3), ("ZNAXIS", 9), ("TFIELDS", 0),
        ("ZCMPTYPE", "'ZIP'"),
    ],
)  # fmt: skip
def test_a_changed_header_is_not_decoded(kind, key, value):
    with pytest.raises(ImageError, match=r"damaged|not a FITS"):
        read_sky_image(with_value(packed(kind), key, value))


def test_another_shape_inside_a_tile_is_not_decoded():
    content = packed("HCOMPRESS_1")
    start = content.index(b"\xdd\x99")
    changed = content[: start + 2] + b"\x7f\xff\xff\xff" + content[start + 6 :]
    message = re.escape("tile 1 has [2147483647, 50] pixels in")
    with pytest.raises(ImageError, match=message):
        read_sky_image(changed)


def test_tiles_beyond_the_end_are_not_decoded():
    content = packed("RICE_1")
    start = content.index(b"END     ", 2880)
    start += -start % 2880
    changed = content[: start + 4] + b"\x7f\xff\xff\xff" + content[start + 8 :]
    with pytest.raises(ImageError, match="a tile lies beyond the end of the data"):
        read_sky_image(changed)


@pytest.mark.parametrize("kind", KINDS)
def test_hdus_that_astropy_has_opened_are_checked_too(kind, tmp_path):
    content = packed(kind)
    path = tmp_path / "x.fits"
    for good in (True, False):
        path.write_bytes(content if good else with_value(content, "ZNAXIS2", 8))
        for source in (path, io.BytesIO(path.read_bytes())):
            with fits.open(source) as hdus:
                if good:
                    assert read_sky_image(hdus).values.shape == (40, 50)
                    continue
                with pytest.raises(ImageError, match="the compressed image is damaged"):
                    read_sky_image(hdus[1])
    made = fits.CompImageHDU(np.random.default_rng(0).normal(size=(40, 50)))
    assert read_sky_image(made).values.shape == (40, 50)
