"""Figures of batches as the network sees them, to check data before a training."""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float32, UInt8
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from claran.fields.batch_rows import Batch
from claran.fields.channels import CHANNELS, channel_image, infrared_channel
from claran.fields.field import Field
from claran.figures.isolation import IsolatedFigure, new_figure, one_line, own_style
from claran.figures.source_boxes import Label, draw_labels
from claran.labels import RGZ_CLASSES, display_name

__all__ = ["field_picture", "preview_page", "to_picture", "write_preview"]

INCHES = 3.2  # Side of one field on a page.
NAME = 48  # Characters of a name that fit above a field.
FAINT, BRIGHT = -3.0, 100.0  # Sigma: black and white of the physical channels.
COLORS = {True: "#56b4e9", False: "lightgray"}  # Of valid and of ignored objects.


def write_preview(
    batches: Iterable[Batch],
    folder: Path,
    *,
    pages: int,
    class_names: Sequence[str] = RGZ_CLASSES,
) -> list[Path]:
    """Writes the first batches as `batch_0000.png` and so on; returns the paths.

    Args:
        batches: Of `claran.fields.batches`; only as many are taken as pages.
        folder: Output folder; created if it does not exist.
        pages: Number of batches.
        class_names: Names of the labels 1, 2 ...
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for page, batch in zip(range(pages), batches, strict=False):
        path = folder / f"batch_{page:04d}.png"
        preview_page(batch, class_names=class_names).savefig(path)
        paths.append(path)
    return paths


@own_style()
def preview_page(
    batch: Batch, *, class_names: Sequence[str] = RGZ_CLASSES
) -> IsolatedFigure:
    """Returns a figure of all fields of a batch with their boxes.

    Valid objects are blue, ignored ones gray and dashed. The dotted frame is the border
    between field and padding.

    Args:
        batch: Of `claran.fields.batches`.
        class_names: Names of the labels 1, 2 ...
    """
    fields = np.flatnonzero(batch["names"] != "")
    columns = max(1, math.ceil(math.sqrt(len(fields))))
    rows = max(1, math.ceil(len(fields) / columns))
    figure = new_figure(INCHES * columns, (INCHES + 0.25) * rows)
    labels = []
    for place, i in enumerate(fields):
        axes = figure.add_subplot(rows, columns, place + 1)
        size = batch["images"].shape[1]
        picture = to_picture(batch["images"][i])
        axes.imshow(picture, origin="upper", extent=(0, size, size, 0))
        height, width, _ = batch["image_info"][i]
        if height < size or width < size:
            _draw(axes, np.array([0, 0, width, height]), "white", ":")
        labels.append((axes, _draw_objects(axes, batch, int(i), class_names)))
        axes.set_title(one_line(str(batch["names"][i]), NAME), fontsize=8)
        axes.set_axis_off()
    figure.fix_layout()
    for axes, texts in labels:
        draw_labels(axes, texts, fontsize=7)
    return figure


def field_picture(field: Field) -> UInt8[np.ndarray, "h w 3"]:
    """Returns an RGB picture of a field at its own resolution, row 0 on top.

    The radio image, without its background, is divided by the noise of the whole field.

    Args:
        field: The field.
    """
    image = field.source_image
    if image is None:
        assert field.picture is not None  # noqa: S101 - `Field` checks it.
        return field.picture[..., ::-1]
    ratio = image.values[::-1] / np.float32(field.noise)
    return to_picture(channel_image(ratio, infrared_channel(field.picture, ratio)))


def to_picture(image: Float32[np.ndarray, "h w c"]) -> UInt8[np.ndarray, "h w 3"]:
    """Returns an RGB picture of a network's input.

    A BGR picture is unchanged. Of the physical channels the signal is shown from -3 to
    100 sigma, brighter with each contour. Blank pixels are dark blue, and the infrared
    is red in the background.

    Args:
        image: Image of a view, BGR or the channels of `claran.fields.channels`.
    """
    if image.shape[2] == 3:
        return np.rint(image[..., ::-1]).clip(0, 255).astype(np.uint8)
    signal, contours, valid, infrared, has_infrared = (
        image[..., CHANNELS.index(name)] for name in CHANNELS
    )
    low, high = (np.arcsinh(limit) / np.arcsinh(1000) for limit in (FAINT, BRIGHT))
    shade = np.clip((signal - low) / (high - low), 0, 1)
    shade = np.where(contours > 0, 0.45 + 0.55 * contours, 0.45 * shade)
    rgb = colormaps["gray"](shade)[..., :3]
    sky = np.where(has_infrared > 0, np.clip(infrared, 0, 1), 0) * (contours == 0)
    rgb[..., 0] = np.clip(rgb[..., 0] + sky, 0, 1)
    rgb[valid == 0] = (0.0, 0.0, 0.3)
    return np.rint(255 * rgb).astype(np.uint8)


def _draw_objects(
    axes: Axes, batch: Batch, i: int, class_names: Sequence[str]
) -> list[Label]:
    """Draws the boxes of a field; returns their labels."""
    labels = []
    for slot in np.flatnonzero(batch["valid"][i] | batch["ignored"][i]):
        box, label = batch["boxes"][i, slot], int(batch["labels"][i, slot])
        learned = bool(batch["valid"][i, slot])
        color = COLORS[learned]
        _draw(axes, box, color, "-" if learned else "--")
        name = one_line(display_name(class_names[label - 1])) if label else "?"
        labels.append(Label(box.astype(float), name, color))
    return labels


def _draw(axes: Axes, box: np.ndarray, color: str, line: str) -> None:
    x0, y0, x1, y1 = (float(edge) for edge in box)
    axes.add_patch(
        Rectangle(
            (x0, y0), x1 - x0, y1 - y0, fill=False, edgecolor=color, linestyle=line
        )
    )
