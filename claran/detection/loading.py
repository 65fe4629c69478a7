"""A detector's model out of its file, or of a preset."""

import hashlib
import json
import os
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import keras

from claran import accelerator
from claran.detection.detection_model import DetectionModel
from claran.detection.finisher import IslandFinisher
from claran.detection.presets import PRESETS, preset_weights
from claran.errors import first_line
from claran.fields.channels import Channels
from claran.fields.framing import Picture
from claran.io.atomic import replace_file
from claran.io.text_files import brief
from claran.models.faster_rcnn import FasterRcnn
from claran.models.weights import WeightsError

__all__ = ["convert_old_model", "load_model", "model_file", "save_model"]

LARGEST_JSON = 2**22  # Bytes; the settings of a detector have 20,000.
PACKED = 4  # Times that weights may unpack to; Keras stores them as they are.


def model_file(name: str | os.PathLike) -> Path | None:
    """Returns the file of a preset or of a path; None for a preset without weights."""
    return preset_weights(str(name)) if str(name) in PRESETS else Path(name)


def load_model(path: str | os.PathLike) -> DetectionModel:
    """Returns the model that a `.keras` file holds; nothing in it is executed.

    Raises:
        WeightsError: There is no such file, or it is damaged, or holds something else.
        AcceleratorError: This process was forked from one that had used JAX.
    """
    accelerator.check_not_forked()
    path = Path(path)
    if not path.is_file():
        raise WeightsError(
            f"{path}: no such file, and no preset of that name ({', '.join(PRESETS)})."
        )
    _check_sizes(path)
    if _class_name(path) == "FasterRcnn":
        raise WeightsError(
            f"{path}: was saved by an older claran, the network without what makes it "
            f"a detector; convert it once: --mode=convert --old_model={path}."
        )
    config = _config(path)
    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # A damaged archive has a dozen ways to fail.
        raise WeightsError(
            f"{path}: not a model of claran, or damaged ({_reason(error)}); make it "
            "again with --mode=train or --mode=convert, or copy it anew."
        ) from None
    if not isinstance(model, DetectionModel):
        raise WeightsError(
            f"{path}: holds a {type(model).__name__}, not a claran DetectionModel."
        )
    model.file_config = hashlib.sha256(config).hexdigest()
    return model


def convert_old_model(path: str | os.PathLike) -> DetectionModel:
    """Returns the model of a file of claran 0.1 before detectors were saved whole.

    There the network held what is now its preprocessor and its finisher.

    Raises:
        WeightsError: The file is not of that kind, or it is damaged.
    """
    path = Path(path)
    _check_sizes(path)
    if _class_name(path) != "FasterRcnn":
        raise WeightsError(
            f"{path}: is not a model of an older claran; other files need no "
            "conversion, or --tf_checkpoint."
        )
    try:
        with zipfile.ZipFile(path) as archive:
            old = json.loads(archive.read("config.json"))["config"]
            return _complete(old, archive.read("model.weights.h5"))
    except Exception as error:  # As above.
        raise WeightsError(
            f"{path}: a model of an older claran, but damaged ({_reason(error)}); copy "
            "it anew."
        ) from None


def _complete(old: dict[str, Any], weights: bytes) -> DetectionModel:
    """Returns the model of an old network's configuration and weights."""
    names, fusion, beam, trust = (
        old.pop(name) for name in ("class_names", "fusion", "beam", "count_trust")
    )
    decoder = {
        "class_name": "BoxDecoder",
        "module": "claran.layers.box_decoder",
        "registered_name": "claran>BoxDecoder",
    }
    old["decoder"] = old.pop("detections") | decoder
    network = FasterRcnn.from_config(old)
    _load_weights(network, weights)
    if fusion == "channels":
        size = network.image_size if beam is None else None
        preprocessor: Any = Channels(beam_pixels=beam, image_size=size)
    else:
        preprocessor = Picture(method=fusion, image_size=network.image_size)
    return DetectionModel(
        name=str(old.get("name", "claran")),
        network=network,
        preprocessor=preprocessor,
        finisher=IslandFinisher(count_trust=trust, clip=network.decoder.clip_both_ends),
        class_names=names,
    )


def save_model(model: DetectionModel, path: Path) -> None:
    """Writes a model; an existing file is replaced only once the new one is whole."""
    replace_file(path, model.save)


def _check_sizes(path: Path) -> None:
    """Checks what the parts of a `.keras` file unpack to, before any is read."""
    try:
        with zipfile.ZipFile(path) as archive:
            sizes = {part.filename: part.file_size for part in archive.infolist()}
        held = path.stat().st_size
    except (OSError, ValueError, zipfile.BadZipFile):
        return  # Said when it is loaded.
    text = sum(size for name, size in sizes.items() if name.endswith(".json"))
    if text > LARGEST_JSON or sum(sizes.values()) > PACKED * held + LARGEST_JSON:
        raise WeightsError(
            f"{path}: unpacks to {sum(sizes.values()) / 1e6:,.0f} MB, of them "
            f"{text / 1e6:,.0f} MB of settings, as no model of claran does; copy it "
            "anew."
        )


def _class_name(path: Path) -> str | None:
    """Returns the class that a `.keras` file names; None if it cannot be read."""
    try:
        return json.loads(_config(path))["class_name"]
    except (ValueError, KeyError, TypeError):
        return None


def _config(path: Path) -> bytes:
    """Returns the configuration in a `.keras` file; nothing if it cannot be read."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.read("config.json")
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        return b""


def _reason(error: BaseException) -> str:
    """Returns the first line of what went wrong first.

    Keras catches an error in a part, and raises one about the whole.
    """
    while error.__context__ is not None:
        error = error.__context__
    return brief(first_line(error))


def _load_weights(network: FasterRcnn, content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.weights.h5")
        path.write_bytes(content)
        network.load_weights(path)
