"""The kinds `fits`, `headers`, `compressed` and `pictures`: damaged images."""

import gzip
import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from astropy.table import Table

from claran import predict_files, read_field
from claran.catalog.tables import write_table
from claran.data.sources import open_source
from claran.fields.reading import read_picture_field
from fuzzing import tools
from fuzzing.damage import Rng, damage_bytes, damage_cards, pick
from fuzzing.fits_seeds import COMPRESSED, SEEDS, fits_seed
from fuzzing.sense import Case, Nonsense, check_field, check_table

USES = ("many",) * 5 + ("one", "one", "infrared", "labels", "labels")
ENDINGS = (".ecsv", ".csv", ".fits", ".vot")


def make_fits(rng: Rng) -> Case:
    """Returns an image with damaged bytes or odd pixels."""
    name = pick(rng, sorted(SEEDS))
    if rng.random() < 0.3:
        data, note = _odd_pixels(rng, fits_seed(name))
    else:
        data, note = damage_bytes(rng, fits_seed(name))
    return _case(rng, data, f"{name}: {note}", ".fits")


def make_headers(rng: Rng) -> Case:
    """Returns an image with damaged cards."""
    name = pick(rng, sorted(SEEDS))
    data, note = damage_cards(rng, fits_seed(name))
    return _case(rng, data, f"{name}: {note}", ".fits")


def make_compressed(rng: Rng) -> Case:
    """Returns a compressed image with damage inside or outside."""
    name = pick(rng, sorted(COMPRESSED))
    data, packed = fits_seed(name), name.startswith("gz")
    inside = rng.random() < 0.6
    if packed and inside:
        data = gzip.decompress(data)
    data, note = (damage_cards if inside else damage_bytes)(rng, data)
    if packed and inside:
        data = gzip.compress(data, mtime=0)
    if packed and rng.random() < 0.03:
        # Members follow one another: 16 kB for each 16 MB.
        data += gzip.compress(bytes(2**24), mtime=0) * int(2 ** rng.uniform(0, 8))
        note += ", and zeros that unpack a thousandfold"
    return _case(rng, data, f"{name}: {note}", ".fits.gz" if packed else ".fits.fz")


def _case(rng: Rng, data: bytes, note: str, ending: str) -> Case:
    how = pick(rng, USES)
    return Case(
        files={f"damaged{ending}": data, "good.fits": fits_seed("plain")},
        note=f"{how}, {note}", how=how,
    )  # fmt: skip


def _odd_pixels(rng: Rng, data: bytes) -> tuple[bytes, str]:
    """Returns an image whose pixels, or a part of them, are unlike those of the sky."""
    values = pick(rng, (
        np.nan, np.inf, -np.inf, 0.0, 1.0, 1e38, -1e38, 3e38, 1e-38, 1e-45, -9999.0,
        1e20, 255.0,
    ))  # fmt: skip
    part = pick(rng, ("all", "half", "half", "rows", "pixel", "most", "scaled"))
    with fits.open(io.BytesIO(data)) as opened:
        hdus: Any = opened
        hdu = next(one for one in hdus if one.header.get("NAXIS", 0) > 1)
        pixels = np.array(hdu.data, np.float64)
        flat = pixels.reshape(-1)
        with np.errstate(all="ignore"):
            chosen = {
                "all": slice(None), "half": slice(0, flat.size // 2),
                "rows": slice(640, 1280), "pixel": slice(2000, 2001),
                "most": rng.random(flat.size) < 0.95, "scaled": slice(0, 0),
            }[part]  # fmt: skip
            flat[chosen] = values
            pixels = pixels * values if part == "scaled" else pixels
            header = hdu.header.copy()
            for name in ("BSCALE", "BZERO", "BLANK"):
                header.remove(name, ignore_missing=True)
            file = io.BytesIO()
            fits.PrimaryHDU(pixels.astype("f4"), header).writeto(file)
    return file.getvalue(), f"{values} in {part} of the pixels"


def make_pictures(rng: Rng) -> Case:
    """Returns a damaged picture, as infrared image or as a field."""
    ending, how = (
        pick(rng, (".png", ".png", ".jpg", ".tif")),
        pick(rng, ("ir", "alone")),
    )
    if ending == ".png" and rng.random() < 0.2:
        data, note = _sized_png(rng)
    else:
        data, note = damage_bytes(rng, tools.picture(ending))
    files = {f"damaged{ending}": data, "good.png": tools.picture(".png")}
    if how == "ir":
        files |= {"first.fits": fits_seed("plain"), "good.fits": fits_seed("plain")}
    return Case(files=files, note=f"{how}, {ending}: {note}", how=how)


def _sized_png(rng: Rng) -> tuple[bytes, str]:
    """Returns a black PNG of any size, of one bit a pixel; it may lack its end."""
    sides = (0, 1, 2, 100, 4096, 20000, 2**31 - 1, 2**32 - 1)
    width, height = pick(rng, sides), pick(rng, sides)
    rows = min(height, 20000) * (1 + min(width, 20000) // 8)
    content = zlib.compress(bytes(rows), 1)

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    start = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0))
    png = b"\x89PNG\r\n\x1a\n" + start + chunk(b"IDAT", content) + chunk(b"IEND", b"")
    return png, f"{width} x {height} pixels"


def try_image(case: Case, folder: Path) -> None:
    """Detects in a damaged image, and in a good one beside it."""
    tools.write(dict(case.files), folder)
    bad, good = folder / next(iter(case.files)), folder / "good.fits"
    {"many": _many, "one": _one, "infrared": _infrared, "labels": _labels}[case.how](
        bad, good
    )


def try_picture(case: Case, folder: Path) -> None:
    """Detects in a field with a damaged infrared picture, or in a damaged picture."""
    tools.write(dict(case.files), folder)
    bad, output = folder / next(iter(case.files)), folder / "out.ecsv"
    if case.how == "ir":
        first, good = folder / "first.fits", folder / "good.fits"
        pairs = {first: bad, good: folder / "good.png"}
        found = predict_files(
            tools.detector(), [first, good], output, infrared=pairs, tell=tools.ignore
        )
        check_table(found.table, {p.name: read_field(p) for p in pairs})
        return
    good = folder / "good.png"
    found = predict_files(
        tools.picture_detector(), [bad, good], output, pictures=True,
        score_threshold=0.0, tell=tools.ignore,
    )  # fmt: skip
    fields = {good.name: read_picture_field(good)}
    if bad.name not in found.skipped:
        fields[bad.name] = read_picture_field(bad)
    check_table(found.table, fields)


def _many(bad: Path, good: Path) -> None:
    output = bad.with_name("out.ecsv")
    try:
        found = predict_files(tools.detector(), [bad, good], output, tell=tools.ignore)
    except (ValueError, OSError) as error:
        raise Nonsense(f"one file ended predict for all: {error}") from error
    if not np.array_equal(tools.boxes_of(found.table, good.name), tools.good_boxes()):
        raise Nonsense("the good file beside it has other detections")
    fields = {good.name: read_field(good)}
    if bad.name not in found.skipped:
        fields[bad.name] = read_field(bad)
    check_table(found.table, fields)


def _one(bad: Path, _: Path) -> None:
    field = read_field(bad)
    table = tools.detector().detect(field, score_threshold=0.05)
    check_table(table, {field.name: field})
    output = bad.with_name(f"out{ENDINGS[len(bad.read_bytes()) % len(ENDINGS)]}")
    write_table(table, output)
    if len(Table.read(output)) != len(table):
        raise Nonsense(f"{output.suffix} has other rows than the table")


def _infrared(bad: Path, good: Path) -> None:
    field = read_field(good, bad)
    check_table(
        tools.detector().detect(field, score_threshold=0.05), {field.name: field}
    )


def _labels(bad: Path, good: Path) -> None:
    name = bad.name.split(".")[0]
    lines = tools.LABELS.replace("field0.fits", "").replace("field0", name)
    table = bad.with_name("annotations.csv")
    table.write_text(lines.replace("field1", "good"), "utf-8")
    for split in ("all", "test"):
        source = open_source(bad.parent, split)
        for number in range(len(source)):
            check_field(source[number].measure(), len(source.class_names))
    if good.name.split(".")[0] not in {source[i].name for i in range(len(source))}:
        raise Nonsense("the good field beside it is missing")
