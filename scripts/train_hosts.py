"""Trains and measures the density of the places of hosts, see `docs/hosts.md`.

    python scripts/train_hosts.py --output=host_position.npz
    python scripts/train_hosts.py --measure=claran/weights/host_position.npz

The first command simulates sources, trains on them for some minutes on one core, and
measures the result on other simulated sources and, where CLARAN_SHARED/data is, on the
142 real hosts of `rgz_first_dev`. The second one only measures. Printed is a Markdown
table of the hosts within 3" (within 0.56 beams for surveys with another beam than
FIRST's), with 95% intervals, and of the hosts in the regions that should hold 50% and
90% of them.
"""

import math
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from absl import app, flags
from host_sources import SETS, Example, read_real, simulate_examples
from scipy import stats

from claran.hosts.position_density import (
    LARGEST,
    NARROWEST,
    OUTLIER_BEAMS,
    OUTLIERS,
    HostDensity,
    host_densities,
    read_network,
)
from claran.io.atomic import replace_file

FLAGS = flags.FLAGS
flags.DEFINE_string("output", None, "File to write the trained weights to (.npz).")
flags.DEFINE_string("measure", None, "Measure the weights of this file; train none.")
flags.DEFINE_integer("fields", 7000, "Simulated fields of the set of jets.")
flags.DEFINE_integer("passes", 12, "Passes over the training sources.")
flags.DEFINE_integer("seed", 11, "Seed of the simulation and of the training.")

# Fields of each of SETS, per field of the last; the surveys' have two sources.
SHARES = (0.5, 0.25, 1.0)
BROKEN = 0.1  # Of the sources of several islands, see `simulate_examples`.
HELD_OUT, HELD_OUT_SEED = 0.1, 12
WIDTH, LAYERS = 64, 3
BATCH, RATE, DECAY = 128, 3e-3, 1e-4
HIDDEN = 0.1  # Share of the landmarks that the network does not see in training.
ARCSEC, FIRST_BEAM = 3.0, 5.4


class Rows(NamedTuple):
    """Sources in arrays of equal numbers of landmarks; places are in beams.

    Attributes:
        features: (n, k, f), zero where there is no landmark.
        seen: (n, k) whether there is a landmark.
        places: (n, k, 2) in the frame of the source.
        reach: (n, k).
        hosts: (n, 2) in the frame of the source.
        sizes: (n,).
    """

    features: Any
    seen: Any
    places: Any
    reach: Any
    hosts: Any
    sizes: Any


def main(arguments: list[str]) -> None:
    """Trains or measures, as the flags say."""
    if arguments[1:]:
        raise app.UsageError(f"unexpected argument {arguments[1]!r}.")
    if (FLAGS.output is None) == (FLAGS.measure is None):
        raise app.UsageError("give --output=FILE.npz or --measure=FILE.npz.")
    if FLAGS.output:
        parts = simulated(1.0, FLAGS.seed, BROKEN).values()
        weights = train([example for part in parts for example in part])
        replace_file(Path(FLAGS.output), lambda path: save(path, weights))
    network = read_network(Path(FLAGS.output or FLAGS.measure))
    measure(lambda sources: host_densities(sources, network))


def save(path: Path, weights: dict[str, np.ndarray]) -> None:
    """Writes the weights; the name of the file may have any ending."""
    with path.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **weights)


def simulated(share: float, seed: int, broken: float = 0.0) -> dict[str, list[Example]]:
    """Returns simulated sources by the name of their set."""
    found = {}
    for data, part in zip(SETS, SHARES, strict=True):
        start = time.process_time()
        count = round(share * part * FLAGS.fields)
        found[data] = list(simulate_examples(data, count, seed, broken=broken))
        used = time.process_time() - start
        say(f"{data}: {len(found[data])} sources in {used:.0f} CPU s")
    return found


def train(examples: Sequence[Example]) -> dict[str, np.ndarray]:
    """Returns the weights of a network that was trained on some sources."""
    rows = to_rows(
        [one for one in examples if np.isfinite(one.landmarks.features).all()]
    )
    mean = rows.features[rows.seen].mean(axis=0)
    spread = rows.features[rows.seen].std(axis=0) + 1e-3
    shown = np.clip((rows.features - mean) / spread, -LARGEST, LARGEST)
    rows = rows._replace(features=shown)
    weights = initial(rows.features.shape[-1])
    moments = [jax.tree.map(jnp.zeros_like, weights) for _ in range(2)]
    rng, steps = np.random.default_rng(FLAGS.seed), max(1, len(rows.seen) // BATCH)
    step = 0
    for number in range(FLAGS.passes):
        total, order = 0.0, rng.permutation(len(rows.seen))
        for first in range(0, steps * BATCH, BATCH):
            batch = Rows(*(column[order[first : first + BATCH]] for column in rows))
            batch = batch._replace(seen=hide(rng, batch))
            step += 1
            rate = RATE * min(1, step / 100) * cosine(step / (steps * FLAGS.passes))
            weights, moments, loss = update(weights, moments, batch, step, rate)
            total += float(loss)
        say(f"pass {number + 1}: mean log likelihood {-total / steps:.3f}")
    weights = {name: np.asarray(value) for name, value in weights.items()}
    return weights | {"mean": mean, "spread": spread}


def to_rows(examples: Sequence[Example]) -> Rows:
    """Returns sources as arrays, in beams and in the frame of each."""
    marks = [example.landmarks for example in examples]
    shape = (len(marks), max(len(one) for one in marks))
    rows = Rows(
        np.zeros((*shape, marks[0].features.shape[1]), np.float32),
        np.zeros(shape, bool), np.zeros((*shape, 2), np.float32),
        np.ones(shape, np.float32), np.zeros((len(marks), 2), np.float32),
        np.array([one.size for one in marks], np.float32),
    )  # fmt: skip
    for i, (one, example) in enumerate(zip(marks, examples, strict=True)):
        rows.features[i, : len(one)] = one.features
        rows.seen[i, : len(one)] = True
        rows.places[i, : len(one)] = (
            (one.positions - one.center) @ one.axes.T / one.beam
        )
        rows.reach[i, : len(one)] = one.reach
        rows.hosts[i] = one.axes @ (example.host - one.center) / one.beam
    return rows


def hide(rng: np.random.Generator, rows: Rows) -> np.ndarray:
    """Returns which landmarks are seen when some are left out, one at least."""
    kept = rows.seen & (rng.random(rows.seen.shape) > HIDDEN)
    return np.where(kept.any(axis=1, keepdims=True), kept, rows.seen)


def cosine(share: float) -> float:
    """Returns the factor on the learning rate after a share of the training."""
    return 0.5 * (1 + math.cos(math.pi * share))


def initial(features: int) -> dict[str, Any]:
    """Returns random weights."""
    rng = np.random.default_rng(FLAGS.seed)
    sizes = [(features, WIDTH), *[(3 * WIDTH, WIDTH)] * (LAYERS - 1), (3 * WIDTH, 6)]
    weights = {}
    for i, (inputs, outputs) in enumerate(sizes):
        scale = 0.1 if outputs == 6 else 1.0
        kernel = scale * rng.standard_normal((inputs, outputs)) / math.sqrt(inputs)
        weights[f"kernel{i}"] = jnp.asarray(kernel, jnp.float32)
        weights[f"bias{i}"] = jnp.zeros(outputs)
    return weights


@jax.jit
def update(
    weights: Any, moments: Any, rows: Rows, step: int, rate: float
) -> tuple[Any, Any, Any]:
    """Returns weights and moments after one step of Adam with decay, and the loss."""
    loss, slopes = jax.value_and_grad(negative_log_likelihood)(weights, rows)
    norm = jnp.sqrt(sum((one**2).sum() for one in jax.tree.leaves(slopes)))
    slopes = jax.tree.map(lambda one: one / jnp.maximum(norm, 1), slopes)
    first = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, moments[0], slopes)
    second = jax.tree.map(lambda m, g: 0.99 * m + 0.01 * g**2, moments[1], slopes)

    def moved(weight: Any, m: Any, v: Any) -> Any:
        change = m / (1 - 0.9**step) / (jnp.sqrt(v / (1 - 0.99**step)) + 1e-8)
        return weight - rate * (change + DECAY * weight)

    return jax.tree.map(moved, weights, first, second), [first, second], loss


def negative_log_likelihood(weights: Any, rows: Rows) -> Any:
    """Returns the loss: that of `claran.hosts.position_density`, per square beam."""
    output = network(weights, rows)
    logs = jax.nn.log_softmax(jnp.where(rows.seen, output[..., 0], -1e9), axis=-1)
    reach = rows.reach[..., None]
    sigma = jnp.exp(jnp.clip(output[..., 3:5], -4, 4)) * reach + NARROWEST
    correlation = 0.95 * jnp.tanh(output[..., 5])
    mean = rows.places + output[..., 1:3] * reach
    x, y = jnp.moveaxis((rows.hosts[:, None] - mean) / sigma, -1, 0)
    free = 1 - correlation**2
    square = (x**2 - 2 * correlation * x * y + y**2) / free
    logs -= 0.5 * square + jnp.log(sigma).sum(axis=-1) + 0.5 * jnp.log(free)
    wide = OUTLIER_BEAMS + rows.sizes
    outside = -0.5 * (rows.hosts**2).sum(axis=-1) / wide**2 - 2 * jnp.log(wide)
    total = jnp.logaddexp(
        math.log(1 - OUTLIERS) + jax.scipy.special.logsumexp(logs, axis=-1),
        math.log(OUTLIERS) + outside,
    )
    return math.log(2 * math.pi) - total.mean()


def network(weights: Any, rows: Rows) -> Any:
    """Returns the outputs for each landmark, as `position_density.mixtures` does."""
    hidden, seen = rows.features, rows.seen[..., None]
    for layer in range(LAYERS + 1):
        if layer:
            mean = (hidden * seen).sum(axis=1) / seen.sum(axis=1)
            highest = jnp.where(seen, hidden, -1e9).max(axis=1)
            whole = jnp.concatenate([mean, highest], axis=-1)[:, None]
            whole = jnp.broadcast_to(whole, (*hidden.shape[:2], whole.shape[-1]))
            hidden = jnp.concatenate([hidden, whole], axis=-1)
        hidden = hidden @ weights[f"kernel{layer}"] + weights[f"bias{layer}"]
        if layer < LAYERS:
            hidden = jax.nn.silu(hidden)
    return hidden


def measure(densities: Callable[[list[Any]], list[HostDensity]]) -> None:
    """Prints how the densities agree with hosts that were not used for training."""
    parts = simulated(HELD_OUT, HELD_OUT_SEED)
    folder = Path(os.environ.get("CLARAN_SHARED", "")) / "data" / "rgz_first_dev"
    if folder.is_dir():
        real = list(read_real(folder))
        parts["rgz_first_dev"] = real
        for code in sorted({example.code for example in real}):
            some = [example for example in real if example.code == code]
            parts[f"rgz_first_dev, {code}"] = some
    say("| sources | number | density | nearest peak | flux center | box center | "
        "in 50% | in 90% | log density |")  # fmt: skip
    say("|---|---|---|---|---|---|---|---|---|")
    for name, examples in parts.items():
        say(table_row(name, examples, densities))


def table_row(
    name: str,
    examples: Sequence[Example],
    densities: Callable[[list[Any]], list[HostDensity]],
) -> str:
    """Returns the row of some sources."""
    found = densities([example.landmarks for example in examples])
    columns: list[list[bool]] = [[] for _ in range(6)]
    logs = []
    for example, density in zip(examples, found, strict=True):
        center = example.landmarks.center
        nearest = np.hypot(*(example.peaks - center).T).argmin()
        box = (example.box[:2] + example.box[2:]) / 2
        places = (density.best()[0], example.peaks[nearest], center, box)
        radius = ARCSEC / FIRST_BEAM * example.landmarks.beam
        for column, place in zip(columns[:4], places, strict=True):
            column.append(bool(np.hypot(*(place - example.host)) < radius))
        level = density.level(example.host)
        columns[4].append(level < 0.5)
        columns[5].append(level < 0.9)
        beams = density.scaled(1 / example.landmarks.beam)
        logs.append(beams.logpdf(example.host[None] / example.landmarks.beam)[0])
    cells = [
        name,
        str(len(examples)),
        *map(share_text, columns),
        f"{np.mean(logs):.2f}",
    ]
    return f"| {' | '.join(cells)} |"


def share_text(hits: Sequence[bool]) -> str:
    """Returns a share with its 95% interval."""
    test = stats.binomtest(sum(hits), len(hits))
    interval = test.proportion_ci(method="wilson")
    return f"{test.statistic:.2f} ({interval.low:.2f} to {interval.high:.2f})"


def say(text: str) -> None:
    """Prints a line now."""
    print(text, flush=True)  # noqa: T201


if __name__ == "__main__":
    app.run(main)
