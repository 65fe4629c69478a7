"""Components: elliptical Gaussians fitted to the islands of emission."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from claran.photometry.component_columns import component_columns
from claran.photometry.fit_groups import Group
from claran.photometry.flood import IslandCutout
from claran.photometry.group_fits import fit_groups
from claran.photometry.pixel_beams import PixelBeam

__all__ = [
    "Components",
    "IslandCutout",
    "PixelBeam",
    "fit_components",
    "fit_images",
]


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Components:
    """Components by cutout, the brightest of each first; one row each.

    Positions are in pixel edges of the image, lengths in pixels (FWHM), angles in
    degrees from +y counter-clockwise, brightness in Jy/beam. Names with `e_` are
    standard deviations.

    Attributes:
        cutout: Index of the cutout.
        island: Index of the island within the cutout, -1 if it lies in none.
        x: Position.
        y: Position.
        peak: Brightness of the Gaussian's center.
        flux: Integrated flux, Jy.
        major: Fitted axis.
        minor: Fitted axis.
        angle: Of the major axis.
        dc_major: Without the beam; 0 if not resolved, and `e_` is an upper limit.
        dc_minor: Without the beam; 0 if not resolved, and `e_` is an upper limit.
        dc_angle: Without the beam.
        noise: Of the image there.
        snr: Peak over noise.
        residual: Root mean square of what the fit leaves within the beam's FWHM.
        flags: See `claran.photometry.fit_flags.FitFlag`.
    """

    cutout: Int[np.ndarray, "n"]
    island: Int[np.ndarray, "n"]
    x: Float[np.ndarray, "n"]
    y: Float[np.ndarray, "n"]
    peak: Float[np.ndarray, "n"]
    flux: Float[np.ndarray, "n"]
    major: Float[np.ndarray, "n"]
    minor: Float[np.ndarray, "n"]
    angle: Float[np.ndarray, "n"]
    e_x: Float[np.ndarray, "n"]
    e_y: Float[np.ndarray, "n"]
    e_peak: Float[np.ndarray, "n"]
    e_flux: Float[np.ndarray, "n"]
    e_major: Float[np.ndarray, "n"]
    e_minor: Float[np.ndarray, "n"]
    e_angle: Float[np.ndarray, "n"]
    dc_major: Float[np.ndarray, "n"]
    dc_minor: Float[np.ndarray, "n"]
    dc_angle: Float[np.ndarray, "n"]
    e_dc_major: Float[np.ndarray, "n"]
    e_dc_minor: Float[np.ndarray, "n"]
    e_dc_angle: Float[np.ndarray, "n"]
    noise: Float[np.ndarray, "n"]
    snr: Float[np.ndarray, "n"]
    residual: Float[np.ndarray, "n"]
    flags: Int[np.ndarray, "n"]

    def __len__(self) -> int:
        return len(self.x)


def fit_components(cutouts: Sequence[IslandCutout], beam: PixelBeam) -> Components:
    """Returns the components of flood islands.

    Those of a cutout depend on this cutout alone, bit for bit. A Gaussian whose center
    lies more than a pixel outside of its cutout is none: the cutout ends there because
    the image does.

    Args:
        cutouts: One of each flood island.
        beam: The beam.
    """
    (found,) = fit_images([(cutouts, beam)])
    return found


def fit_images(
    images: Sequence[tuple[Sequence[IslandCutout], PixelBeam]],
) -> list[Components]:
    """Returns the components of flood islands in several images, see `fit_components`.

    They are packed into the same batches, which those of a small image would not fill.

    Args:
        images: Cutouts and beam of each.
    """
    return [
        _components(groups, cutouts, beam)
        for groups, (cutouts, beam) in zip(fit_groups(images), images, strict=True)
    ]


def _components(
    groups: Sequence[Group], cutouts: Sequence[IslandCutout], beam: PixelBeam
) -> Components:
    columns = component_columns(groups, cutouts, beam)
    order = np.lexsort((-columns["peak"], columns["cutout"]))
    order = order[columns.pop("inside")[order]]
    return Components(**{name: column[order] for name, column in columns.items()})
