"""A whole training, composed: model, recipe, augmentation, validation, calibration."""

import collections
import contextlib
import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, get_args

import jax
import keras
from tqdm.auto import tqdm

from claran.detection.detection_model import DetectionModel
from claran.detection.loading import load_model, model_file
from claran.detection.presets import PRESETS, preset_weights
from claran.fields.augmentation import AddNoise, DropInfrared, Move
from claran.fields.batches import Source, Transform
from claran.fields.channels import Channels
from claran.fields.field import describe_assumptions
from claran.io.parallel import cores
from claran.training.calibration import calibrate
from claran.training.devices import data_parallel
from claran.training.fine_tuning import with_classes
from claran.training.imagenet import start_from_imagenet
from claran.training.precision import in_precision
from claran.training.recipes import FINE_TUNING, RECIPES, Recipe
from claran.training.run_record import TrainingError
from claran.training.trainer import BEST, TrainingOptions, train
from claran.training.validation import Validation

__all__ = ["Start", "TrainingSession", "train_detector"]

Start = Literal["auto", "pretrained", "imagenet", "random"]
Precision = Literal["float32", "bfloat16"]
CALIBRATED = 100  # Validation fields from which scores are made probabilities.
SAMPLED = 64  # Fields of an endless source that are looked at for the input's size.


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingSession:
    """What to train, and how.

    Attributes:
        output: Folder for the model and its logs; a training in it resumes.
        model: Preset, or path of a `.keras` file to fine-tune.
        start: Weights that a preset begins with: "pretrained", those that come with it;
            "imagenet", for `claran_v0.1` alone; "random"; "auto" is imagenet for
            `claran_v0.1` and random for `claran_first`. A file begins with its own.
        steps: Batches to learn from; None for the recipe's, as the next two.
        batch_size: Fields in a batch, over all devices.
        learning_rate: Its largest value.
        precision: Of the layers: "float32" or "bfloat16". Boxes and weights are float32
            in both.
        nms_threshold: See `claran.Detector.from_preset`.
        rpn_nms_threshold: Likewise.
        seed: Decides all that is drawn at random.
        save_every: Steps between checkpoints.
        validate_every: Checkpoints between validations.
        slots: Most objects in a field.
        workers: Processes that make batches, with 0 a thread does; None for as many as
            pay.
        one_device: Whether to use the default device alone, where there are several.

    Raises:
        TrainingError: The model cannot begin with `start`.
        ValueError: A value makes no sense.
    """

    output: Path
    model: str = "claran_first"
    start: Start = "auto"
    steps: int | None = None
    batch_size: int | None = None
    learning_rate: float | None = None
    precision: Precision = "float32"
    nms_threshold: float | None = None
    rpn_nms_threshold: float | None = None
    seed: int = 0
    save_every: int = 500
    validate_every: int = 2
    slots: int = 32
    workers: int | None = None
    one_device: bool = False

    def __post_init__(self) -> None:
        for name, choices in (("start", Start), ("precision", Precision)):
            if getattr(self, name) not in get_args(choices):
                raise ValueError(
                    f"`{name}` must be one of {', '.join(get_args(choices))}, got "
                    f"{getattr(self, name)!r}."
                )
        for name in ("nms_threshold", "rpn_nms_threshold"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= 1:
                raise ValueError(f"`{name}` must be in [0, 1], got {value}.")
        _ = self.recipe

    @property
    def begins_with(self) -> Start:
        """What the training begins with; never "auto"."""
        model, start = self.model, self.start
        if model not in PRESETS:
            if start != "auto":
                raise TrainingError(
                    f"--start={start} is for a preset ({', '.join(PRESETS)}); {model} "
                    "begins with its own weights: leave --start out."
                )
            return "pretrained"
        if start == "auto":
            return "imagenet" if model == "claran_v0.1" else "random"
        if start == "imagenet" and model != "claran_v0.1":
            raise TrainingError(
                f"--start=imagenet is for claran_v0.1, {model} has no VGG16; give "
                "--start=pretrained or --start=random."
            )
        if start == "pretrained" and preset_weights(model) is None:
            raise TrainingError(
                f"{model} comes without weights to begin with; give the path of a "
                "trained model as --model, or another --start."
            )
        return start

    @property
    def recipe(self) -> Recipe:
        """The recipe of the model, with the changes asked for."""
        # A recipe of a preset is to train it from nothing.
        pretrained = self.begins_with == "pretrained"
        recipe = FINE_TUNING if pretrained else RECIPES[self.model]
        names = ("steps", "batch_size", "learning_rate")
        given = {name: getattr(self, name) for name in names}
        return dataclasses.replace(
            recipe, **{name: v for name, v in given.items() if v is not None}
        )


def train_detector(
    session: TrainingSession,
    source: Any,
    validation: Source | None = None,
    *,
    settings: dict[str, Any] | None = None,
    tell: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Trains a detector; a training in the output folder resumes.

    The folder then holds what `claran.training.trainer.train` says. With enough fields
    to validate on, the scores of `best.keras` are made probabilities.

    Args:
        session: What to train, and how.
        source: Labelled fields, such as `claran.data.sources.open_source` returns.
        validation: Labelled fields to validate on; None for no validation.
        settings: Further values for `run.json`; a training resumes only with the same.
        tell: Takes messages for the user.

    Returns:
        See `claran.training.trainer.train`.

    Raises:
        TrainingError: The folder holds a training with other settings, a field has more
            objects than there are slots, or the loss diverged.
    """
    keras.utils.set_random_seed(session.seed)
    batch_size = session.recipe.batch_size
    alone = session.one_device
    with contextlib.nullcontext() if alone else data_parallel(batch_size):
        return _train(session, source, validation, settings or {}, tell)


def _train(
    session: TrainingSession,
    source: Any,
    validation: Source | None,
    settings: dict[str, Any],
    tell: Callable[[str], None],
) -> dict[str, Any]:
    recipe = session.recipe
    model = _model(session, source.class_names, tell)
    augment = _augmentation(recipe, model, source)
    settings = {
        "model": session.model,
        **settings,
        "fields": len(source),
        "fingerprint": source.fingerprint,
        "validation_fields": 0 if validation is None else len(validation),
        "class_names": list(model.class_names),
        "augment": [repr(transform) for transform in augment],
        "nms_threshold": model.network.decoder.iou_threshold,
        "rpn_nms_threshold": model.network.proposals.iou_threshold,
        "precision": session.precision,
        "start": session.begins_with,
        "accelerator": jax.default_backend(),
    }
    result = train(
        model,
        source,
        recipe=recipe,
        options=TrainingOptions(
            output=session.output, seed=session.seed, save_every=session.save_every,
            validate_every=session.validate_every, slots=session.slots,
            workers=_workers(session, recipe.steps * recipe.batch_size),
            size=_batch_size_in_pixels(session, model, source, tell),
        ),
        augment=augment,
        validate=None if validation is None else Validation(model, validation),
        settings=settings,
        tell=tell,
    )  # fmt: skip
    if validation is not None and len(validation) >= CALIBRATED:
        temperature = calibrate(session.output / BEST, validation)
        if temperature is not None:
            tell(f"Scores are probabilities at a temperature of {temperature}.")
    return result


def _model(
    session: TrainingSession, class_names: tuple[str, ...], tell: Callable[[str], None]
) -> DetectionModel:
    """Returns the model to train, for these classes."""
    start = session.begins_with
    if start == "pretrained":
        path = model_file(session.model)
        assert path is not None  # noqa: S101 - `begins_with` sees to it.
        model = load_model(path)
        model.network.decoder.temperature = 1.0  # Fitted anew when it has learned.
    else:
        model = PRESETS[session.model](class_names=class_names)
        if start == "imagenet":
            start_from_imagenet(model.network)
    if session.nms_threshold is not None:
        model.network.decoder.iou_threshold = session.nms_threshold
    if session.rpn_nms_threshold is not None:
        model.network.proposals.iou_threshold = session.rpn_nms_threshold
    if class_names != model.class_names:
        tell(
            f"{session.model}: new heads for the classes {', '.join(class_names)}; it "
            f"had {', '.join(model.class_names)}."
        )
        model = with_classes(model, class_names)
    half = session.precision == "bfloat16"
    return in_precision(model, "mixed_bfloat16" if half else "float32")


def _augmentation(
    recipe: Recipe, model: DetectionModel, source: Any
) -> list[Transform]:
    if recipe.moves == "flip":
        return [Move(flip=0.5, step=360)]
    # Of a source in a picture nobody knows the outline: quarter turns are exact.
    if not source.has_radio:
        return [Move(shift=8, step=90)]
    augment: list[Transform] = []
    if not _is_endless(source):  # Simulated fields never come twice.
        augment = [Move(shift=8), AddNoise()]
    if isinstance(model.preprocessor, Channels):
        augment.append(DropInfrared(probability=0.5))
    return augment


def _batch_size_in_pixels(
    session: TrainingSession,
    model: DetectionModel,
    source: Any,
    tell: Callable[[str], None],
) -> tuple[int, int]:
    """Returns rows and columns that hold every field; says what was assumed of them.

    Endless sources have fields of few sizes, in turn. Of others the last may be the
    largest.
    """
    count = min(len(source), SAMPLED) if _is_endless(source) else len(source)
    preprocessor = model.preprocessor
    rows = columns = 1
    assumed: collections.Counter[str] = collections.Counter()
    for number in tqdm(
        range(count), "Reading", unit="field", disable=None, delay=2, leave=False
    ):
        field = source[number]
        objects = len(field.objects)
        if objects > session.slots:
            raise TrainingError(
                f"{field.name}: has {objects} objects, more than --slots="
                f"{session.slots}; give --slots={objects}."
            )
        height, width = preprocessor.shape(field)
        rows, columns = max(rows, height), max(columns, width)
        assumed.update(field.assumptions if preprocessor.uses_beam else ())
    if assumed:
        noted = describe_assumptions(assumed, count)
        tell(f"Note: {noted}; --survey or --beam says otherwise.")
    return preprocessor.size(rows, columns)


def _workers(session: TrainingSession, fields: int) -> int:
    """Returns the processes that make batches, for so many fields in all."""
    if session.workers is not None:
        return session.workers
    # A process takes seconds to start; until then a thread has made these.
    return 0 if fields < SAMPLED else max(1, min(8, cores() - 1))


def _is_endless(source: Any) -> bool:
    return getattr(source, "endless", False)
