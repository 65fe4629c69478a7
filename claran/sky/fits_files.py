"""Images in FITS files, checked against the file's size before memory is taken.

A header may claim an image of any size, and a packed file may unpack a thousandfold. So
the headers are walked over first, by their mandatory cards, and Astropy gets to see
only a file that can hold what its headers say.
"""

import bz2
import contextlib
import gzip
import io
import lzma
import math
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from astropy.io import fits

from claran.errors import ImageError, first_line, unreadable
from claran.io.paths import require_file, split_hdu
from claran.sky.file_kinds import file_kind, wrong_kind
from claran.sky.hdu_choice import ImagePlane, choose_image
from claran.sky.hdu_headers import Hdu, data_bytes, header_values
from claran.sky.header_cards import card_text, printable_header
from claran.sky.tiled_images import check_tiles

__all__ = [
    "UNPACK",
    "FitsImage",
    "check_hdu",
    "image_header",
    "naming_damage",
    "read_fits",
    "read_hdus",
    "unpacked_limit",
    "walk_hdus",
]

BLOCK = 2880  # Bytes, of FITS.
PRINTABLE = bytes(range(32, 127))
CLEAN = bytes(byte if 32 <= byte < 127 else 32 for byte in range(256))
LONGEST_HEADER = 2**24  # Bytes; 200,000 cards.
SMALL = 2**26  # Bytes that any packed file may unpack to.
PACKED = 200  # Times that a larger one may; images with noise shrink by 1 to 10.

UNPACK: dict[str, Any] = {
    "a gzip file": gzip.open,
    "a bzip2 file": bz2.open,
    "an xz file": lzma.open,
}
"""What opens a packed file, by its kind of `claran.sky.file_kinds.file_kind`."""


class FitsImage(NamedTuple):
    """The image of a file, as it is stored."""

    data: np.ndarray
    header: fits.Header
    notes: tuple[str, ...]


def read_fits(
    source: str | os.PathLike | bytes, *, label: str | None = None
) -> FitsImage:
    """Returns the image in a FITS file, packed by gzip, bzip2 or xz or not.

    Args:
        source: Path, with the number or the name of an HDU in brackets at its end if
            another one than the first image is meant; or the bytes of a file.
        label: Name for messages.

    Raises:
        ImageError: The file is missing, damaged, not FITS, has no image, or unpacks to
            far more than it holds.
    """
    if isinstance(source, bytes):
        return _read(io.BytesIO(source), len(source), label or "bytes", None)
    path, wanted = split_hdu(Path(source))
    label = label or str(path)
    require_file(path)
    try:
        with path.open("rb") as stream:
            return _read(stream, path.stat().st_size, label, wanted)
    except ImageError:
        raise
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path.
        raise unreadable(label, error) from None


def read_hdus(hdus: Sequence[Any], label: str) -> FitsImage:
    """Returns the image among HDUs that Astropy has opened, or that were made.

    Args:
        hdus: HDUList, or list of HDUs.
        label: Name for messages.

    Raises:
        ImageError: There is no image, or it is damaged.
    """
    with naming_damage(label):
        index, note = choose_image([_opened_plane(hdu) for hdu in hdus], label)
        if isinstance(hdus[index], fits.CompImageHDU):
            _check_compressed(hdus[index], label)
    return _image(hdus[index], label, note)


def _check_compressed(hdu: fits.CompImageHDU, label: str) -> None:
    """Checks a compressed image that Astropy has opened; one that was made passes."""
    place: Any = hdu.fileinfo()
    if not place or place["file"] is None or place["file"].closed:
        return
    file, begin, start = place["file"], place["hdrLoc"], place["datLoc"]
    file.seek(begin)
    check_tiles(header_values(file.read(start - begin), label), file, start, label)


def _read(stream: Any, size: int, label: str, wanted: str | None) -> FitsImage:
    try:
        with _unpacked(stream, size, label) as (plain, hdus):
            index, note = choose_image([hdu.plane for hdu in hdus], label, wanted)
            return _load(plain, hdus, index, label, note)
    except (ImageError, MemoryError):
        raise
    except Exception as error:  # Astropy fails in many ways on a damaged file.
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise _damaged(label) from None


def _load(
    plain: Any, hdus: Sequence[Hdu], index: int, label: str, note: str
) -> FitsImage:
    hdu = hdus[index]
    check_hdu(hdu, plain, label)
    plain.seek(0)
    # Without memory mapping: big-endian, scaled or compressed data are copied.
    with fits.open(plain, memmap=False) as opened:
        found = _image(opened[index], label, note)
    return found._replace(header=_clean_header(hdu, found.header))


def check_hdu(hdu: Hdu, stream: Any, label: str) -> None:
    """Checks that a file has all data of an HDU, and that its tiles can be decoded.

    Args:
        hdu: One of `walk_hdus`.
        stream: The file, unpacked.
        label: Name of the file.

    Raises:
        ImageError: It has not.
    """
    if not hdu.whole:
        raise ImageError(
            f"{label}: truncated or damaged (the header says {hdu.length:,} bytes of "
            "data, and the file ends before); fetch it again."
        )
    if hdu.is_tiled:
        check_tiles(hdu.cards, stream, hdu.start, label)


def image_header(stream: Any, hdu: Hdu, index: int, label: str) -> fits.Header:
    """Returns the header of an image, so that wcslib can read it.

    Args:
        stream: The file, unpacked.
        hdu: One of `walk_hdus`.
        index: Its number.
        label: Name of the file.
    """
    stream.seek(0)
    with naming_damage(label), fits.open(stream, memmap=False) as opened:
        chosen: Any = opened[index]
        return _clean_header(hdu, printable_header(chosen.header))


def _clean_header(hdu: Hdu, header: fits.Header) -> fits.Header:
    # Astropy makes question marks of some bytes, also of those between cards.
    clean = hdu.cleaned and not hdu.is_tiled
    return fits.Header.fromstring(hdu.cleaned) if clean else header


def _image(hdu: Any, label: str, note: str) -> FitsImage:
    """Returns the image of an HDU, with a header that wcslib can read."""
    with naming_damage(label):
        data = hdu.data
    if not isinstance(data, np.ndarray):
        raise _damaged(label)
    return FitsImage(data, printable_header(hdu.header), (note,) if note else ())


@contextlib.contextmanager
def naming_damage(label: str) -> Iterator[None]:
    """Makes an `ImageError` of what Astropy says about damaged data."""
    try:
        yield
    except (ImageError, MemoryError):
        raise
    except Exception as error:  # Astropy fails in many ways.
        fault, remedy = f"truncated or damaged ({first_line(error)})", "fetch it again"
        if "closed file" in fault:
            fault, remedy = "its file is closed", "give it while the file is open"
        raise ImageError(f"{label}: {fault}; {remedy}.") from None


def _damaged(label: str) -> ImageError:
    return ImageError(wrong_kind(b"", label, wanted="FITS"))


@contextlib.contextmanager
def _unpacked(stream: Any, size: int, label: str) -> Iterator[tuple[Any, list[Hdu]]]:
    """Gives the FITS file in a stream that may be packed, and its HDUs."""
    start = stream.read(512)
    stream.seek(0)
    unpack = UNPACK.get(file_kind(start))
    if unpack is None:
        if not start.startswith(b"SIMPLE"):
            raise ImageError(wrong_kind(start, label, wanted="FITS"))
        yield stream, list(walk_hdus(stream, size, label))
        return
    sink = io.BytesIO()
    with unpack(stream, "rb") as packed:
        hdus = list(walk_hdus(packed, unpacked_limit(size), label, sink))
    yield sink, hdus


def unpacked_limit(size: int) -> int:
    """Returns the bytes that a packed file of a size may unpack to."""
    return max(SMALL, PACKED * size)


def walk_hdus(stream: Any, limit: int, label: str, sink: Any = None) -> Iterator[Hdu]:
    """Yields the HDUs of a file, by their headers.

    Args:
        stream: The file, unpacked.
        limit: Bytes that it has, or that a packed one may have.
        label: Name of the file.
        sink: File that receives what is unpacked; None if the file is not packed.
    """
    position = 0
    first = True
    while True:
        raw = _header(stream, first=first)
        if not raw:
            if first:
                raise _damaged(label)
            return
        cards = header_values(raw, label)
        length = data_bytes(cards, label)
        position += len(raw)
        whole = position + length <= limit
        if not whole and sink is not None:
            raise ImageError(
                f"{label}: would unpack to {(position + length) / 1e9:.3g} GB, over "
                f"{PACKED} times its size; unpack it first if it is what it says."
            )
        padded = BLOCK * math.ceil(length / BLOCK)
        if sink is None:
            stream.seek(position + padded)
        else:
            sink.write(raw)
            whole = _copy(stream, sink, padded) >= length
        odd = bool(raw.translate(None, PRINTABLE))
        yield Hdu(cards, position, length, whole, raw.translate(CLEAN) if odd else b"")
        position += padded
        first = False
        if not whole:
            return


def _copy(stream: Any, sink: Any, count: int) -> int:
    """Copies at most `count` bytes; returns how many there were."""
    done = 0
    while done < count:
        part = stream.read(min(count - done, 2**20))
        if not part:
            break
        sink.write(part)
        done += len(part)
    return done


def _header(stream: Any, *, first: bool) -> bytes:
    """Returns a header, with END and its padding; b"" if there is none."""
    begins = b"SIMPLE" if first else b"XTENSION"
    blocks: list[bytes] = []
    while len(blocks) * BLOCK < LONGEST_HEADER:
        try:
            block = stream.read(BLOCK)
        except (EOFError, OSError, lzma.LZMAError, ValueError):
            return b""  # A truncated packed file.
        if len(block) < BLOCK or (not blocks and not block.startswith(begins)):
            return b""
        blocks.append(block)
        if any(block[i : i + 8] == b"END     " for i in range(0, BLOCK, 80)):
            return b"".join(blocks)
    return b""


def _opened_plane(hdu: Any) -> ImagePlane:
    shape = tuple(hdu.shape) if hdu.is_image and hdu.shape else None
    is_bytes = card_text(hdu.header, "BITPIX") == "8" and "BSCALE" not in hdu.header
    return ImagePlane(shape, str(hdu.name), card_text(hdu.header, "BUNIT"), is_bytes)
