"""Mosaics are read by parts as `read_sky_image` reads the whole."""

import bz2
import gzip
import lzma
import os
import pickle
import shutil

import numpy as np
import pytest
from astropy.io import fits

from claran.errors import ImageError
from claran.fields.field import Field
from claran.sky.blanks import find_blanks
from claran.sky.images import read_sky_image
from claran.sky.mosaics import open_mosaic
from claran.sky.surveys import FIRST, SURVEYS


def header():
    cards = fits.Header()
    cards["BMAJ"], cards["BMIN"], cards["BPA"] = 6 / 3600, 5 / 3600, 30
    cards["CTYPE1"], cards["CTYPE2"] = "RA---SIN", "DEC--SIN"
    cards["CRVAL1"], cards["CRVAL2"], cards["CRPIX1"], cards["CRPIX2"] = 10, 20, 30, 40
    cards["CDELT1"], cards["CDELT2"] = -1.8 / 3600, 1.8 / 3600
    cards["BUNIT"], cards["RESTFRQ"] = "Jy/beam", 1.4e9
    return cards


@pytest.fixture
def pixels(rng):
    values = rng.normal(size=(70, 90)).astype(np.float32)
    values[:10, :20] = np.nan
    values[5, 60:] = 0
    values[-9:, -30:] = 0
    return values


def opened(path, **options):
    return open_mosaic(path, scratch=path.parent / "scratch", **options)


def with_blanks(mosaic):
    return mosaic.with_blanks(find_blanks(mosaic))


def assert_reads(path, rng):
    """Checks that the file is read as by `read_sky_image`, in any part."""
    image, mosaic = read_sky_image(path), with_blanks(opened(path))
    assert mosaic.shape == image.values.shape
    for name in ("pixel_arcsec", "name", "unit", "beam", "infrared"):
        assert getattr(mosaic, name) == getattr(image, name), name
    assert mosaic.beam_pixels == Field("f", image=image).beam_pixels
    assert mosaic.notes[: len(image.notes)] == image.notes
    ny, nx = mosaic.shape
    parts = [(slice(0, ny), slice(0, nx))]
    for _ in range(10):
        y, x = rng.integers(0, ny), rng.integers(0, nx)
        h, w = rng.integers(1, 50, 2)
        parts.append((slice(y, min(ny, y + h)), slice(x, min(nx, x + w))))
    for part in parts:
        own = mosaic.read(*part)
        assert own.dtype == np.float32 and own.dtype.isnative
        np.testing.assert_array_equal(own, image.values[part])
    return image, mosaic


@pytest.mark.parametrize("axes", [2, 3, 4])
def test_axes_of_length_one_are_dropped(tmp_path, pixels, rng, axes):
    path = tmp_path / "m.fits"
    fits.writeto(path, pixels.reshape((1,) * (axes - 2) + pixels.shape), header())
    image, mosaic = assert_reads(path, rng)
    assert mosaic.jansky == 1 and mosaic.frequency_hz == 1.4e9 and mosaic.notes == ()
    place = [[5, 6]]
    np.testing.assert_array_equal(
        mosaic.wcs.all_pix2world(place, 0), image.wcs.all_pix2world(place, 0)
    )


@pytest.mark.parametrize("bits", [8, 16, 32, 64, -32, -64])
@pytest.mark.parametrize("scale, zero", [(1, 0), (0.03, 2.5), (1, 7)])
@pytest.mark.parametrize("blank", [None, 5])
def test_numbers_of_all_kinds(tmp_path, rng, bits, scale, zero, blank):
    kind = {8: "u1", 16: "i2", 32: "i4", 64: "i8", -32: "f4", -64: "f8"}[bits]
    numbers = rng.integers(0, 120, (40, 50)).astype(kind)
    hdu = fits.PrimaryHDU(numbers)
    hdu.writeto(tmp_path / "m.fits")
    with fits.open(
        tmp_path / "m.fits", mode="update", do_not_scale_image_data=True
    ) as hdus:
        if scale != 1:
            hdus[0].header["BSCALE"] = scale
        if zero:
            hdus[0].header["BZERO"] = zero
        if blank is not None and bits > 0:
            hdus[0].header["BLANK"] = blank
    image, _ = assert_reads(tmp_path / "m.fits", rng)
    assert np.isnan(image.values).any() == (blank is not None and bits > 0)


@pytest.mark.parametrize("kind", ["u2", "u4", "i1"])
def test_integers_with_another_sign(tmp_path, rng, kind):
    numbers = rng.integers(0, 120, (40, 50)).astype(kind)
    fits.writeto(tmp_path / "m.fits", numbers)
    assert_reads(tmp_path / "m.fits", rng)


@pytest.mark.parametrize(
    "ending, pack", [("gz", gzip.open), ("bz2", bz2.open), ("xz", lzma.open)]
)
def test_packed_files_are_unpacked_once(tmp_path, pixels, rng, ending, pack):
    plain, path = tmp_path / "m.fits", tmp_path / f"m.fits.{ending}"
    fits.writeto(plain, pixels, header())
    with plain.open("rb") as source, pack(path, "wb") as target:
        shutil.copyfileobj(source, target)
    assert_reads(path, rng)
    (unpacked,) = (tmp_path / "scratch").iterdir()
    before = unpacked.stat()
    opened(path)
    assert unpacked.stat() == before
    os.utime(path, (1, 1))  # A file that was changed is unpacked anew.
    opened(path)
    assert len(list((tmp_path / "scratch").iterdir())) == 2


@pytest.mark.parametrize("axes", [2, 4])
@pytest.mark.parametrize("kind", ["RICE_1", "GZIP_2", "HCOMPRESS_1"])
def test_compressed_images(tmp_path, pixels, rng, kind, axes):
    path = tmp_path / "m.fits.fz"
    pixels = np.where(np.isnan(pixels), 0, pixels) if kind[0] == "H" else pixels
    shape = (1,) * (axes - 2) + pixels.shape
    tile = (1,) * (axes - 2) + (16, 90) if kind[0] == "H" else None
    fits.CompImageHDU(
        pixels.reshape(shape), header(), compression_type=kind, tile_shape=tile
    ).writeto(path)
    assert_reads(path, rng)


def test_the_hdu_is_chosen_or_named(tmp_path, pixels, rng):
    path = tmp_path / "m.fits"
    weights = fits.ImageHDU(pixels * 2, header(), name="WEIGHT")
    science = fits.ImageHDU(pixels, header(), name="SCI")
    fits.HDUList([fits.PrimaryHDU(), weights, science]).writeto(path)
    _, mosaic = assert_reads(path, rng)
    assert "HDU 2 (SCI) of 2 images" in mosaic.notes[0]
    named = opened(tmp_path / "m.fits[WEIGHT]")
    part = np.s_[20:30, 30:40]
    np.testing.assert_array_equal(named.read(*part), 2 * mosaic.read(*part))


def test_a_mosaic_without_wcs_is_read(tmp_path, pixels, rng):
    path = tmp_path / "m.fits"
    fits.writeto(path, pixels)
    _, mosaic = assert_reads(path, rng)
    assert mosaic.wcs is None and mosaic.pixel_arcsec is None
    assert mosaic.beam_pixels == 3
    assert mosaic.notes == ("it has no unit, and Jy/beam is assumed",)
    vlass = opened(path, survey=SURVEYS["vlass"])
    assert (vlass.beam_pixels, vlass.pixel_arcsec) == (2.5, 1.0)
    assert vlass.frequency_hz == 3e9 and vlass.beam is None


def test_the_unit_is_converted(tmp_path, pixels):
    cards = header()
    cards["BUNIT"] = "mK"
    fits.writeto(tmp_path / "m.fits", pixels, cards)
    mosaic = opened(tmp_path / "m.fits")
    # T = 1.222e3 I / (nu^2 bmaj bmin), in K, mJy/beam, GHz, arcsec (VLA's guide).
    assert mosaic.jansky == pytest.approx(1e-6 * 1.4**2 * 30 / 1.222e3, rel=1e-3)
    assert "mK" in mosaic.notes[0] and "Jy/beam at 1.4 GHz" in mosaic.notes[0]
    del cards["RESTFRQ"]
    fits.writeto(tmp_path / "n.fits", pixels, cards)
    with pytest.raises(ImageError, match=r"n\.fits: is in mK, but its frequency"):
        opened(tmp_path / "n.fits")
    assert opened(tmp_path / "n.fits", survey=FIRST).jansky == mosaic.jansky


def test_a_beam_replaces_that_of_the_header(tmp_path, pixels):
    fits.writeto(tmp_path / "m.fits", pixels, header())
    mosaic = opened(tmp_path / "m.fits", beam_arcsec=3.6)
    assert mosaic.beam == (3.6, 3.6, 0)
    assert mosaic.beam_pixels == pytest.approx(2)
    with pytest.raises(ValueError, match="must be positive"):
        opened(tmp_path / "m.fits", beam_arcsec=-1)
    fits.writeto(tmp_path / "n.fits", pixels)
    with pytest.raises(ImageError, match=r"n\.fits: has no WCS"):
        opened(tmp_path / "n.fits", beam_arcsec=3)


def test_it_can_be_sent_and_keeps_all_digits(tmp_path, pixels):
    cards = header()
    cards["CRVAL1"], cards["CD1_1"], cards["CD2_2"] = 10 + 1 / 3, -1 / 1999, 1 / 1999
    fits.writeto(tmp_path / "m.fits", pixels, cards)
    mosaic = with_blanks(opened(tmp_path / "m.fits", survey=FIRST))
    again = pickle.loads(pickle.dumps(mosaic))
    assert again.fingerprint == mosaic.fingerprint != opened(mosaic.path).fingerprint
    assert again.blanks == mosaic.blanks and again.blanks.side == 3
    part = np.s_[3:60, 7:88]
    np.testing.assert_array_equal(again.read(*part), mosaic.read(*part))
    place = [[5.1, 6.2]]
    np.testing.assert_array_equal(
        again.wcs.all_pix2world(place, 0), mosaic.wcs.all_pix2world(place, 0)
    )


def test_a_file_that_vanished_or_changed_is_named(tmp_path, pixels):
    path = tmp_path / "m.fits"
    fits.writeto(path, pixels, header())
    sent = pickle.dumps(opened(path))
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - 2880)
    with pytest.raises(ImageError, match=r"m\.fits: was changed while it was read"):
        pickle.loads(sent).read(slice(0, 5), slice(0, 5))
    path.unlink()
    with pytest.raises(ImageError, match=r"m\.fits: was there and is no longer"):
        pickle.loads(sent).read(slice(0, 5), slice(0, 5))


def test_what_cannot_be_used_is_refused(tmp_path, pixels):
    path = tmp_path / "m.fits"
    fits.writeto(path, np.stack([pixels, pixels]), header())
    with pytest.raises(ImageError, match=r"m\.fits: is a cube of shape \(2, 70, 90\)"):
        opened(path)
    fits.writeto(path, pixels, header(), overwrite=True)
    whole = path.read_bytes()
    for name, content, message in (
        ("short.fits", whole[:-9000], "truncated or damaged"),
        ("text.fits", b"# Notes", "not a FITS file but a text file"),
        ("bits.fits", whole.replace(b"-32", b"-31", 1), "damaged"),
        ("empty.fits", b"", "not a FITS file, or a truncated one"),
        ("short.fits.gz", gzip.compress(whole)[:-900], "truncated"),
        ("odd.fits.gz", gzip.compress(whole)[:50] + b"zzz", "truncated"),
        ("bomb.fits.gz", gzip.compress(bomb()), "would unpack to"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ImageError, match=message) as caught:
            opened(tmp_path / name)
        assert str(caught.value).startswith(str(tmp_path / name))
        assert "\n" not in str(caught.value)
    with pytest.raises(ImageError, match="check the path"):
        opened(tmp_path / "missing.fits")
    scratch = tmp_path / "scratch"
    assert not [p for p in scratch.iterdir() if "partial" in p.name]


def bomb():
    """Returns a header that claims far more than a file may unpack to."""
    cards = fits.Header()
    cards["SIMPLE"], cards["BITPIX"], cards["NAXIS"] = True, -32, 2
    cards["NAXIS1"] = cards["NAXIS2"] = 10**6
    return cards.tostring().encode()


def test_a_folder_that_cannot_be_written_is_named(tmp_path, pixels):
    fits.writeto(tmp_path / "m.fits.gz", pixels, header())
    (tmp_path / "scratch").write_text("a file")
    with pytest.raises(ImageError, match=r"cannot be unpacked into .*scratch"):
        opened(tmp_path / "m.fits.gz")
