"""Presets: models by name, with network, preprocessor and finisher."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from claran import accelerator
from claran.detection.detection_model import DetectionModel
from claran.detection.finisher import IslandFinisher, trust_in_counting
from claran.fields.channels import Channels
from claran.fields.framing import Picture
from claran.labels import RGZ_CLASSES
from claran.models import networks
from claran.models.weights import WeightsError, load_claran_checkpoint

__all__ = [
    "PRESETS",
    "claran_first",
    "claran_v01",
    "claran_v1",
    "import_claran",
    "preset_weights",
]

WEIGHTS = Path(__file__).parents[1] / "weights"


def claran_v01(
    *,
    class_names: Sequence[str] = RGZ_CLASSES,
    method: str = "D4",
    image_size: int = 600,
    **options: Any,
) -> DetectionModel:
    """Returns ClaRAN v0.1 (Wu et al. 2019), untrained.

    Args:
        class_names: Names of the classes, without background.
        method: Kind of picture: "D1", "D3" or "D4".
        image_size: Side of the network's input, pixels: 600, 264 or 132 in the paper.
        **options: Arguments of `claran.models.networks.claran_v01`.

    Raises:
        AcceleratorError: This process was forked from one that had used JAX.
    """
    network = _untrained(
        networks.claran_v01, class_names, image_size=image_size, **options
    )
    return _claran_v01(network, class_names, method)


def claran_first(
    *,
    class_names: Sequence[str] = RGZ_CLASSES,
    beam_pixels: float = 3.0,
    **options: Any,
) -> DetectionModel:
    """Returns the compact network for radio surveys, untrained.

    Its input are the physical channels, with the beam scaled to a fixed width.

    Args:
        class_names: Names of the classes, without background.
        beam_pixels: Width of the beam in the network's input, pixels; 3 is FIRST's.
        **options: Arguments of `claran.models.networks.claran_first`.

    Raises:
        AcceleratorError: This process was forked from one that had used JAX.
    """
    return DetectionModel(
        name="claran_first",
        network=_untrained(networks.claran_first, class_names, **options),
        preprocessor=Channels(beam_pixels=beam_pixels),
        finisher=IslandFinisher(count_trust=trust_in_counting(class_names)),
        class_names=class_names,
    )


def claran_v1(
    *,
    class_names: Sequence[str] = RGZ_CLASSES,
    beam_pixels: float = 3.0,
    **options: Any,
) -> DetectionModel:
    """Returns the network that judges groups of islands, untrained.

    Its input are the physical channels, with the beam scaled to a fixed width, and the
    boxes of the islands.

    Args:
        class_names: Names of the classes, without background.
        beam_pixels: See `claran_first`.
        **options: Arguments of `claran.models.networks.claran_v1`.

    Raises:
        AcceleratorError: This process was forked from one that had used JAX.
    """
    return DetectionModel(
        name="claran_v1",
        network=_untrained(networks.claran_v1, class_names, **options),
        preprocessor=Channels(beam_pixels=beam_pixels),
        finisher=IslandFinisher(
            count_trust=trust_in_counting(class_names), groups=True
        ),
        class_names=class_names,
    )


PRESETS = {
    "claran_v0.1": claran_v01,
    "claran_first": claran_first,
    "claran_v1": claran_v1,
}
"""Presets by name, for `claran.Detector.from_preset`."""


def import_claran(
    prefix: str | Path,
    *,
    class_names: Sequence[str] | None = None,
    method: str = "D4",
    image_size: int = 600,
    anchor_scales: Sequence[float] | None = None,
    anchor_ratios: Sequence[float] | None = None,
) -> DetectionModel:
    """Returns ClaRAN v0.1 with the weights of a TensorFlow 1 checkpoint.

    Args:
        prefix: Path without `.index` and `.data-...`.
        class_names: Names of its classes, without background; None for the six of Radio
            Galaxy Zoo.
        method: Kind of picture it was trained on: "D1", "D3" or "D4".
        image_size: See `claran.models.weights.load_claran_checkpoint`.
        anchor_scales: See there.
        anchor_ratios: See there.

    Raises:
        WeightsError: A variable is missing, superfluous or of another shape; or the
            number of classes is not that of `class_names`.
    """
    network = load_claran_checkpoint(
        prefix,
        image_size=image_size,
        anchor_scales=anchor_scales,
        anchor_ratios=anchor_ratios,
    )
    names = RGZ_CLASSES if class_names is None else class_names
    if len(names) != network.num_classes:
        raise WeightsError(
            f"{prefix}: has {network.num_classes} classes without background; give as "
            f"many `class_names`, got {len(names)}: {', '.join(names)}."
        )
    return _claran_v01(network, names, method)


def preset_weights(name: str) -> Path | None:
    """Returns the file of the preset's trained model; None if there is none."""
    path = WEIGHTS / f"{name}.keras"
    return path if path.is_file() else None


def _untrained(
    make: Callable[..., Any], class_names: Sequence[str], **options: Any
) -> Any:
    accelerator.check_not_forked()
    return make(num_classes=len(class_names), **options)


def _claran_v01(
    network: Any, class_names: Sequence[str], method: str
) -> DetectionModel:
    return DetectionModel(
        name="claran_v01",
        network=network,
        preprocessor=Picture(method=method, image_size=network.image_size),
        finisher=IslandFinisher(clip=False),
        class_names=class_names,
    )
