"""What a file is, by its first bytes."""

__all__ = ["file_kind", "is_fits", "is_picture", "wrong_kind"]

KINDS = {
    b"SIMPLE  =": "a FITS file",
    b"\x89PNG": "a PNG picture",
    b"\xff\xd8\xff": "a JPEG picture",
    b"II*\0": "a TIFF picture",
    b"MM\0*": "a TIFF picture",
    b"GIF8": "a GIF picture",
    b"BM": "a BMP picture",
    b"\x1f\x8b": "a gzip file",
    b"BZh": "a bzip2 file",
    b"\xfd7zXZ": "an xz file",
    b"PK\3\4": "a ZIP archive",
    b"\x89HDF": "an HDF5 file",
    b"%PDF": "a PDF document",
    b"# %ECSV": "a table (ECSV)",
    b"<?xml": "an XML file",
}


def file_kind(start: bytes) -> str:
    """Returns what a file is, such as "a PNG picture"; "" if that is not known.

    Args:
        start: Its first bytes; some hundreds are enough.

    >>> file_kind(b"# Notes on the survey")
    'a text file'
    """
    for magic, kind in KINDS.items():
        if start.startswith(magic):
            return kind
    text = start[:512]
    printable = all(32 <= byte < 127 or byte in b"\t\r\n" for byte in text)
    return "a text file" if text and printable else ""


def is_fits(start: bytes) -> bool:
    """Returns whether these are the first bytes of a FITS file, packed or not."""
    packed = ("a gzip file", "a bzip2 file", "an xz file")
    return file_kind(start) in ("a FITS file", *packed)


def is_picture(start: bytes) -> bool:
    """Returns whether these are the first bytes of a picture."""
    return file_kind(start).endswith("picture")


def wrong_kind(start: bytes, label: str, *, wanted: str) -> str:
    """Returns the message about a file of the wrong kind, with the remedy.

    Args:
        start: Its first bytes.
        label: Its name.
        wanted: "FITS" or "picture".
    """
    kind = file_kind(start)
    if wanted == "FITS" and is_picture(start):
        return (
            f"{label}: is {kind}, not a radio image in FITS; give a picture as --image "
            "(in Python `claran.fields.reading.read_picture_field`), or as --ir beside "
            "a radio image."
        )
    if wanted == "FITS" and kind and not is_fits(start):
        return f"{label}: not a FITS file but {kind}; give the FITS image."
    if wanted == "FITS":
        return f"{label}: not a FITS file, or a truncated one; fetch it again."
    if is_fits(start):
        return (
            f"{label}: is {kind}, not a picture (PNG, JPEG, TIFF); give FITS files as "
            "--radio, or name it with the ending .fits if it is an infrared image."
        )
    what = f"{label}: not a picture (PNG, JPEG, TIFF)"
    if kind and not is_picture(start):
        return f"{what} but {kind}; give a picture."
    return f"{what}, or damaged; the name of a FITS file must end in .fits."
