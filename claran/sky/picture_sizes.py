"""The size of a picture, read from its header before it is decoded."""

import io
import math
import re

from claran.errors import ImageError
from claran.io.silencing import without_warnings

__all__ = ["check_picture"]

MOST_PIXELS = 100_000_000  # 0.3 GB when decoded.


def check_picture(content: bytes, label: str) -> None:
    """Checks that a picture is not too large to be decoded.

    Args:
        content: The file; what is no picture passes.
        label: Its name, for messages.

    Raises:
        ImageError: It has more than 100 million pixels.
    """
    pixels = _pixels(content)
    if pixels > MOST_PIXELS:
        raise ImageError(
            f"{label}: has {pixels:,} pixels, over {MOST_PIXELS:,}; cut it into parts."
        )


def _pixels(content: bytes) -> int:
    """Returns the number of pixels; 0 if Pillow does not know."""
    from PIL import Image, TiffImagePlugin  # noqa: PLC0415 - few fields have a picture.

    try:
        # Pillow warns of large pictures, and of damaged EXIF data.
        with without_warnings(), Image.open(io.BytesIO(content)) as picture:
            return math.prod(picture.size)
    except Image.DecompressionBombError as error:
        return int((re.findall(r"\d+", str(error)) or [MOST_PIXELS + 1])[0])
    except Exception:  # Not a picture, or of a kind that only OpenCV decodes.
        pass
    try:
        tags = TiffImagePlugin.ImageFileDirectory_v2(content[:8])
        stream = io.BytesIO(content)
        stream.seek(tags.next)
        with without_warnings():
            tags.load(stream)
        return int(tags[256]) * int(tags[257])
    except Exception:
        return 0
