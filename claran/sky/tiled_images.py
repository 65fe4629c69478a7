"""Checks of tile-compressed FITS images, before a decoder in C sees them.

Astropy's decoders trust the header: one changed digit in ZNAXIS2 makes the decoder of
HCOMPRESS write beyond its memory, which ends the whole program.
"""

import math
import re
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Int

from claran.errors import ImageError

__all__ = ["check_tiles"]

KINDS = (
    "RICE_1",
    "RICE_ONE",
    "GZIP_1",
    "GZIP_2",
    "HCOMPRESS_1",
    "PLIO_1",
    "NOCOMPRESS",
)
BITS = ("8", "16", "32", "64", "-32", "-64")
MOST_PIXELS = 1000  # For each byte of the file: a tile may be all of one value.
SMALL = 2**24  # Pixels that any file may have.
COLUMN = re.compile(r"(\d*)([A-Z])([A-Z]?)")
ITEM_BYTES = {
    "L": 1, "B": 1, "A": 1, "I": 2, "J": 4, "K": 8, "E": 4, "D": 8, "P": 8, "Q": 16,
    "C": 8, "M": 16,
}  # fmt: skip


def check_tiles(cards: Mapping[str, str], stream: Any, start: int, label: str) -> None:
    """Checks that the tiles of a compressed image are what its header says.

    Args:
        cards: Values of the header of the table, as text.
        stream: The file.
        start: Where the table begins, bytes.
        label: Name of the file, for messages.

    Raises:
        ImageError: They are not.
    """
    try:
        fault = _fault(cards, stream, start)
    except (KeyError, ValueError, OverflowError) as error:
        fault = f"its header lacks {error}"
    if fault:
        raise ImageError(
            f"{label}: the compressed image is damaged, as {fault}; fetch it again."
        )


def _fault(cards: Mapping[str, str], stream: Any, start: int) -> str:
    """Returns what is wrong with a compressed image; "" if nothing is."""
    shape = [int(cards[f"ZNAXIS{i + 1}"]) for i in range(int(cards["ZNAXIS"]))]
    tile = [
        int(cards.get(f"ZTILE{i + 1}", str(side) if i == 0 else "1"))
        for i, side in enumerate(shape)
    ]
    if not shape or min(shape) < 1 or min(tile) < 1:
        return f"its axes are {shape} and its tiles {tile}"
    rows, width = int(cards["NAXIS2"]), int(cards["NAXIS1"])
    heap = int(cards["PCOUNT"])
    counts = [math.ceil(a / b) for a, b in zip(shape, tile, strict=True)]
    if math.prod(counts) != rows:
        return f"{shape} pixels in tiles of {tile} do not make {rows} tiles"
    pixels = math.prod(shape)
    if pixels > max(SMALL, MOST_PIXELS * (rows * width + heap)):
        return f"{pixels} pixels cannot be in {rows * width + heap} bytes"
    fault = _settings_fault(cards)
    if fault:
        return fault
    stream.seek(start)
    table = np.frombuffer(stream.read(rows * width), np.uint8).reshape(rows, width)
    begin = int(cards.get("THEAP", str(rows * width)))
    gap = begin - rows * width
    if not 0 <= gap <= heap:
        return f"THEAP is {begin}"
    heap_bytes = _Heap(stream, start + begin, heap - gap)
    return _column_fault(cards, table, heap_bytes, _tile_shapes(shape, tile, counts))


class _Heap:
    """The bytes of the tiles, which are read one by one, as there may be many."""

    def __init__(self, stream: Any, start: int, length: int) -> None:
        stream.seek(0, 2)
        end = stream.tell()  # Astropy's files return nothing from `seek`.
        self._stream, self._start = stream, start
        self._length = max(0, min(length, end - start))

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, part: slice) -> bytes:
        self._stream.seek(self._start + part.start)
        return self._stream.read(part.stop - part.start)


def _settings_fault(cards: Mapping[str, str]) -> str:
    """Returns what is wrong with an algorithm and its parameters."""
    kind, bits = cards["ZCMPTYPE"], cards["ZBITPIX"]
    if kind not in KINDS or bits not in BITS:
        return f"ZCMPTYPE = {kind!r} and ZBITPIX = {bits!r} are unknown"
    settings = {}
    number = 1
    while f"ZNAME{number}" in cards:
        settings.setdefault(cards[f"ZNAME{number}"].upper(), cards[f"ZVAL{number}"])
        number += 1
    if kind.startswith("RICE"):
        block, width = settings.get("BLOCKSIZE", "32"), settings.get("BYTEPIX", "4")
        if block not in ("16", "32") or width not in ("1", "2", "4"):
            return f"BLOCKSIZE = {block} and BYTEPIX = {width}"
    if kind == "HCOMPRESS_1":
        scale, smooth = settings.get("SCALE", "0"), settings.get("SMOOTH", "0")
        if not abs(float(scale)) < 2**31 or smooth not in ("0", "1"):
            return f"SCALE = {scale} and SMOOTH = {smooth}"
    return ""


def _tile_shapes(
    shape: list[int], tile: list[int], counts: list[int]
) -> Int[np.ndarray, "n axes"]:
    """Returns the lengths of each tile, the fastest axis first."""
    # Tiles follow each other along the first axis.
    place = np.indices(counts[::-1]).reshape(len(counts), -1)[::-1].T
    return np.minimum(tile, np.array(shape) - place * tile)


def _column_fault(
    cards: Mapping[str, str],
    table: np.ndarray,
    heap: _Heap,
    shapes: Int[np.ndarray, "n axes"],
) -> str:
    """Returns what is wrong with the columns that hold tiles."""
    offset = 0
    seen = []
    for number in range(1, int(cards["TFIELDS"]) + 1):
        found = COLUMN.match(cards[f"TFORM{number}"])
        if found is None or found[2] not in ITEM_BYTES:
            return f"TFORM{number} = {cards[f'TFORM{number}']!r}"
        repeat, form, item = int(found[1] or 1), found[2], found[3]
        name = cards.get(f"TTYPE{number}", "")
        if name.endswith("COMPRESSED_DATA"):
            if form not in "PQ" or repeat != 1 or item not in ITEM_BYTES:
                return f"TFORM{number} = {cards[f'TFORM{number}']!r}"
            size = ITEM_BYTES[form]
            raw = np.ascontiguousarray(table[:, offset : offset + size])
            where = raw.view(">i4" if form == "P" else ">i8").astype(np.int64)
            own = {
                "GZIP_COMPRESSED_DATA": "GZIP_1",
                "COMPRESSED_DATA": cards["ZCMPTYPE"],
            }
            fault = _tiles_fault(
                own.get(name, ""), where, ITEM_BYTES[item], heap, shapes
            )
            if fault:
                return fault
            seen.append(name)
        offset += repeat * ITEM_BYTES[form]
    if offset != table.shape[1]:
        return f"its columns have {offset} bytes and its rows {table.shape[1]}"
    return "" if "COMPRESSED_DATA" in seen else "it has no column COMPRESSED_DATA"


def _tiles_fault(
    kind: str,
    where: Int[np.ndarray, "n 2"],
    item: int,
    heap: _Heap,
    shapes: Int[np.ndarray, "n axes"],
) -> str:
    """Returns what is wrong with the bytes of the tiles in a column."""
    count, begin = where.T
    if (where < 0).any() or (begin + count * item > len(heap)).any():
        return "a tile lies beyond the end of the data"
    for row in np.flatnonzero(count):
        tile = heap[begin[row] : begin[row] + count[row] * item]
        fault = ""
        if kind.startswith("GZIP"):
            fault = _gzip_fault(tile, 8 * int(shapes[row].prod()))
        elif kind == "HCOMPRESS_1":
            fault = _hcompress_fault(
                tile, [int(side) for side in shapes[row][::-1] if side != 1]
            )
        elif kind == "PLIO_1":
            fault = _plio_fault(tile, item)
        if fault:
            return f"tile {row + 1} {fault}"
    return ""


def _gzip_fault(tile: bytes, largest: int) -> str:
    """Returns whether a tile unpacks to more than its pixels, without unpacking it."""
    if len(tile) * 1100 <= max(largest, SMALL):  # Gzip packs a thousandfold at most.
        return ""
    unpacked = zlib.decompressobj(31)
    found = len(unpacked.decompress(tile, largest + 1))
    more = found > largest or bool(unpacked.unused_data.strip(b"\0"))
    return "unpacks to more than its pixels" if more else ""


def _hcompress_fault(tile: bytes, shape: list[int]) -> str:
    """Returns whether the header of a tile of HCOMPRESS has another shape."""
    if len(tile) < 25 or tile[:2] != b"\xdd\x99":
        return "has no header"
    inside = [int.from_bytes(tile[i : i + 4]) for i in (2, 6)]
    planes = max(tile[22:25])
    if inside != shape or planes > 64:
        return f"has {inside} pixels in {planes} planes, and not {shape}"
    return ""


def _plio_fault(tile: bytes, item: int) -> str:
    """Returns whether a line list of PLIO claims to be longer than it is."""
    words = np.frombuffer(tile[: len(tile) // 2 * 2], ">i2")
    if item != 2 or len(words) < 5:
        return "is too short"
    length = int(words[2]) if words[2] > 0 else (int(words[4]) << 15) + int(words[3])
    first = 3 if words[2] > 0 else int(words[1])
    return "" if 3 <= first and length <= len(words) else "is shorter than it says"
