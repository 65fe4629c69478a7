"""Which HDU of a FITS file is read, and files that claim more than they hold."""

import bz2
import gzip
import io
import lzma
import time

import numpy as np
import pytest
from astropy.io import fits

from claran.errors import ImageError
from claran.sky.images import read_sky_image


def written(*hdus):
    """Returns the bytes of a FITS file."""
    content = io.BytesIO()
    fits.HDUList(list(hdus)).writeto(content)
    return content.getvalue()


def with_card(whole, card):
    """Returns a file with another card of the same keyword."""
    start = whole.index(card[:10].encode())
    return whole[:start] + card.ljust(80).encode() + whole[start + 80 :]


def table():
    return fits.BinTableHDU.from_columns([fits.Column("a", "E", array=[1.0, 2.0])])


def science(values, name="SCI", **cards):
    return fits.ImageHDU(values, fits.Header(cards), name=name)


@pytest.mark.parametrize("beside", ["WEIGHT", "rms", "sci_mask", "BKG", "PB"])
def test_weights_are_passed_over_and_it_is_said(beside, values):
    content = written(
        fits.PrimaryHDU(), science(values + 1, beside), science(values), table()
    )
    for source in (content, fits.open(io.BytesIO(content))):
        image = read_sky_image(source)
        np.testing.assert_array_equal(image.values, values)
        (note,) = image.notes
        assert "HDU 2 (SCI) of 2 images" in note and "FILE.fits[1]" in note


def test_a_unit_tells_weights_too(values):
    weights = science(values + 1, "A", BUNIT="weight")
    image = read_sky_image(written(fits.PrimaryHDU(), weights, science(values, "B")))
    np.testing.assert_array_equal(image.values, values)


@pytest.mark.parametrize(
    "first",
    [
        fits.PrimaryHDU(np.arange(10.0)),
        fits.PrimaryHDU(),
        fits.PrimaryHDU(np.ones((3, 4, 5))),
    ],
    ids=["1-D", "empty", "cube"],
)
def test_other_hdus_are_passed_over_in_silence(first, values):
    image = read_sky_image(written(first, table(), science(values, "")))
    np.testing.assert_array_equal(image.values, values)
    assert image.notes == ()


@pytest.mark.parametrize(
    "beside",
    [np.ones((20, 20), np.uint8), np.ones((2, 3), np.float32)],
    ids=["mask", "preview"],
)
def test_masks_and_previews_without_a_name_are_passed_over(beside, values):
    content = written(fits.PrimaryHDU(beside), science(values, "", BUNIT="JY/BEAM"))
    for source in (content, fits.open(io.BytesIO(content))):
        image = read_sky_image(source)
        np.testing.assert_array_equal(image.values, values)
        assert image.notes[0].startswith("HDU 1 of 2 images")


def test_the_only_image_is_taken_whatever_its_name(values):
    image = read_sky_image(written(fits.PrimaryHDU(), science(values, "RMS")))
    assert image.notes == () and image.values.shape == values.shape


def test_hdu_in_brackets(values, tmp_path):
    path = tmp_path / "x.fits"
    path.write_bytes(
        written(fits.PrimaryHDU(values), science(values + 1), table(), science(values))
    )
    for name in ("x.fits[1]", "x.fits[sci]", "x.fits[SCI,1]"):
        image = read_sky_image(tmp_path / name)
        np.testing.assert_array_equal(image.values, values + 1)
        assert image.notes == () and image.name == name
    third = read_sky_image(tmp_path / "x.fits[sci, 2]").values
    np.testing.assert_array_equal(third, values)
    for name, message in (
        ("x.fits[sci,3]", "has no HDU sci,3"),
        ("x.fits[9]", "has no HDU 9; it has 0, 1 SCI, 2, 3 SCI"),
        ("x.fits[rms]", "has no HDU rms"),
        ("x.fits[²]", "has no HDU ²"),
        ("x.fits[2]", "HDU 2 is no image"),
        ("y.fits[2]", "cannot be read"),
    ):
        with pytest.raises(ImageError, match=message):
            read_sky_image(tmp_path / name)
    # A file of this very name comes first.
    (tmp_path / "x.fits[1]").write_bytes(written(fits.PrimaryHDU(values + 2)))
    found = read_sky_image(tmp_path / "x.fits[1]").values
    np.testing.assert_array_equal(found, values + 2)


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_packed_files(pack, values, tmp_path):
    path = tmp_path / "x.fits.packed"
    path.write_bytes(pack(written(fits.PrimaryHDU(), science(values), table())))
    np.testing.assert_array_equal(read_sky_image(path).values, values)


@pytest.mark.parametrize(
    "card",
    [
        "NAXIS   = 2147483648",
        "NAXIS   = -1",
        "NAXIS   = 'two'",
        "NAXIS1  = 9223372036854775807",
        "NAXIS1  = 1000000",
        "NAXIS2  = -20",
        "BITPIX  = 999999999",
    ],
)
def test_claims_are_checked_against_the_size_of_the_file(card, values):
    content = with_card(written(fits.PrimaryHDU(values)), card)
    for source in (content, gzip.compress(content)):
        with pytest.raises(ImageError, match=r"x.fits: .*(damaged|unpack to|not a FI)"):
            read_quickly(source)


@pytest.mark.parametrize("key", ["PCOUNT", "GCOUNT"])
def test_counts_are_checked_too(key, values):
    content = written(fits.PrimaryHDU(), science(values))
    content = with_card(content, f"{key:8}= 9999999999999")
    with pytest.raises(ImageError, match="truncated or damaged"):
        read_quickly(content)


def read_quickly(source):
    start = time.perf_counter()
    try:
        return read_sky_image(source, name="x.fits")
    finally:
        assert time.perf_counter() - start < 2


def test_a_size_that_is_there_twice_is_refused_quickly(values):
    content = written(fits.PrimaryHDU(values))
    again = f"{'NAXIS':8}= {2**63:>20}".ljust(80).encode()
    end = b"END".ljust(80)
    content = content.replace(end + b" " * 80, again + end, 1)
    with pytest.raises(ImageError, match="damaged, NAXIS is there twice in its header"):
        read_quickly(content)


def test_a_header_without_end_is_not_searched_for_ever(values):
    content = written(fits.PrimaryHDU(values)).replace(b"END     ", b"HISTORY ")
    with pytest.raises(ImageError, match="not a FITS file, or a truncated one"):
        read_quickly(content + b" " * 2880 * 20_000)


def test_a_file_that_unpacks_a_thousandfold_is_refused():
    header = fits.PrimaryHDU(np.zeros((1, 1), np.float32)).header
    header["NAXIS1"] = header["NAXIS2"] = 20_000
    content = header.tostring().encode() + bytes(2**20)
    with pytest.raises(ImageError, match=r"would unpack to 1.6 GB, over 200"):
        read_quickly(gzip.compress(content))


def test_only_what_the_headers_describe_is_unpacked(values):
    """Behind the image is a gigabyte of zeros, in members of 16 MB."""
    content = gzip.compress(written(fits.PrimaryHDU(values)))
    content += 64 * gzip.compress(bytes(2**24), 1)
    np.testing.assert_array_equal(read_quickly(content).values, values)


def test_a_damaged_hdu_behind_the_image_does_no_harm(values):
    content = written(fits.PrimaryHDU(values), science(values, "RMS"))
    image = read_sky_image(content[:-2880])
    np.testing.assert_array_equal(image.values, values)


@pytest.mark.parametrize(
    "content, message",
    [
        (b"\x89PNG\r\n\x1a\n", "is a PNG picture, .* give a picture as --image"),
        (b"\xff\xd8\xff\xe0", "is a JPEG picture, .* or as --ir"),
        (b"PK\3\4", "not a FITS file but a ZIP archive; give the FITS image"),
        (b"ra,dec\n1,2\n", "not a FITS file but a text file"),
        (b"", "not a FITS file, or a truncated one; fetch it again"),
        (bytes(range(200, 250)), "not a FITS file, or a truncated one"),
        (gzip.compress(b"words", mtime=0), "not a FITS file, or a truncated one"),
    ],
)
def test_other_files_get_their_remedy(content, message):
    with pytest.raises(ImageError, match=f"x.fits: {message}"):
        read_sky_image(content, name="x.fits")


def test_a_table_is_no_image():
    with pytest.raises(ImageError, match=r"has no image in its 2 HDU\(s\), but a tab"):
        read_sky_image(written(fits.PrimaryHDU(), table()))
