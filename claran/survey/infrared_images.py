"""The infrared images of a survey, and which of them belong to a mosaic."""

import functools
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from claran.detection.mosaic_infrared import MosaicInfrared, WholeInfrared, show_on
from claran.errors import ImageError
from claran.fields.channels import infrared_channel
from claran.fields.reading import is_fits_file
from claran.io.paths import FITS_ENDINGS, pair_infrared, split_hdu
from claran.sky.bands import RunJobs
from claran.sky.blanks import find_blanks
from claran.sky.images import read_picture, read_sky_image
from claran.sky.infrared_pictures import infrared_picture
from claran.sky.mosaics import Mosaic, open_mosaic
from claran.sky.sky_balls import ball_of, touch

__all__ = ["InfraredImages"]

MOST_WHOLE = 2**24  # Pixels of a mosaic with a picture, which is not read by parts.


class InfraredImages:
    """Infrared images: FITS images are laid on the mosaics by their WCS.

    A picture, or a FITS image without a WCS, belongs to the mosaic of the same name, as
    those of fields do.

    Args:
        paths: The files, in any order.
        radio: The mosaics.
        scratch: Folder for files that are unpacked.

    Attributes:
        used: Files that show a part of a mosaic so far.
        without: Names of mosaics of which no file shows a part.

    Raises:
        ImageError: A file cannot be read, is a mosaic too, or has no WCS and not the
            name of a mosaic.
    """

    def __init__(
        self, paths: Sequence[Path], radio: Sequence[Path], scratch: Path
    ) -> None:
        files = sorted({Path(path) for path in paths})  # The first is shown first.
        _refuse_mosaics(files, radio)
        opened = {path: _open(path, scratch) for path in files}
        self._images = {
            path: image
            for path, image in opened.items()
            if image is not None and image.wcs is not None
        }
        plain = [path for path in files if path not in self._images]
        self._plain = pair_infrared(list(radio), plain) if plain else {}
        self._one_at_a_time = threading.Lock()
        self._whole: dict[Path, Mosaic] = {}
        self.used: set[Path] = set()
        self.without: set[str] = set()
        self._single = len(radio) == 1

    @functools.cached_property
    def _balls(self) -> dict[Path, tuple[np.ndarray, float]]:
        return {
            path: ball_of(image.wcs, image.shape)
            for path, image in self._images.items()
            if image.wcs is not None
        }

    def of(
        self, path: Path, mosaic: Mosaic, scene: tuple[int, int], run: RunJobs
    ) -> MosaicInfrared | WholeInfrared | None:
        """Returns the infrared of a mosaic; None if no image shows a part of it.

        Args:
            path: File of the mosaic, as it was given.
            mosaic: The mosaic.
            scene: Rows and columns of its scene.
            run: Runs a stage, see `claran.survey.jobs.Jobs.run`.

        Raises:
            ImageError: An infrared image cannot be read; the mosaic is too large for
                one without a WCS; or there is one mosaic, and no image shows it.
        """
        if not (self._images or self._plain):
            return None
        found = self._find(path, mosaic, scene, run)
        if found is None:
            self.without.add(mosaic.name)
            if self._single:
                raise ImageError(
                    f"{path}: no infrared image (--ir) shows a part of it; give those "
                    "of the same sky, or leave out --ir."
                )
        return found

    def shown(self) -> list[Mosaic]:
        """Returns the FITS images with a WCS that show a part of a mosaic so far."""
        return [self._whole[one] for one in sorted(self.used & self._whole.keys())]

    def notes(self) -> list[str]:
        """Returns what a user should know when all mosaics are searched."""
        lines = []
        unused = sorted({*self._images, *self._plain.values()} - self.used)
        if unused:
            lines.append(
                f"Note: {len(unused)} of {len(unused) + len(self.used)} infrared "
                f"images show no part of a mosaic: {_first(map(str, unused))}."
            )
        if self.without:
            lines.append(
                "Note: no infrared image shows a part of "
                f"{_first(sorted(self.without))}."
            )
        return lines

    def _find(
        self, path: Path, mosaic: Mosaic, scene: tuple[int, int], run: RunJobs
    ) -> MosaicInfrared | WholeInfrared | None:
        if path in self._plain:
            own = self._plain[path]
            found = _shown_whole(own, mosaic, scene)
            self.used.add(own)
            return found
        if mosaic.wcs is None:
            return None
        here = ball_of(mosaic.wcs, mosaic.shape)
        near = [one for one, ball in self._balls.items() if touch(here, ball)]
        with self._one_at_a_time:  # Each has its blank pixels looked for once.
            for one in near:
                if one not in self._whole:
                    image = self._images[one]
                    self._whole[one] = image.with_blanks(find_blanks(image, run))
        images = [self._whole[one] for one in near]
        shown = show_on(mosaic, images, run)
        if shown is not None:
            files = {layer.image.path for layer in shown.layers}
            self.used |= {one for one in near if self._images[one].path in files}
        return shown


def _first(names: Iterable[str]) -> str:
    """Returns the first of some names, and how many others there are."""
    first, *others = names
    return f"{first} and {len(others)} others" if others else first


def _refuse_mosaics(files: Sequence[Path], radio: Sequence[Path]) -> None:
    both = {path.resolve() for path in radio}
    for path in files:
        if path.resolve() in both:
            raise ImageError(
                f"{path}: is given as a mosaic (--radio) and as an infrared image "
                "(--ir); give it as one of them."
            )


def _open(path: Path, scratch: Path) -> Mosaic | None:
    """Returns an infrared FITS image; None for a picture, which is looked at."""
    if _is_fits(path):
        return open_mosaic(path, scratch=scratch)
    read_picture(path)
    return None


def _is_fits(path: Path) -> bool:
    """Returns whether a file is one of FITS by its name or content."""
    name = split_hdu(path)[0].name.lower()
    return name.endswith(FITS_ENDINGS) or is_fits_file(path)


def _shown_whole(path: Path, mosaic: Mosaic, scene: tuple[int, int]) -> WholeInfrared:
    """Returns an infrared image without a WCS on its mosaic."""
    ny, nx = mosaic.shape
    if max(nx * ny, scene[0] * scene[1]) > MOST_WHOLE:
        raise ImageError(
            f"{path}: has no WCS, and {mosaic.name} has {nx} x {ny} pixels, too many "
            "for an infrared image that is not read by parts; give FITS images with a "
            "WCS."
        )
    if _is_fits(path):
        picture = infrared_picture(read_sky_image(path).values)
    else:
        picture = read_picture(path)
    channel = infrared_channel(picture, np.zeros(scene, np.float32))
    assert channel is not None  # noqa: S101 - there is a picture.
    return WholeInfrared(channel)
