"""Augmentation: random changes of a field after which its labels are still valid.

Each is a frozen dataclass, called with a field and a random generator, that returns a
new field. Radio image, infrared image and boxes are changed together.
"""

import dataclasses
import math
from collections.abc import Callable

import cv2
import numpy as np
from jaxtyping import Bool, Float32

from claran.fields.channels import Channels
from claran.fields.field import Field
from claran.fields.outlines import components
from claran.fields.preprocessing import Preprocessor
from claran.fields.warping import about_center, rotation, warp
from claran.sky.beams import fwhm_to_sigma
from claran.sky.box_arrays import iou
from claran.sky.images import SkyImage

__all__ = ["AddNoise", "DropInfrared", "Move", "ScaleFlux", "usual_augmentation"]

KEPT_IOU = 0.7  # Smallest IoU of a box with itself after noise is added.


@dataclasses.dataclass(frozen=True, kw_only=True)
class Move:
    """Reflects the field, rotates it about the center, and shifts it.

    In one step, so that the image is interpolated only once; see
    `claran.fields.warping.warp`.
    """

    flip: float = 0.5
    """Probability of a reflection."""
    step: float = 0.0
    """Angles are multiples of this, degrees: 0 for any angle, 90 for quarter turns,
    which copy pixels and lose no corner, 360 for no rotation."""
    shift: int = 0
    """Largest shift along both axes, whole radio pixels; uniform."""

    def __post_init__(self) -> None:
        _check_probability("flip", self.flip)
        if not 0 <= self.step <= 360:
            raise ValueError(f"`step` must be in [0, 360] degrees, got {self.step}.")
        if not self.shift >= 0:
            raise ValueError(f"`shift` must be at least 0 pixels, got {self.shift}.")

    def __call__(self, field: Field, rng: np.random.Generator) -> Field:
        mirrored = rng.random() < self.flip
        degrees = rng.uniform(0, 360)
        if self.step > 0:
            degrees = self.step * math.floor(degrees / self.step)
        linear = rotation(degrees) @ np.diag([-1.0 if mirrored else 1.0, 1.0])
        matrix = about_center(linear, field.shape)
        matrix[:2, 2] += rng.integers(-self.shift, self.shift, 2, endpoint=True)
        return warp(field, matrix)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ScaleFlux:
    """Multiplies the radio image and its noise by one factor.

    Labels and the input of claran's networks depend only on the signal-to-noise, so
    that they do not change. This is no new data, but makes sure that the unit does not
    matter. For fainter sources see `AddNoise`.
    """

    low: float = 0.5
    """Smallest factor."""
    high: float = 2.0
    """Largest factor; uniform in the logarithm."""

    def __post_init__(self) -> None:
        if not 0 < self.low <= self.high < math.inf:
            raise ValueError(
                f"`low` and `high` must satisfy 0 < low <= high, got {self.low} and "
                f"{self.high}."
            )

    def __call__(self, field: Field, rng: np.random.Generator) -> Field:
        factor = math.exp(rng.uniform(math.log(self.low), math.log(self.high)))
        return field.replace(
            image=_with_values(field, _values(field) * np.float32(factor)),
            noise=field.noise * factor,
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class AddNoise:
    """Adds noise with the correlation of the beam, so that sources are fainter.

    The threshold of the labels rises with the noise, so that this can change a source.
    Boxes are the bounds of the new islands. If an object that is not ignored would gain
    or lose a component, or its new box have an IoU below 0.7 with the old one, the
    field is returned unchanged: 4% of simulated fields with the default gain. Peaks are
    not counted again: 2.5% of the objects have another number of peaks, and 5% with a
    gain of 1.4.
    """

    gain: float = 1.1
    """Largest ratio of new to old noise; uniform from 1."""

    def __post_init__(self) -> None:
        if not 1 <= self.gain <= 2:
            raise ValueError(f"`gain` must be in [1, 2], got {self.gain}.")

    def __call__(self, field: Field, rng: np.random.Generator) -> Field:
        gain = rng.uniform(1, self.gain)
        strength = field.noise * math.sqrt(gain**2 - 1)
        extra = _beam_noise(rng, field.shape, field.beam_pixels)
        noisy = field.replace(
            image=_with_values(field, _values(field) + np.float32(strength) * extra),
            noise=field.noise * gain,
        )
        objects = field.objects
        boxes, same = _boxes_after(field, noisy)
        if not (same | objects.ignored).all():
            return field
        return noisy.replace(
            objects=dataclasses.replace(objects, boxes=boxes, outlines=None)
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class DropInfrared:
    """Drops the infrared image, so that a network learns to detect with and without it.

    For `claran.fields.channels.Channels`; D3 and D4 need the infrared.
    """

    probability: float = 0.25
    """Probability to drop it."""

    def __post_init__(self) -> None:
        _check_probability("probability", self.probability)

    def __call__(self, field: Field, rng: np.random.Generator) -> Field:
        return field.replace(picture=None) if rng.random() < self.probability else field


def usual_augmentation(
    preprocessor: Preprocessor, *, has_radio: bool, endless: bool = False
) -> list[Callable[[Field, np.random.Generator], Field]]:
    """Returns the transforms of a training, in their order, unless its recipe has some.

    Args:
        preprocessor: Makes the network's input from a field.
        has_radio: Whether the fields have radio images.
        endless: Whether no field occurs twice.
    """
    # The outline of a source in a picture is unknown, but quarter turns are exact.
    if not has_radio:
        return [Move(shift=8, step=90)]
    transforms: list[Callable[[Field, np.random.Generator], Field]] = []
    channels = isinstance(preprocessor, Channels)
    if not endless:
        shift = 0 if channels and preprocessor.centered else 8
        transforms = [Move(shift=shift), AddNoise()]
    if channels:
        transforms.append(DropInfrared(probability=0.5))
    return transforms


def _check_probability(name: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise ValueError(f"`{name}` must be a probability in [0, 1], got {value}.")


def _beam_noise(
    rng: np.random.Generator, shape: tuple[int, int], beam: float
) -> Float32[np.ndarray, "ny nx"]:
    """Returns noise of standard deviation 1 with the correlation of the beam."""
    # White noise blurred by s is correlated over s * sqrt(2).
    width = fwhm_to_sigma(beam) / math.sqrt(2)
    white = rng.standard_normal(shape, dtype=np.float32)
    smooth = cv2.GaussianBlur(white, (0, 0), width)
    return np.asarray(smooth) / np.float32(smooth.std())


def _boxes_after(
    old: Field, new: Field
) -> tuple[Float32[np.ndarray, "n 4"], Bool[np.ndarray, "n"]]:
    """Returns the boxes of objects in the new image, and which are the same."""
    own = old.objects.boxes
    before, counts = components(old.islands, own)
    after, new_counts = components(new.islands, own)
    seen = (counts > 0) & (new_counts > 0)
    # A box with another rule keeps its margins around the islands.
    boxes = np.where(seen[:, None], own + (after - before), own)
    ny, nx = old.shape
    boxes = np.clip(boxes, 0, np.array([nx, ny] * 2, np.float32))
    same = (counts == new_counts) & (iou(own, boxes) >= KEPT_IOU)
    return boxes.astype(np.float32), same


def _values(field: Field) -> Float32[np.ndarray, "ny nx"]:
    if field.image is None:
        raise ValueError(
            f"{field.name}: is a picture; only radio images can be scaled or get "
            "noise; leave this transform out."
        )
    return field.image.values


def _with_values(field: Field, values: Float32[np.ndarray, "ny nx"]) -> SkyImage | None:
    return field.image and dataclasses.replace(field.image, values=values)
