"""Text files of others, in the encodings that occur, and not without a limit."""

import codecs
import json
import os
import re
from pathlib import Path
from typing import Any

from claran.errors import ImageError

__all__ = [
    "CONTROLS",
    "LARGEST_MB",
    "brief",
    "decode",
    "encoding_of",
    "read_content",
    "read_json",
    "read_text",
]

# COCO's JSON takes ten times its size in memory.
LARGEST_MB = 64

# The mark of UTF-32 begins with that of UTF-16. The last two are XML without a mark.
MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    (b"<\0?\0", "utf-16-le"),
    (b"\0<\0?", "utf-16-be"),
)


# Controls would break lines of text files, and halves of characters cannot be written.
CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def brief(text: object, longest: int = 300) -> str:
    """Returns what a file says for a message: one line, cut, without controls.

    >>> brief("a" + chr(10) + "b" + 500 * "c", longest=7)
    'a?bcccc ...'
    """
    line = CONTROLS.sub("?", str(text)[: longest + 1])
    return f"{line[:longest]} ..." if len(line) > longest else line


def encoding_of(start: bytes) -> str:
    """Returns the encoding that a byte order mark says; without one, UTF-8.

    Args:
        start: The first bytes of a file, four or more.
    """
    found = (name for mark, name in MARKS if start.startswith(mark))
    return next(found, "utf-8")


def decode(content: bytes) -> str:
    """Returns the text of a file, without a byte order mark.

    Raises:
        UnicodeDecodeError: It is no text in its encoding.
    """
    return content.decode(encoding_of(content))


def read_content(path: Path, *, largest_mb: float = LARGEST_MB) -> bytes:
    """Returns the content of a file.

    Args:
        path: The file.
        largest_mb: Largest size that is read.

    Raises:
        ImageError: The file is missing, larger, or cannot be read.
    """
    try:
        if not os.path.isfile(path):  # Not a device, which never ends.
            raise ImageError(f"{path}: no such file; check the path.")
        size = path.stat().st_size
        if size > largest_mb * 1e6:
            raise ImageError(
                f"{path}: has {size / 1e6:,.3g} MB, more than the {largest_mb} MB that "
                "are read; divide it, or leave out what is not needed."
            )
        return path.read_bytes()
    except OSError as error:
        raise ImageError(f"{path}: cannot be read ({error}).") from None


def read_text(path: Path) -> str:
    """Returns the text of a file of at most `LARGEST_MB`, see `decode`.

    Raises:
        ImageError: The file is missing, larger, cannot be read, or is no text.
    """
    try:
        return decode(read_content(path))
    except UnicodeDecodeError as error:
        raise ImageError(
            f"{path}: cannot be read as text ({error}); save it as UTF-8."
        ) from None


def read_json(path: Path) -> Any:
    """Returns the content of a JSON file in UTF-8, UTF-16 or UTF-32.

    Raises:
        ImageError: The file cannot be read, or is not JSON.
    """
    content = read_content(path)
    try:
        return json.loads(content)
    except RecursionError:
        reason = "brackets in brackets, too deep"
    except ValueError as error:  # Also bytes that are no text, and endless numbers.
        reason = str(error)
    raise ImageError(f"{path}: cannot be read as JSON ({reason}).")
