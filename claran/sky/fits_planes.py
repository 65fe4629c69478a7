"""A plane of a FITS file that is read by parts, whatever the size of the file."""

import dataclasses
import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from jaxtyping import Float32

from claran.errors import ImageError, unreadable
from claran.io.atomic import replace_file
from claran.io.paths import require_file, split_hdu
from claran.io.silencing import without_warnings
from claran.sky.file_kinds import file_kind, wrong_kind
from claran.sky.fits_files import (
    UNPACK,
    Hdu,
    check_hdu,
    image_header,
    naming_damage,
    unpacked_limit,
    walk_hdus,
)
from claran.sky.hdu_choice import choose_image, cube_message, wrong_shape
from claran.sky.header_cards import card_number, header_text

__all__ = ["FitsPlane", "open_plane"]

TYPES = {8: "u1", 16: ">i2", 32: ">i4", 64: ">i8", -32: ">f4", -64: ">f8"}
Stamp = tuple[int, int]  # Size and time of the last change of a file.


@dataclasses.dataclass(frozen=True, eq=False)
class FitsPlane:
    """An image of two axes in a FITS file; it can be sent to other processes.

    Nothing is kept open or in memory, so that any number of threads may read.

    Attributes:
        path: The file that was named.
        plain: The file that is read: the same, or what was unpacked from it.
        stamps: Sizes of both, and the times of their last changes.
        index: Number of the HDU.
        axes: Shape of the array, with axes of length 1 before the last two.
        start: Where its data are in the file, bytes.
        cards: The header as text, which is the same in each process.
        is_tiled: Whether it is a compressed image.
        notes: What the user should know about the choice of the HDU.
    """

    path: Path
    plain: Path
    stamps: tuple[Stamp, Stamp]
    index: int
    axes: tuple[int, ...]
    start: int
    cards: str
    is_tiled: bool
    notes: tuple[str, ...]

    @property
    def shape(self) -> tuple[int, int]:
        """`(ny, nx)`."""
        return self.axes[-2], self.axes[-1]

    @property
    def header(self) -> fits.Header:
        """The header, parsed anew."""
        return fits.Header.fromstring(self.cards)

    @property
    def fingerprint(self) -> str:
        """Hash of what tells the file and its content from others."""
        own = (str(self.path), self.stamps[0], self.index, self.cards)
        return hashlib.sha256(repr(own).encode(errors="surrogateescape")).hexdigest()

    def read(self, rows: slice, columns: slice) -> Float32[np.ndarray, "h w"]:
        """Returns a part of the image, as `claran.sky.images` reads it but for blanks.

        Args:
            rows: Rows with start and stop inside the image.
            columns: Columns likewise.

        Raises:
            ImageError: The file has vanished, or is not what it was.
        """
        for path, stamp in zip((self.path, self.plain), self.stamps, strict=True):
            self._check(path, stamp)
        try:
            if self.is_tiled:
                return self._tiles(rows, columns)
            header = self.header
            raw = self._stored(rows, columns, header)
        except OSError as error:
            raise unreadable(str(self.path), error) from None
        return _scaled(raw, header)

    def _check(self, path: Path, stamp: Stamp) -> None:
        try:
            now = _stamp(path)
        except OSError:
            raise ImageError(
                f"{path}: was there and is no longer; put it back, and run the same "
                "command again."
            ) from None
        if now != stamp:
            raise ImageError(
                f"{path}: was changed while it was read; start again, with another "
                "--output."
            )

    def _stored(self, rows: slice, columns: slice, header: fits.Header) -> np.ndarray:
        """Returns numbers of the file, in their own type.

        They are read and not mapped: a file that becomes shorter would end the process,
        and mapped pages count as its memory.
        """
        dtype = np.dtype(TYPES[int(card_number(header, "BITPIX"))])
        width = self.axes[-1]
        height, taken = rows.stop - rows.start, columns.stop - columns.start
        found = np.empty((height, taken), dtype)
        first = self.start + (rows.start * width + columns.start) * dtype.itemsize
        with self.plain.open("rb", buffering=0) as file:
            if taken == width:
                lines = [(first, found.reshape(-1))]
            else:
                step = width * dtype.itemsize
                lines = [(first + i * step, line) for i, line in enumerate(found)]
            for place, line in lines:
                file.seek(place)
                _fill(file, memoryview(line).cast("B"), self.path)
        return found

    def _tiles(self, rows: slice, columns: slice) -> Float32[np.ndarray, "h w"]:
        with (
            naming_damage(str(self.path)),
            without_warnings(),
            self.plain.open("rb") as stream,
            fits.open(stream, memmap=False, lazy_load_hdus=True) as hdus,
        ):
            hdu: Any = hdus[self.index]
            part = hdu.section[(*(0,) * (len(self.axes) - 2), rows, columns)]
        return np.asarray(part, np.float32)


def open_plane(path: str | os.PathLike, *, scratch: Path) -> FitsPlane:
    """Returns the image in a FITS file, to be read by parts.

    The HDU is chosen as by `claran.sky.fits_files.read_fits`. A file packed by gzip,
    bzip2 or xz is unpacked into the scratch folder, unless that was done before.

    Args:
        path: The file, with the number or name of an HDU in brackets if need be.
        scratch: Folder for unpacked files; made if need be.

    Raises:
        ImageError: The file is missing, damaged, not FITS, or has no image of two axes.
    """
    file, wanted = split_hdu(Path(path))
    label = str(path)
    require_file(file)
    try:
        plain = _plain(file, label, scratch)
        with plain.open("rb") as stream:
            size = plain.stat().st_size
            hdus = list(walk_hdus(stream, size, label))
            index, note = choose_image([hdu.plane for hdu in hdus], label, wanted)
            hdu = hdus[index]
            axes = _axes(hdu, label)
            check_hdu(hdu, stream, label)
            cards = header_text(image_header(stream, hdu, index, label))
        stamps = (_stamp(file), _stamp(plain))
    except ImageError:
        raise
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path.
        raise unreadable(label, error) from None
    return FitsPlane(
        path=file.absolute(), plain=plain.absolute(), stamps=stamps, index=index,
        axes=axes, start=hdu.start, cards=cards, is_tiled=hdu.is_tiled,
        notes=(note,) if note else (),
    )  # fmt: skip


def _axes(hdu: Hdu, label: str) -> tuple[int, ...]:
    axes = hdu.plane.shape or ()
    if len(axes) < 2 or 0 in axes:
        raise ImageError(wrong_shape(label, axes))
    if max(axes[:-2], default=1) > 1:
        raise ImageError(cube_message(label, axes))
    return axes


def _stamp(path: Path) -> Stamp:
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def _plain(file: Path, label: str, scratch: Path) -> Path:
    """Returns the file itself, or the file that was unpacked from it."""
    with file.open("rb") as stream:
        start = stream.read(512)
        if start.startswith(b"SIMPLE"):
            return file
        unpack = UNPACK.get(file_kind(start))
        if unpack is None:
            raise ImageError(wrong_kind(start, label, wanted="FITS"))
        key = f"{file.absolute()} {_stamp(file)}"
        name = hashlib.sha256(os.fsencode(key)).hexdigest()[:24]
        plain = scratch / f"{name}.fits"
        if plain.is_file():
            return plain
        stream.seek(0)
        limit = unpacked_limit(file.stat().st_size)
        try:
            with unpack(stream, "rb") as packed:
                replace_file(plain, lambda part: _unpack(packed, part, limit, label))
        except (ImageError, MemoryError):
            raise
        except Exception as error:  # Many are about damaged files.
            if isinstance(error, OSError) and error.errno is not None:
                raise ImageError(
                    f"{label}: cannot be unpacked into {scratch} ({error.strerror}); "
                    "make room there, or unpack it yourself."
                ) from None
            raise ImageError(wrong_kind(b"", label, wanted="FITS")) from None
    return plain


def _unpack(packed: Any, target: Path, limit: int, label: str) -> None:
    with target.open("wb") as sink:
        for _ in walk_hdus(packed, limit, label, sink):
            pass


def _fill(file: Any, buffer: memoryview, path: Path) -> None:
    """Reads until the buffer is full."""
    while len(buffer):
        count = file.readinto(buffer)
        if not count:
            raise ImageError(f"{path}: ends too early; fetch it again.")
        buffer = buffer[count:]


def _scaled(raw: np.ndarray, header: fits.Header) -> Float32[np.ndarray, "h w"]:
    """Returns numbers of a file in its unit, as Astropy computes them."""
    scale, zero = (
        default if np.isnan(value := card_number(header, key)) else value
        for key, default in (("BSCALE", 1.0), ("BZERO", 0.0))
    )
    native = raw.dtype.newbyteorder("=")
    if native == np.float32 and scale == 1 and zero == 0:
        return raw.byteswap(inplace=True).view(native) if raw.dtype != native else raw
    whole = native.kind in "iu"
    values = raw.astype(np.float32 if native.itemsize <= 2 else np.float64)
    if native == np.float32:
        values = raw.astype(native)
    if scale != 1:
        values *= scale
    if zero != 0:
        values += zero
    blank = card_number(header, "BLANK")
    if whole and np.isfinite(blank):
        values[raw == blank] = np.nan
    return values.astype(np.float32, copy=False)
