"""Training of a model, with logs, checkpoints and the best model; it can resume."""

import contextlib
import dataclasses
import math
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import keras

from claran.detection.detection_model import DetectionModel
from claran.fields.batches import (
    Batches,
    PipelineOptions,
    Source,
    Transform,
    training_batches,
)
from claran.io.atomic import replace_file
from claran.training.checkpoints import Checkpoints, save_and_discard
from claran.training.devices import check_same
from claran.training.group_training import GroupTraining
from claran.training.joint import JointTraining
from claran.training.journal import Journal
from claran.training.mean_models import step_file
from claran.training.precision import in_precision
from claran.training.progress import DelayedLogs, Guard, ProgressBar
from claran.training.recipes import Recipe
from claran.training.run_record import finish_run, open_run

__all__ = ["BEST", "TrainingOptions", "averaged_weights", "train"]

BEST, LAST, CHECKPOINTS = "best.keras", "last.keras", "checkpoints"
_SILENT: Any = 0  # `fit` is annotated to take a string.
KEPT_NAMES = 8  # Batches; `fit` looks two ahead, and the guard one back.


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingOptions:
    """Options of a training that are not in the recipe.

    Attributes:
        output: Output folder; a training in it resumes.
        seed: Seed of the order of the fields, their augmentation and the sampling.
        save_every: Number of steps between checkpoints, and between rows of the log.
        validate_every: Number of checkpoints between validations.
        slots: Largest number of objects in a field.
        islands: Islands of a field that are learned from, the largest ones; for
            networks that see islands.
        keep_models: Whether each model that is validated is kept, as
            `step-NNNNNN.keras`.
        workers: Number of processes that make batches; 0 for a thread.
        size: Rows and columns of the images in a batch.

    Raises:
        ValueError: An interval is below 1.
    """

    output: Path
    seed: int = 0
    save_every: int = 500
    validate_every: int = 1
    slots: int = 128
    islands: int = 48
    keep_models: bool = False
    workers: int = 0
    size: tuple[int, int] = (128, 128)

    def __post_init__(self) -> None:
        for name in ("save_every", "validate_every"):
            if not getattr(self, name) >= 1:
                raise ValueError(
                    f"`{name}` must be at least 1, got {getattr(self, name)}."
                )


def train(
    model: DetectionModel,
    source: Source,
    *,
    recipe: Recipe,
    options: TrainingOptions,
    augment: Sequence[Transform] = (),
    validate: Callable[[], float] | None = None,
    settings: dict[str, Any] | None = None,
    tell: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Trains a model in place; a training in the output folder resumes.

    The folder then has `best.keras`, the best model by validation, and `last.keras`,
    both with averaged weights if the recipe averages; `log.csv`, `curves.png` and
    `tensorboard`; `checkpoints`; and `run.json` with all settings.

    With several devices, make the network and call this function in
    `claran.training.devices.data_parallel`. Of several processes only the first one
    writes, and all must see the folder.

    Args:
        model: The model, with the initial weights.
        source: Fields to train on.
        recipe: See `Recipe`.
        options: See `TrainingOptions`.
        augment: Transforms that are applied to each field, in this order.
        validate: Returns the mean average precision of the model with its present
            weights. None for no validation; then the last model is the best.
        settings: Further values for `run.json`. A training resumes only with the same.
        tell: Receives messages for the user.

    Returns:
        `step`; `best`, with the best `validation_map` and its `step`, None without
        validation; and `seconds` of training.

    Raises:
        TrainingError: The folder has a training with other settings, or the loss
            diverged.
    """
    folder, writes = options.output, jax.process_index() == 0
    own = dataclasses.asdict(options) | dataclasses.asdict(recipe)
    unimportant = ("output", "workers", "keep_models")  # They do not change the result.
    own = {name: value for name, value in own.items() if name not in unimportant}
    record = open_run(folder, (settings or {}) | own, write=writes)
    if record["result"] is not None:
        tell(f"{folder}: this training has ended, see run.json. Nothing to do.")
        return record["result"]
    joint = _joint(model.network, recipe, options.seed)
    checkpoints = Checkpoints(folder / CHECKPOINTS, tell=tell, write=writes)
    state = checkpoints.restore(joint)
    check_same(state["step"] if state else 0)
    pipeline = PipelineOptions(
        batch_size=recipe.batch_size, slots=options.slots, size=options.size,
        seed=options.seed,
        islands=options.islands if model.network.sees_islands else 0,
        workers=options.workers, shard=jax.process_index(), shards=jax.process_count(),
    )  # fmt: skip
    with training_batches(
        source, model.preprocessor, augment=augment, options=pipeline
    ) as batches:
        if state is None:
            state = {"step": 0, "data": batches.get_state(), "best": None, "seconds": 0}
        else:
            tell(f"{folder}: resumes from step {state['step']} of {recipe.steps}.")
            batches.set_state(state["data"])
        keeper = Keeper(
            joint, model, checkpoints, state, recipe=recipe, options=options,
            validate=validate, writes=writes,
        )  # fmt: skip
        if state["step"] < recipe.steps:
            _fit(joint, batches, keeper, recipe, options, writes=writes, tell=tell)
        else:  # It was interrupted after its last step.
            joint.optimizer.finalize_variable_values(joint.trainable_variables)
    result = {name: keeper.state[name] for name in ("step", "best", "seconds")}
    for name in [LAST] if result["best"] else [LAST, BEST]:
        _save_model(folder / name, model, write=writes)  # `fit` ends with the averages.
    if writes:
        finish_run(folder, record, result)
    return result


@contextlib.contextmanager
def averaged_weights(joint: JointTraining) -> Iterator[None]:
    """Context in which the network has its averaged weights.

    Args:
        joint: The training; its optimizer averages if the recipe says so.
    """
    variables = joint.trainable_variables
    raw = [variable.value for variable in variables]
    joint.optimizer.finalize_variable_values(variables)
    try:
        yield
    finally:
        for variable, value in zip(variables, raw, strict=True):
            variable.assign(value)


class Keeper(keras.callbacks.Callback):
    """At the end of each epoch of `fit`: validates, logs, and saves a checkpoint.

    Args:
        joint: The training.
        model: The model that is trained.
        checkpoints: Folder of the checkpoints.
        state: State of the checkpoint that training starts from.
        recipe: See `Recipe`.
        options: See `TrainingOptions`.
        validate: See `train`.
        writes: Whether this process writes.
    """

    def __init__(
        self,
        joint: JointTraining,
        model: DetectionModel,
        checkpoints: Checkpoints,
        state: dict[str, Any],
        *,
        recipe: Recipe,
        options: TrainingOptions,
        validate: Callable[[], float] | None,
        writes: bool,
    ) -> None:
        super().__init__()
        self.joint = joint
        self.detector = model
        self.checkpoints = checkpoints
        self.state = state
        self.recipe = recipe
        self.options = options
        self.validate = validate
        self.journal = Journal(options.output, state["step"]) if writes else None
        self._began = math.nan

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
        self._began = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        seconds = time.monotonic() - self._began
        step = min((epoch + 1) * self.options.save_every, self.recipe.steps)
        count = (step - self.state["step"]) * self.recipe.batch_size
        speed = {"images_per_second": round(count / seconds, 2)}
        row = {"step": step, **(logs or {}), **speed}
        self.state |= {
            "step": step,
            "data": self.state["data"] | {"next_batch": step},
            "seconds": round(self.state["seconds"] + seconds, 1),
        }
        last = step == self.recipe.steps
        due = last or (epoch + 1) % self.options.validate_every == 0
        if self.validate is not None and due:
            row["validation_map"] = self._validate(self.validate, step)
        if self.journal is not None:
            self.journal.add(row)
        self.checkpoints.save(self.joint, self.state)

    def _validate(self, validate: Callable[[], float], step: int) -> float:
        best, folder = self.state["best"], self.options.output
        write = self.journal is not None
        with averaged_weights(self.joint):
            score = validate()
            if self.options.keep_models or step > self.recipe.steps_before_mean:
                _save_model(step_file(folder, step), self.detector, write=write)
            # Without a labelled object scores are NaN, and the latest model is taken.
            if best is None or not score <= best["validation_map"]:
                self.state["best"] = {"step": step, "validation_map": score}
                _save_model(folder / BEST, self.detector, write=write)
        return score


def _save_model(path: Path, model: DetectionModel, *, write: bool) -> None:
    # The user's hardware may not support half precision.
    saved = in_precision(model, "float32")
    if write:
        replace_file(path, saved.save)
    else:
        save_and_discard(saved.save, path.name)


def _joint(network: Any, recipe: Recipe, seed: int) -> JointTraining:
    kind = GroupTraining if network.sees_islands else JointTraining
    joint = kind(network, rpn=recipe.rpn, head=recipe.head, seed=seed)
    joint.compile(optimizer=recipe.make_optimizer())
    joint.optimizer.build(joint.trainable_variables)
    return joint


def _fit(
    joint: JointTraining,
    batches: Batches,
    keeper: Keeper,
    recipe: Recipe,
    options: TrainingOptions,
    *,
    writes: bool,
    tell: Callable[[str], None],
) -> None:
    start, names = keeper.state["step"], {}
    guard = Guard(
        joint, options.output, names, start=start, end=recipe.steps, write=writes
    )
    callbacks: list[Any] = [guard, keeper]
    bar = ProgressBar(
        steps=recipe.steps, start=start, batch_size=recipe.batch_size, tell=tell
    )
    if writes:
        callbacks.insert(1, bar)
    epochs = math.ceil(recipe.steps / options.save_every)
    try:
        joint.fit(
            _feed(batches, names, start),
            epochs=epochs,
            initial_epoch=start // options.save_every,
            steps_per_epoch=options.save_every,
            shuffle=False,
            verbose=_SILENT,
            callbacks=DelayedLogs(callbacks, add_history=True, model=joint),
        )
    finally:
        bar.close()
        if keeper.journal is not None:
            keeper.journal.close()


def _feed(
    batches: Batches, names: dict[int, list[str]], start: int
) -> Iterator[tuple[dict[str, Any]]]:
    """Yields the arrays for each step, and keeps the names of the fields by step."""
    for step, batch in enumerate(batches, start):
        arrays: dict[str, Any] = dict(batch)
        names[step] = arrays.pop("names").tolist()
        names.pop(step - KEPT_NAMES, None)
        yield (arrays,)
