"""Joint training of both stages of Faster R-CNN with Keras's `fit`.

One compiled step runs the backbone, makes proposals, samples targets for both stages,
and minimizes the sum of their four losses (Ren et al. 2015, arXiv:1506.01497,
"approximate joint training"), as ClaRAN did.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np
from jaxtyping import Array, Float

from claran.models.faster_rcnn import FasterRcnn, Proposed
from claran.ops.targets import (
    HeadOptions,
    Objects,
    RpnOptions,
    Targets,
    head_targets,
    rpn_targets,
)

__all__ = ["LOSSES", "JointTraining"]

LOSSES = ("rpn_class", "rpn_box", "head_class", "head_box")
"""Names of the four losses, in the order of logs."""

_SEED_STATE = "seed_generator_state"


class JointTraining(keras.Model):
    """A network with its losses; `compile` it with an optimizer, then `fit`.

    The data are batches of `claran.fields.batch_rows.Batch` without `names`. The logs
    are the four losses, their sum `loss`, and `gradient_norm` before clipping, as means
    over the epoch, and the `learning_rate` of the last step. Saved weights include the
    states of all random generators.

    Args:
        network: The network, which is trained in place.
        rpn: How anchors are sampled for the loss.
        head: How proposals are sampled for the loss.
        seed: Seed of all random numbers.
        **kwargs: Arguments of `keras.Model`.
    """

    LOSSES = LOSSES

    def __init__(
        self,
        network: FasterRcnn,
        *,
        rpn: RpnOptions = RpnOptions(),
        head: HeadOptions = HeadOptions(),
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.autocast = False  # See `FasterRcnn`.
        self.network = network
        self.rpn_options = rpn
        self.head_options = head
        self.random = keras.random.SeedGenerator(seed, name="random")
        self.means = [
            keras.metrics.Mean(name=name)
            for name in (*self.LOSSES, "loss", "gradient_norm")
        ]
        self.built = True
        # All random numbers follow from `seed`, also those of dropout.
        for i, state in enumerate(self._random_states()):
            state.assign(np.array([seed + i, 0], np.uint32))

    @property
    def metrics(self) -> list[Any]:
        return self.means

    def call(
        self, batch: Mapping[str, Array], training: bool = False
    ) -> dict[str, Float[Array, ""]]:
        """Returns the four losses, means over the batch.

        Args:
            batch: See `claran.fields.batch_rows.Batch`.
            training: Whether dropout is on, and the number of proposals as in training.
        """
        info = batch["image_info"]
        objects = Objects(
            batch["boxes"], batch["labels"], batch["valid"], batch["ignored"]
        )
        proposed = self.network.propose(batch["images"], info, training=training)
        targets = self._draw(proposed, objects, info)
        return self.network.losses_from(proposed, *targets, training=training)

    def _draw(
        self, proposed: Proposed, objects: Objects, info: Float[Array, "b 3"]
    ) -> tuple[Targets, Float[Array, "b k 4"], Targets]:
        """Returns the targets of the RPN, and the sampled RoIs with their targets."""
        _, rows, columns, _ = proposed.features.shape
        anchors = jnp.asarray(self.network.rpn.anchors(rows, columns))
        offset = self.network.rpn.offset

        def draw(key, objects, rois, valid, info):
            first, second = jax.random.split(key)
            rpn = rpn_targets(
                first, anchors, objects, info[:2],
                options=self.rpn_options, offset=offset,
            )  # fmt: skip
            return rpn, *head_targets(
                second, rois, valid, objects, options=self.head_options, offset=offset
            )

        key: Any = self.random.next()
        keys = jax.random.split(key, len(info))
        return jax.vmap(draw)(keys, objects, proposed.rois, proposed.valid, info)

    def train_step(
        self, state: tuple[Any, ...], data: Any
    ) -> tuple[dict[str, Any], Any]:
        """Returns the logs and the state after one step; Keras compiles it."""
        trainable, fixed, optimizer, metrics = state
        batch: Any = keras.utils.unpack_x_y_sample_weight(data)[0]

        def total(trainable: Any) -> tuple[Array, Any]:
            called: Any = self.stateless_call(trainable, fixed, batch, training=True)
            losses, new = called
            return sum(losses.values(), start=jnp.zeros(())), (losses, new)

        run = jax.value_and_grad(total, has_aux=True)
        (loss, (losses, fixed)), gradients = run(trainable)
        mapping = list(zip(self.optimizer.variables, optimizer, strict=True))
        with keras.StatelessScope(state_mapping=mapping):
            # A tensor: without a schedule it is a variable, which cannot be returned.
            rate = keras.ops.convert_to_tensor(self.optimizer.learning_rate)
        trainable, optimizer = self.optimizer.stateless_apply(
            optimizer, gradients, trainable
        )
        squares = [jnp.vdot(g, g).astype(jnp.float32) for g in gradients]
        norm = jnp.sqrt(sum(squares))
        logs, metrics = self._track(
            metrics, losses | {"loss": loss, "gradient_norm": norm}
        )
        return logs | {"learning_rate": rate}, (trainable, fixed, optimizer, metrics)

    def _track(
        self, variables: list[Any], values: Mapping[str, Array]
    ) -> tuple[dict[str, Any], list[Any]]:
        """Returns the means with one more value, and their variables."""
        mapping = list(zip(self.metrics_variables, variables, strict=True))
        with keras.StatelessScope(state_mapping=mapping) as scope:
            for mean in self.means:
                mean.update_state(values[mean.name])
            logs = {mean.name: mean.result() for mean in self.means}
        return logs, [scope.get_current_value(v) for v in self.metrics_variables]

    # Keras 3.15 does not save the states of random generators.
    def save_own_variables(self, store: Any) -> None:
        for i, variable in enumerate(self._random_states()):
            store[str(i)] = variable.numpy()

    def load_own_variables(self, store: Any) -> None:
        for i, variable in enumerate(self._random_states()):
            variable.assign(store[str(i)])

    def _random_states(self) -> list[Any]:
        return [v for v in self.non_trainable_variables if v.path.endswith(_SEED_STATE)]
