"""Damage to bytes, FITS headers and archives; every choice is the generator's."""

import io
import re
import zipfile
from typing import Any

import numpy as np

Rng = np.random.Generator
CARD, BLOCK = 80, 2880

NUMBERS = (
    "-1", "0", "1", "2", "3", "7", "1024", "10000", "2147483648", "-2147483649",
    "9223372036854775808", "99999999999999999999", "1E300", "-1E300", "1E-300",
    "1D300", "NaN", "Inf", "-Inf", "0.1E", "91.0", "-90.0", "360.0", "1950.0", "1E5",
    "-64", "16", "(1.0, 2.0)",
)  # fmt: skip
TEXTS = (
    "''", "'text'", "'NaN'", "'1.5E-3'", "'deg'", "'J2000'", "'RA---TAN'", "'GLAT-CAR'",
    "'HPLN-TAN'", "'ELON-CAR'", "'FREQ'", "'../../x'", "'open", "T", "F", "", "''''",
    "'mJy/beam'", "'Jy/beam km/s (('", "'\x00'", "'\xe9\xff'", "'$x_1$'",
)  # fmt: skip
KEYWORDS = (
    "SIMPLE", "BITPIX", "NAXIS", "NAXIS1", "NAXIS2", "NAXIS3", "BSCALE", "BZERO",
    "BLANK", "CRVAL1", "CRVAL2", "CRPIX1", "CRPIX2", "CDELT1", "CDELT2", "CTYPE1",
    "CTYPE2", "CUNIT1", "CD1_1", "CD1_2", "PC1_1", "PC2_2", "CROTA2", "EQUINOX",
    "RADESYS", "BMAJ", "BMIN", "BPA", "BUNIT", "LONPOLE", "LATPOLE", "PV1_1", "PV2_1",
    "A_ORDER", "B_ORDER", "A_2_0", "AP_ORDER", "CPDIS1", "WCSAXES", "EXTEND", "GROUPS",
    "PCOUNT", "GCOUNT", "DATE-OBS", "MJD-OBS", "RESTFRQ", "SPECSYS", "HISTORY",
    "CONTINUE", "XTENSION", "TFIELDS", "TFORM1", "TTYPE1", "THEAP", "TDIM1", "ZIMAGE",
    "ZCMPTYPE", "ZBITPIX", "ZNAXIS", "ZNAXIS1", "ZNAXIS2", "ZTILE1", "ZTILE2", "ZVAL1",
    "ZNAME1", "ZQUANTIZ", "ZDITHER0", "ZSCALE", "ZZERO", "ZBLANK", "TELESCOP", "SURVEY",
)  # fmt: skip


def pick(rng: Rng, choices: Any) -> Any:
    """Returns one of a sequence."""
    return choices[int(rng.integers(len(choices)))]


def damage_bytes(rng: Rng, data: bytes) -> tuple[bytes, str]:
    """Returns bytes with one to four faults, and what they are."""
    notes = []
    for _ in range(int(rng.integers(1, 5))):
        data, note = _one_fault(rng, data)
        notes.append(note)
    return data, ", ".join(notes)


def _one_fault(rng: Rng, data: bytes) -> tuple[bytes, str]:
    if not data:
        return bytes(rng.bytes(8)), "filled an empty file"
    fault = pick(rng, ("flip", "insert", "delete", "cut", "repeat", "zeros", "ones"))
    # Most faults are in the first blocks, where headers are.
    reach = len(data) if rng.random() < 0.5 else min(len(data), 4 * BLOCK)
    start, size = int(rng.integers(reach)), int(2 ** rng.uniform(0, 9))
    note = f"{fault} at {start}"
    before, part, after = data[:start], data[start : start + size], data[start + size :]
    if fault == "flip":
        bit = 1 << int(rng.integers(8))
        return before + bytes([data[start] ^ bit]) + data[start + 1 :], note
    if fault == "cut":
        return before, note
    part = {
        "insert": bytes(rng.bytes(size)) + part, "delete": b"", "repeat": part + part,
        "zeros": bytes(len(part)), "ones": b"\xff" * len(part),
    }[fault]  # fmt: skip
    return before + part + after, f"{note}, {size} bytes"


def headers(data: bytes) -> list[tuple[int, int]]:
    """Returns start and end of each FITS header, as far as they can be followed."""
    found, start = [], 0
    while data[start : start + 6] in (b"SIMPLE", b"XTENSI"):
        stop = start
        while stop < len(data) and data[stop : stop + CARD].rstrip() != b"END":
            stop += CARD
        stop = start + -(-(stop + CARD - start) // BLOCK) * BLOCK
        found.append((start, stop))
        start = stop + -(-_data_bytes(data[start:stop]) // BLOCK) * BLOCK
    return found


def _data_bytes(header: bytes) -> int:
    def value(name: str, default: int) -> int:
        match = re.search(rf"{name:8}= +(-?\d+)".encode(), header)
        return int(match[1]) if match else default

    count = min(value("NAXIS", 0), 999)  # The standard has no more.
    axes = [value(f"NAXIS{i + 1}", 0) for i in range(count)]
    pixels = int(np.prod(axes, dtype=object)) if axes else 0
    return max(0, abs(value("BITPIX", 8)) // 8 * (pixels + value("PCOUNT", 0)))


def damage_cards(rng: Rng, data: bytes) -> tuple[bytes, str]:
    """Returns a FITS file with one to three damaged cards, and what they are."""
    notes = []
    for _ in range(pick(rng, (1, 1, 1, 2, 3))):
        places = headers(data)
        if not places:
            break
        start, stop = pick(rng, places)
        cards = [data[i : i + CARD] for i in range(start, stop, CARD)]
        end = next((i for i, c in enumerate(cards) if c.rstrip() == b"END"), -1)
        cards, note = _damage_card(rng, cards[:end] or [b" " * CARD])
        header = b"".join([*cards, b"END".ljust(CARD)])
        header = header.ljust(-(-len(header) // BLOCK) * BLOCK)
        data = data[:start] + header + data[stop:]
        notes.append(note)
    return data, ", ".join(notes)


def _damage_card(rng: Rng, cards: list[bytes]) -> tuple[list[bytes], str]:
    fault = pick(rng, ("value", "value", "value", "add", "delete", "copy", "swap",
                       "shape"))  # fmt: skip
    place = int(rng.integers(len(cards)))
    name = cards[place][:8].decode("latin-1").strip()
    if fault == "value":
        cards[place], note = _card(rng, name)
        return cards, note
    if fault == "add":
        card, note = _card(rng, pick(rng, KEYWORDS))
        return [*cards[: place + 1], card, *cards[place + 1 :]], f"added {note}"
    if fault == "delete":
        return cards[:place] + cards[place + 1 :], f"without {name}"
    if fault == "shape":
        return _reshape(rng, cards)
    other = int(rng.integers(len(cards)))
    copied = cards[place]
    if fault == "swap":
        cards[place] = cards[other]
    cards[other] = copied
    return cards, f"{fault} {name} to card {other}"


def _card(rng: Rng, name: str) -> tuple[bytes, str]:
    value = pick(rng, NUMBERS if rng.random() < 0.7 else TEXTS)
    text = f"{name:8}= {value:>20}" if value[:1] != "'" else f"{name:8}= {value}"
    return text.encode("latin-1")[:CARD].ljust(CARD), f"{name} = {value}"


def _reshape(rng: Rng, cards: list[bytes]) -> tuple[list[bytes], str]:
    """Returns cards of the same number of pixels in another shape."""
    rows = pick(rng, (1, 2, 4, 16, 256, 4096))
    sizes = {b"NAXIS1  ": 4096 // rows, b"NAXIS2  ": rows}
    for i, card in enumerate(cards):
        if card[:8] in sizes:
            cards[i] = card[:8] + f"= {sizes[card[:8]]:>20}".encode().ljust(CARD - 8)
    return cards, f"{4096 // rows} x {rows} pixels"


def damage_archive(rng: Rng, data: bytes, damage_text: Any) -> tuple[bytes, str]:
    """Returns a zip file with one damaged member, and how.

    Args:
        rng: The generator.
        data: The file.
        damage_text: Damages the text of a `.json` member.
    """
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = pick(rng, sorted(members))
    fault = pick(rng, ("content", "content", "content", "delete", "rename", "empty"))
    note = f"{fault} of {name}"
    content = members.pop(name)
    if fault == "content" and name.endswith(".json") and rng.random() < 0.8:
        text, how = damage_text(rng, content.decode())
        members[name], note = text, f"{note}: {how}"
    elif fault == "content":
        members[name], how = damage_bytes(rng, content)
        note = f"{note}: {how}"
    elif fault == "rename":
        members[pick(rng, ("../../x", "/x", "x", f"{name}/"))] = content
    elif fault == "empty":
        members[name] = b""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for member in sorted(members):  # With the date of 1980, so that bytes repeat.
            archive.writestr(zipfile.ZipInfo(member), members[member])
    return out.getvalue(), note
