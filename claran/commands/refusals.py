"""Flags that are of another mode, contradict each other or change nothing are refused.

This comes before anything is imported or read for the mode.
"""

import difflib
from collections.abc import Callable
from typing import NamedTuple

from absl import flags

from claran.commands.common import UsageError
from claran.commands.flag_table import MEANINGS, flags_of, modes_of
from claran.sky.surveys import SURVEYS

__all__ = ["refuse_flags", "unknown_flag"]

FLAGS = flags.FLAGS
SIMULATED = (
    "simulated", "simulated/balanced", "simulated/surveys",
    *(f"simulated/{name}" for name in SURVEYS),
)  # fmt: skip
"""Values of `--data` whose fields are made when needed."""


class Idle(NamedTuple):
    """Flags that change nothing in some modes under a condition."""

    modes: str
    where: Callable[[], bool]
    flags: str
    reason: str  # After "--flag: ".


def _given(name: str) -> bool:
    return FLAGS[name].present > 0


def _data() -> str:
    return FLAGS.data or ""


def _has_network() -> bool:
    return not _given("predictions") and FLAGS.model != "classical"


IDLE = (
    Idle(
        "demo predict", lambda: _given("image"), "survey beam",
        "--image is shown to the network as it is, whatever the beam; leave it out.",
    ),
    Idle(
        "demo predict", lambda: _given("image"), "hosts ir_catalog fetch",
        "hosts are looked for on the sky of --radio; leave it out of --image.",
    ),
    Idle(
        "predict", lambda: FLAGS.all_hypotheses, "hosts ir_catalog fetch",
        "hosts are those of a catalog; leave it out, or --all_hypotheses.",
    ),
    Idle(
        "eval", lambda: _given("predictions"),
        "model nms_threshold rpn_nms_threshold batch_size average hosts ir_catalog "
        "fetch", "--predictions are evaluated without a model; give one or the other.",
    ),
    Idle(
        "eval", lambda: FLAGS.model == "classical",
        "nms_threshold rpn_nms_threshold batch_size average hosts ir_catalog fetch",
        "--model=classical has no network; leave it out.",
    ),
    Idle(
        "eval", _has_network, "class_names",
        "a network has its own classes; leave it out, or give --predictions.",
    ),
    Idle(
        "preview eval train", lambda: not _data().startswith("rgz/"),
        "data_dir manual_dir",
        "is for a data set such as --data=rgz/pairs; leave it out.",
    ),
    Idle(
        "prepare preview eval train", lambda: _data().startswith("rgz/simulated"),
        "manual_dir", "simulated fields need no files; leave it out.",
    ),
    Idle(
        "prepare", lambda: not _data().startswith("rgz/simulated"), "beam_options",
        "Apache Beam makes simulated fields only, such as --data=rgz/simulated_100k; "
        "leave it out.",
    ),
    Idle(
        "eval", lambda: _data() in SIMULATED, "hosts ir_catalog fetch",
        "simulated fields are nowhere on the sky; leave it out.",
    ),
    Idle(
        "eval train", lambda: _data() in SIMULATED, "class_names survey beam",
        "simulated fields have their own classes and beam; leave it out.",
    ),
    Idle(
        "survey", lambda: _given("scheduler"), "workers",
        "--scheduler has workers of its own; give one or the other.",
    ),
    Idle(
        "demo predict survey eval", lambda: _given("ir_catalog"), "fetch hosts",
        "--ir_catalog has the candidates for hosts; give one or the other.",
    ),
    Idle(
        "demo predict survey eval", lambda: _given("fetch"), "hosts",
        "--fetch has the candidates for hosts; give one or the other.",
    ),
    Idle(
        "demo predict survey eval", lambda: not _given("fetch"), "fetch_cache offline",
        "is for --fetch; leave it out.",
    ),
    Idle(
        "train", lambda: FLAGS.validation_fields == 0, "validate_every",
        "--validation_fields=0 is a training without validation; leave one out.",
    ),
    Idle(
        "convert", lambda: _given("old_model"),
        "class_names image_size fusion anchor_scales anchor_ratios",
        "an old model knows it itself; leave it out.",
    ),
)  # fmt: skip


def refuse_flags(mode: str) -> None:
    """Refuses flags that were given and change nothing, and missing ones.

    Raises:
        UsageError: For the first of them; it says what to do.
    """
    given = [name for name in MEANINGS if _given(name)]
    for name in given:
        if mode not in modes_of(name):
            raise UsageError(
                f"--{name} is a flag of --mode={_listed(modes_of(name))}; leave it out "
                f"of --mode={mode}."
            )
    _refuse_images(mode)
    if mode == "convert" and bool(FLAGS.tf_checkpoint) == bool(FLAGS.old_model):
        raise UsageError(
            "Give either --tf_checkpoint, the path without .index and .data-..., or "
            "--old_model."
        )
    if mode == "survey" and not FLAGS.radio:
        raise UsageError("Give --radio, the mosaics, such as 'mosaics/*.fits'.")
    if mode == "train" and not FLAGS.output:
        raise UsageError("Give --output, the folder for the model and its logs.")
    if mode in modes_of("data") and not FLAGS.data:
        raise UsageError("Give --data, such as rgz/pairs or rgz/simulated_12k.")
    if mode in ("prepare", "preview") and FLAGS.data in SIMULATED:
        raise UsageError(
            f"--data={FLAGS.data} is for --mode=eval or train; write simulated fields "
            "with --mode=simulate or --mode=prepare --data=rgz/simulated_small."
        )
    if mode != "eval" and mode in modes_of("model") and FLAGS.model == "classical":
        raise UsageError("--model=classical is for --mode=eval; give a network.")
    for idle in IDLE:
        if mode in idle.modes.split() and idle.where():
            for name in idle.flags.split():
                if name in given:
                    raise UsageError(f"--{name}: {idle.reason}")


def unknown_flag(name: str) -> UsageError:
    """Returns the refusal of a flag that does not exist, with the nearest that does."""
    mode = FLAGS["mode"].value
    message = f"Unknown command line flag {name!r}"
    # A flag of another mode counts if none of this one is about as near.
    for known, least in (flags_of(mode) if mode else [], 0.7), (list(MEANINGS), 0.6):
        near = difflib.get_close_matches(
            name.lower(), [*known, "help", "version"], 1, least
        )
        if near:
            modes = modes_of(near[0])
            here = not modes or mode in modes
            elsewhere = "" if here else f" of --mode={_listed(modes)}"
            return UsageError(f"{message}; did you mean --{near[0]}{elsewhere}?")
    of_mode = f" --mode={mode}" if mode else ""
    return UsageError(f"{message}; see{of_mode} --help.")


def _refuse_images(mode: str) -> None:
    if mode not in modes_of("image"):
        return
    if FLAGS.image and (FLAGS.radio or FLAGS.ir):
        raise UsageError("Give either --radio (and --ir) or --image.")
    if mode == "predict" and not FLAGS.image and not FLAGS.radio:
        raise UsageError("Give either --radio (and --ir) or --image.")
    if FLAGS.ir and not FLAGS.radio:
        raise UsageError("--ir needs --radio, the radio image of the same field.")


def _listed(modes: tuple[str, ...]) -> str:
    *others, last = modes
    return f"{', '.join(others)} or {last}" if others else last
