"""A plane of a FITS file that is read by parts, whatever the size of the file."""

import dataclasses
import hashlib
import os
from collections.abc import Callable
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
    check_hdu,
    image_header,
    naming_damage,
    unpacked_limit,
    walk_hdus,
)
from claran.sky.hdu_choice import choose_image, cube_message, wrong_shape
from claran.sky.hdu_headers import Hdu
from claran.sky.header_cards import card_number, header_text

__all__ = ["FitsPlane", "open_plane"]

TYPES = {"8": "u1", "16": ">i2", "32": ">i4", "64": ">i8", "-32": ">f4", "-64": ">f8"}
UNPACKED = "<f4"  # Of the pixels of a compressed image.
TOGETHER = 2**22  # Pixels that are decompressed at once.
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
        cards: The header as text, which is the same in each process.
        shape: `(ny, nx)`.
        start: Where the pixels are in the file that is read, bytes.
        dtype: Their type.
        scaling: `BSCALE`, `BZERO` and `BLANK` of the header, NaN without the last.
        notes: What the user should know about the choice of the HDU.
    """

    path: Path
    plain: Path
    stamps: tuple[Stamp, Stamp]
    index: int
    cards: str
    shape: tuple[int, int]
    start: int
    dtype: str
    scaling: tuple[float, float, float]
    notes: tuple[str, ...]

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
            raw = self._stored(rows, columns)
        except OSError as error:
            raise unreadable(str(self.path), error) from None
        return _scaled(raw, *self.scaling)

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

    def _stored(self, rows: slice, columns: slice) -> np.ndarray:
        """Returns numbers of the file, in their own type.

        They are read and not mapped: a file that becomes shorter would end the process,
        and mapped pages count as its memory.
        """
        dtype, width = np.dtype(self.dtype), self.shape[1]
        height, taken = rows.stop - rows.start, columns.stop - columns.start
        found: Any = np.empty((height, taken), dtype)
        first = self.start + (rows.start * width + columns.start) * dtype.itemsize
        with self.plain.open("rb", buffering=0) as file:
            lines = 1 if taken == width else height
            step, length = width * dtype.itemsize, found.nbytes // lines
            target = memoryview(found).cast("B")
            for line in range(lines):
                file.seek(first + line * step)
                _fill(file, target[line * length : (line + 1) * length], self.path)
        return found


def open_plane(path: str | os.PathLike, *, scratch: Path) -> FitsPlane:
    """Returns the image in a FITS file, to be read by parts.

    The HDU is chosen as by `claran.sky.fits_files.read_fits`. A file packed by gzip,
    bzip2 or xz, or compressed by tiles as `.fits.fz`, is unpacked into the scratch
    folder, unless that was done before: most tiles are rows over the whole width, which
    would be decompressed again for each part.

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
            hdus = list(walk_hdus(stream, plain.stat().st_size, label))
            index, note = choose_image([hdu.plane for hdu in hdus], label, wanted)
            hdu = hdus[index]
            axes = _axes(hdu, label)
            check_hdu(hdu, stream, label)
            with without_warnings():
                header = image_header(stream, hdu, index, label)
        start, dtype = hdu.start, TYPES.get(bits := hdu.cards.get("BITPIX", ""))
        if dtype is None:
            raise ImageError(
                f"{label}: is damaged, BITPIX = {bits} in its header; fetch it again."
            )
        scaling = _scaling(header)
        if hdu.is_tiled:
            start, dtype, scaling = 0, UNPACKED, (1.0, 0.0, np.nan)
            plain = _decompressed(plain, index, axes, label, scratch)
        stamps = (_stamp(file), _stamp(plain))
    except ImageError:
        raise
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path.
        raise unreadable(label, error) from None
    return FitsPlane(
        path=file.absolute(), plain=plain.absolute(), stamps=stamps, index=index,
        cards=header_text(header), shape=(axes[-2], axes[-1]), start=start,
        dtype=dtype, scaling=scaling, notes=(note,) if note else (),
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
        stream.seek(0)
        limit = unpacked_limit(file.stat().st_size)

        def write(partial: Path) -> None:
            with unpack(stream, "rb") as packed:
                _unpack(packed, partial, limit, label)

        return _made(scratch / f"{_key(file)}.fits", write, label)


def _decompressed(
    plain: Path, index: int, axes: tuple[int, ...], label: str, scratch: Path
) -> Path:
    """Returns a file with the pixels of a compressed image, row by row."""

    def write(partial: Path) -> None:
        with (
            naming_damage(label), without_warnings(), plain.open("rb") as stream,
            partial.open("wb") as sink, fits.open(stream, memmap=False) as hdus,
        ):  # fmt: skip
            hdu: Any = hdus[index]
            height = hdu.tile_shape[-2]  # Whole tiles, so that each is read once.
            step = max(1, TOGETHER // axes[-1] // height) * height
            for start in range(0, axes[-2], step):
                rows = slice(start, min(start + step, axes[-2]))
                part = hdu.section[(*(0,) * (len(axes) - 2), rows, slice(0, axes[-1]))]
                sink.write(np.ascontiguousarray(part, UNPACKED).data)

    return _made(scratch / f"{_key(plain)}-{index}.f4", write, label)


def _key(file: Path) -> str:
    """Returns a name for what is unpacked from a file, until that is changed."""
    own = f"{file.absolute()} {_stamp(file)}"
    return hashlib.sha256(os.fsencode(own)).hexdigest()[:24]


def _made(target: Path, write: Callable[[Path], None], label: str) -> Path:
    """Returns a file that is written unless it is there."""
    if target.is_file():
        return target
    try:
        replace_file(target, write)
    except (ImageError, MemoryError):
        raise
    except Exception as error:  # Many are about damaged files.
        if isinstance(error, OSError) and error.errno is not None:
            raise ImageError(
                f"{label}: cannot be unpacked into {target.parent} ({error.strerror}); "
                "make room there, or unpack it yourself."
            ) from None
        raise ImageError(wrong_kind(b"", label, wanted="FITS")) from None
    return target


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


def _scaling(header: fits.Header) -> tuple[float, float, float]:
    scale, zero, blank = (
        card_number(header, key) for key in ("BSCALE", "BZERO", "BLANK")
    )
    return (
        scale if np.isfinite(scale) else 1.0,
        zero if np.isfinite(zero) else 0.0,
        blank,
    )


def _scaled(
    raw: np.ndarray, scale: float, zero: float, blank: float
) -> Float32[np.ndarray, "h w"]:
    """Returns numbers of a file in its unit, as Astropy computes them."""
    native = raw.dtype.newbyteorder("=")
    if native == np.float32 and scale == 1 and zero == 0:
        return raw.astype(native, copy=False)
    small = native.itemsize <= 2 or native == np.float32
    values = raw.astype(np.float32 if small else np.float64)
    if scale != 1:
        values *= scale
    if zero != 0:
        values += zero
    if native.kind in "iu" and np.isfinite(blank):
        values[raw == blank] = np.nan
    return values.astype(np.float32, copy=False)
