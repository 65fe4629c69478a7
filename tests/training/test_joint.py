import itertools

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

from claran.ops.targets import (
    HeadOptions,
    Objects,
    RpnOptions,
    head_targets,
    rpn_targets,
)
from claran.training.joint import LOSSES, JointTraining

RPN, HEAD = RpnOptions(size=32), HeadOptions(size=8)


@pytest.fixture
def joint(narrow):
    def joint(optimizer=None, **options):
        keras.utils.set_random_seed(1)
        model = JointTraining(narrow(**options).network, rpn=RPN, head=HEAD, seed=3)
        model.compile(optimizer=optimizer or keras.optimizers.SGD(0.01))
        return model

    return joint


def fit(model, batches, steps, **options):
    return model.fit(
        ((batch,) for batch in batches),
        steps_per_epoch=steps,
        shuffle=False,
        verbose=0,
        **options,
    ).history


def slow_losses(model, batch):
    """The same picture by picture, stage by stage, and with the key written out."""
    # What the generator's `next` gives first: its seed and a counter.
    keys = jax.random.split(jnp.array([3, 0], jnp.uint32), len(batch["images"]))
    network, found = model.network, []
    anchors = jnp.asarray(network.rpn.anchors(4, 4))

    @jax.jit
    def run(one, key):
        objects = Objects(one["boxes"], one["labels"], one["valid"], one["ignored"])
        info = one["image_info"]
        proposed = network.propose(one["images"][None], info[None], training=True)
        first, second = jax.random.split(key)
        rpn = rpn_targets(first, anchors, objects, info[:2], options=RPN, offset=1.0)
        rois, head = head_targets(
            second,
            proposed.rois[0],
            proposed.valid[0],
            objects,
            options=HEAD,
            offset=1.0,
        )
        add_batch = lambda tree: jax.tree.map(lambda array: array[None], tree)
        losses = network.losses_from(
            proposed, add_batch(rpn), rois[None], add_batch(head), training=False
        )
        return jnp.stack([losses[name] for name in LOSSES])

    for i, key in enumerate(keys):
        found.append(run({name: value[i] for name, value in batch.items()}, key))
    return np.mean(found, axis=0)


def test_losses_equal_the_loop_over_pictures(joint, make_batch):
    model, batch = joint(), make_batch(size=3)
    expected = slow_losses(model, batch)
    model.network.proposals.max_inputs = model.network.proposals.train_inputs
    model.network.proposals.max_outputs = model.network.proposals.train_outputs
    variables = [
        [v.value for v in part]
        for part in (model.trainable_variables, model.non_trainable_variables)
    ]
    run = jax.jit(lambda *state: model.stateless_call(*state, batch, training=False))
    losses, _ = run(*variables)
    np.testing.assert_allclose([losses[name] for name in LOSSES], expected, rtol=1e-4)
    assert (expected > 0).all()


def test_a_step_follows_the_gradient(joint, make_batch):
    model, batch = joint(), make_batch()
    before = [np.array(v) for v in model.trainable_variables]
    fixed = [v.value for v in model.non_trainable_variables]

    def total(values):
        losses, _ = model.stateless_call(values, fixed, batch, training=True)
        return sum(losses.values())

    loss, gradients = jax.jit(jax.value_and_grad(total))(before)
    (logs,) = (fit(model, [batch], 1),)
    norm = np.sqrt(sum((np.asarray(g) ** 2).sum() for g in gradients))
    assert logs["gradient_norm"][0] == pytest.approx(norm, rel=1e-3)
    assert logs["loss"][0] == pytest.approx(float(loss), rel=1e-4)
    assert logs["loss"][0] == pytest.approx(sum(logs[name][0] for name in LOSSES))
    for v, start, g in zip(model.trainable_variables, before, gradients, strict=True):
        np.testing.assert_allclose(v, start - 0.01 * g, atol=1e-6, err_msg=v.path)


def test_fit_learns_and_leaves_frozen_blocks(joint, make_batch):
    model = joint(keras.optimizers.AdamW(1e-3, global_clipnorm=1.0))
    frozen = [v for v in model.network.non_trainable_variables if "conv" in v.path]
    before = [np.array(v) for v in frozen]
    batches = itertools.cycle([make_batch(0), make_batch(1)])
    losses = fit(model, batches, 10, epochs=6)["loss"]
    assert losses[-1] < 0.7 * losses[0]
    assert len(frozen) == 8
    for v, start in zip(frozen, before, strict=True):
        np.testing.assert_array_equal(v, start)


def test_one_program_without_callbacks(joint, make_batch):
    model, batch = joint(), make_batch()
    model.optimizer.build(model.trainable_variables)
    state = model._get_jax_state(
        trainable_variables=True,
        non_trainable_variables=True,
        optimizer_variables=True,
        metrics_variables=True,
    )
    program = jax.jit(model.train_step).lower(state, (batch,)).as_text()
    assert "callback" not in program
    # The backbone runs once: 13 convolutions and 3 of the RPN forward; backward twice
    # each, less what frozen blocks do not need.
    forward_and_back = 13 + 3 + 2 * (9 + 3) - 1
    assert program.count("stablehlo.convolution") == forward_and_back


def test_saved_weights_go_on_as_if_never_stopped(joint, make_batch, tmp_path):
    optimizer = lambda: keras.optimizers.AdamW(1e-3, use_ema=True, ema_momentum=0.9)
    batches = [make_batch(i) for i in range(4)]
    path = tmp_path / "state.weights.h5"
    whole = joint(optimizer())
    save = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: epoch or whole.save_weights(path)
    )
    expected = fit(whole, batches, 2, epochs=2, callbacks=[save])
    resumed = joint(optimizer())
    resumed.optimizer.build(resumed.trainable_variables)
    resumed.load_weights(path)
    found = fit(resumed, batches[2:], 2)
    assert {name: [value[1]] for name, value in expected.items()} == found
    for v, w in zip(whole.variables, resumed.variables, strict=True):
        np.testing.assert_array_equal(v, w, err_msg=v.path)
