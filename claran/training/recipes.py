"""Recipes of training: optimizer, schedule and sampling, for each preset."""

import dataclasses
import math
from typing import Any, Literal

import keras

from claran.ops.targets import HeadOptions, RpnOptions

__all__ = ["COMPACT", "FINE_TUNING", "GROUPS", "ORIGINAL", "RECIPES", "Recipe"]

ORIGINAL_STEPS = 80_000  # Of which the first 50,000 at the full rate.
EMA_STEPS = 1000  # Length of the moving average; shorter in short trainings.


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe:
    """Optimizer, schedule and sampling of a training.

    Attributes:
        optimizer: "adamw" (Loshchilov & Hutter 2019, arXiv:1711.05101) or "sgd" with a
            momentum of 0.9.
        schedule: "cosine" after a linear warm-up, or "step": a tenth of the rate after
            5/8 of the steps.
        steps: Batches to train on.
        batch_size: Fields in a batch, over all devices.
        learning_rate: Largest learning rate.
        warmup: Fraction of the steps in which the rate rises; for "cosine".
        weight_decay: Weight decay of kernels; for "adamw".
        clip_norm: Largest norm of the gradient; None for no limit.
        average: Whether models are saved with an exponential moving average of the
            weights, over the last 1,000 steps or a twentieth of all steps, whichever is
            less.
        mean_after: Fraction of the steps after which the models that are validated are
            kept; their mean is the one to use. None for the best of all.
        moves: Augmentation: "any" rotates by any angle, shifts and adds noise; "flip"
            only mirrors.
        rpn: How anchors are sampled for the loss.
        head: How proposals are sampled for the loss.

    Raises:
        ValueError: A value is out of range.
    """

    optimizer: Literal["adamw", "sgd"] = "adamw"
    schedule: Literal["cosine", "step"] = "cosine"
    steps: int = 20_000
    batch_size: int = 16
    learning_rate: float = 1e-3
    warmup: float = 0.03
    weight_decay: float = 0.05
    clip_norm: float | None = 10.0
    average: bool = True
    mean_after: float | None = None
    moves: Literal["any", "flip"] = "any"
    rpn: RpnOptions = RpnOptions(size=128)
    head: HeadOptions = HeadOptions(size=64)

    def __post_init__(self) -> None:
        if not 0 <= (self.mean_after or 0) < 1:
            raise ValueError(f"`mean_after` must be in [0, 1), got {self.mean_after}.")
        for name in ("steps", "batch_size"):
            if not getattr(self, name) >= 1:
                raise ValueError(
                    f"`{name}` must be at least 1, got {getattr(self, name)}."
                )
        if not 0 < self.learning_rate < 10:
            raise ValueError(
                f"`learning_rate` must be in (0, 10), got {self.learning_rate}."
            )

    @property
    def steps_before_mean(self) -> float:
        """Models of later steps are kept, and averaged; infinite for none."""
        return math.inf if self.mean_after is None else self.mean_after * self.steps

    def make_schedule(self) -> Any:
        """Returns the learning rate as a function of the step."""
        if self.schedule == "step":
            return keras.optimizers.schedules.PiecewiseConstantDecay(
                [self.steps * 5 // 8], [self.learning_rate, self.learning_rate / 10]
            )
        warmup = round(self.warmup * self.steps)
        return keras.optimizers.schedules.CosineDecay(
            0.0 if warmup else self.learning_rate,
            decay_steps=max(1, self.steps - warmup),
            warmup_target=self.learning_rate if warmup else None,
            warmup_steps=warmup,
        )

    def make_optimizer(self) -> keras.optimizers.Optimizer:
        """Returns the optimizer, not yet built."""
        shared: dict[str, Any] = {
            "learning_rate": self.make_schedule(),
            "global_clipnorm": self.clip_norm,
            "use_ema": self.average,
            "ema_momentum": 1 - 1 / min(EMA_STEPS, max(2, self.steps / 20)),
        }
        if self.optimizer == "sgd":
            return keras.optimizers.SGD(momentum=0.9, **shared)
        optimizer = keras.optimizers.AdamW(weight_decay=self.weight_decay, **shared)
        optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
        return optimizer


ORIGINAL = Recipe(
    optimizer="sgd",
    schedule="step",
    steps=ORIGINAL_STEPS,
    batch_size=1,
    learning_rate=0.001,
    clip_norm=None,
    average=False,
    moves="flip",
    rpn=RpnOptions(),
    head=HeadOptions(),
)
"""ClaRAN's own (Wu et al. 2019). The network freezes its first two blocks."""

COMPACT = Recipe(
    steps=6_000,
    # Its anchors are octaves apart: for a source in between few reach an IoU of 0.7.
    rpn=RpnOptions(size=128, positive=0.5),
    head=HeadOptions(size=64, positive_fraction=0.5),
)
"""For `claran_first`."""

GROUPS = dataclasses.replace(COMPACT, steps=6_500, mean_after=1 / 3)
"""For `claran_v1`."""

FINE_TUNING = dataclasses.replace(COMPACT, steps=1000, learning_rate=2e-4)
"""For a trained network."""

RECIPES = {"claran_v0.1": ORIGINAL, "claran_first": COMPACT, "claran_v1": GROUPS}
"""Recipes by preset, for a training from the start."""
