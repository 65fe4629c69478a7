"""Composition of a training: model, recipe, augmentation, validation, calibration."""

import contextlib
import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, get_args

import jax
import keras

from claran import accelerator
from claran.detection.detection_model import DetectionModel, check_thresholds
from claran.detection.loading import load_model, model_file
from claran.detection.presets import PRESETS, preset_weights
from claran.fields.batches import Source
from claran.training.calibration import calibrate
from claran.training.devices import data_parallel
from claran.training.fine_tuning import centered, with_classes
from claran.training.imagenet import start_from_imagenet
from claran.training.mean_models import average_models
from claran.training.precision import in_precision
from claran.training.recipes import FINE_TUNING, RECIPES, Recipe
from claran.training.run_record import TrainingError
from claran.training.session_inputs import (
    choose_augmentation,
    count_workers,
    find_image_size,
)
from claran.training.trainer import BEST, TrainingOptions, train
from claran.training.validation import Validation

__all__ = ["Start", "TrainingSession", "train_detector"]

Start = Literal["auto", "pretrained", "imagenet", "random"]
Precision = Literal["float32", "bfloat16"]
CALIBRATED = 100  # Smallest number of validation fields to calibrate scores on.


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingSession:
    """Settings of a training.

    Attributes:
        output: Output folder; a training in it resumes.
        model: Preset, or path of a `.keras` file to fine-tune.
        start: Initial weights of a preset: "pretrained", the trained weights that come
            with it; "imagenet", only for `claran_v0.1`; "random"; or "auto", which is
            imagenet for `claran_v0.1` and random for the others. A file has its own
            weights.
        centered: Whether the network is shown where the center of a field is, see
            `claran.fields.channels.Channels`.
        steps: Number of steps; None for the recipe's, as for the next two.
        batch_size: Fields in a batch, summed over all devices.
        learning_rate: Largest learning rate.
        precision: Precision of the layers, "float32" or "bfloat16". Boxes and weights
            are float32 in both.
        nms_threshold: See `claran.Detector.from_preset`.
        rpn_nms_threshold: See there.
        seed: Seed of all random numbers.
        save_every: Number of steps between checkpoints.
        validate_every: Number of checkpoints between validations.
        slots: Largest number of objects in a field.
        keep_models: Whether each model that is validated is kept, as
            `step-NNNNNN.keras`.
        workers: Number of processes that make batches, 0 for a thread; None for a
            number that depends on the training and the machine.
        one_device: Whether to use only the default device if there are several.

    Raises:
        TrainingError: The model has no such initial weights.
        ValueError: A value is out of range.
    """

    output: Path
    model: str = "claran_v1"
    start: Start = "auto"
    centered: bool = False
    steps: int | None = None
    batch_size: int | None = None
    learning_rate: float | None = None
    precision: Precision = "float32"
    nms_threshold: float | None = None
    rpn_nms_threshold: float | None = None
    seed: int = 0
    save_every: int = 500
    validate_every: int = 2
    slots: int = 128
    keep_models: bool = False
    workers: int | None = None
    one_device: bool = False

    def __post_init__(self) -> None:
        for name, choices in (("start", Start), ("precision", Precision)):
            if getattr(self, name) not in get_args(choices):
                raise ValueError(
                    f"`{name}` must be one of {', '.join(get_args(choices))}, got "
                    f"{getattr(self, name)!r}."
                )
        check_thresholds(self.nms_threshold, self.rpn_nms_threshold)
        _ = self.recipe

    @property
    def initial_weights(self) -> Start:
        """Initial weights: "pretrained", "imagenet" or "random"."""
        model, start = self.model, self.start
        if model not in PRESETS:
            if start != "auto":
                raise TrainingError(
                    f"--start={start} is for a preset ({', '.join(PRESETS)}); {model} "
                    "has its own weights: leave --start out."
                )
            return "pretrained"
        if start == "auto":
            return "imagenet" if model == "claran_v0.1" else "random"
        if start == "imagenet" and model != "claran_v0.1":
            raise TrainingError(
                f"--start=imagenet is for claran_v0.1, but {model} has no VGG16; give "
                "--start=pretrained or --start=random."
            )
        if start == "pretrained" and preset_weights(model) is None:
            raise TrainingError(
                f"--start=pretrained: {model} has no trained weights; give the path of "
                "a trained model as --model, or another --start."
            )
        return start

    @property
    def recipe(self) -> Recipe:
        """Recipe of the model, with the changes that were given."""
        # The recipe of a preset is for a training from the start.
        pretrained = self.initial_weights == "pretrained"
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

    See `claran.training.trainer.train` for the files in the folder. With enough fields
    to validate on, the scores of `best.keras` are calibrated to probabilities.

    Args:
        session: Settings of the training.
        source: Labelled fields, such as `claran.data.sources.open_source` returns.
        validation: Labelled fields to validate on; None for no validation.
        settings: Further values for `run.json`. A training resumes only with the same.
        tell: Receives messages for the user.

    Returns:
        See `claran.training.trainer.train`.

    Raises:
        TrainingError: The folder has a training with other settings, a field has more
            objects than `slots`, or the loss diverged.
    """
    with accelerator.single_precision():
        return _train_detector(session, source, validation, settings, tell)


def _train_detector(
    session: TrainingSession,
    source: Any,
    validation: Source | None,
    settings: dict[str, Any] | None,
    tell: Callable[[str], None],
) -> dict[str, Any]:
    keras.utils.set_random_seed(session.seed)
    batch_size = session.recipe.batch_size
    alone = session.one_device
    with contextlib.nullcontext() if alone else data_parallel(batch_size):
        result = _train(session, source, validation, settings or {}, tell)
    # On one device: the first process alone does it.
    after = session.recipe.steps_before_mean
    if steps := average_models(session.output / BEST, after=after):
        numbers = ", ".join(map(str, steps))
        tell(f"{BEST} is the mean of the models of steps {numbers}.")
    if validation is not None and len(validation) >= CALIBRATED:
        temperature = calibrate(session.output / BEST, validation)
        if temperature is not None:
            tell(f"Calibrated scores: a temperature of {temperature}.")
    return result


def _train(
    session: TrainingSession,
    source: Any,
    validation: Source | None,
    settings: dict[str, Any],
    tell: Callable[[str], None],
) -> dict[str, Any]:
    recipe = session.recipe
    model = _model(session, source.class_names, tell)
    augment = choose_augmentation(recipe, model, source)
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
        "start": session.initial_weights,
        "centered": session.centered,
        "accelerator": jax.default_backend(),
    }
    return train(
        model,
        source,
        recipe=recipe,
        options=TrainingOptions(
            output=session.output, seed=session.seed, save_every=session.save_every,
            validate_every=session.validate_every, slots=session.slots,
            keep_models=session.keep_models,
            workers=count_workers(session.workers, recipe.steps * recipe.batch_size),
            size=find_image_size(model, source, slots=session.slots, tell=tell),
        ),
        augment=augment,
        validate=None if validation is None else Validation(model, validation),
        settings=settings,
        tell=tell,
    )  # fmt: skip


def _model(
    session: TrainingSession, class_names: tuple[str, ...], tell: Callable[[str], None]
) -> DetectionModel:
    """Returns the model to train, for these classes."""
    start = session.initial_weights
    if start == "pretrained":
        path = model_file(session.model)
        assert path is not None  # noqa: S101 - `initial_weights` checks it.
        model = load_model(path)
        model.network.decoder.temperature = 1.0  # Fitted again after the training.
    else:
        model = PRESETS[session.model](class_names=class_names)
        if start == "imagenet":
            start_from_imagenet(model.network)
    model.set_thresholds(
        nms_threshold=session.nms_threshold,
        rpn_nms_threshold=session.rpn_nms_threshold,
    )
    if class_names != model.class_names:
        tell(
            f"{session.model}: new heads for the classes {', '.join(class_names)}; its "
            f"classes were {', '.join(model.class_names)}."
        )
        model = with_classes(model, class_names)
    if session.centered:
        model = centered(model)
    half = session.precision == "bfloat16"
    return in_precision(model, "mixed_bfloat16" if half else "float32")
