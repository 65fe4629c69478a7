"""Measures how the network's judgments of groups are best read, as a table in Markdown.

`claran.detection.groupings.BELIEF` is where between independent evidence (0) and
beliefs (1) they are. For some values, this prints minus the mean logarithm of the
probability of what is true: of the groups that are sources, and of the others that they
are none, by source. The last column has the fraction of the sources of several islands
that are among the groups which the network gives more than 0.003 for some class. Fields
are simulated, with seeds that nothing else has.

    python scripts/measure_groupings.py
"""

import collections

import numpy as np
from absl import app, flags
from tqdm.auto import tqdm

from claran import accelerator
from claran.detection.counting import FAINT
from claran.detection.detector import Detector
from claran.detection.engine import window_detections
from claran.detection.field_results import PreparedField
from claran.detection.group_members import MEMBERS
from claran.detection.groupings import group_probabilities
from claran.fields.island_rows import island_owners
from claran.simulation.endless import SIMULATED, SimulatedFields

FLAGS = flags.FLAGS
flags.DEFINE_string("model", "claran_v1", "Preset or .keras file.")
flags.DEFINE_integer("fields", 300, "Fields of each survey.", lower_bound=1)
SURVEYS = ("first", "vlass", "racs", "emu", "lotss", "meerkat")
flags.DEFINE_multi_enum(
    "survey", SURVEYS, SURVEYS, "Survey to measure; may be repeated."
)

SEED = 2**32 + 1500
BELIEFS = (0.0, 0.25, 0.5, 0.75, 1.0)
LEAST = 1e-4  # Probability of what is true, at the least.

Groups = dict[tuple[int, ...], float]


def main(arguments: list[str]) -> None:
    """Prints the table."""
    if arguments[1:]:
        raise app.UsageError(f"unexpected argument {arguments[1]!r}.")
    accelerator.use_accelerator()
    engine = Detector.from_preset(FLAGS.model).engine
    print(f"| survey | {' | '.join(map(str, BELIEFS))} | judged |")  # noqa: T201
    print("|---" * (2 + len(BELIEFS)) + "|")  # noqa: T201
    for name in FLAGS.survey:
        number = SURVEYS.index(name)
        source = SimulatedFields(
            FLAGS.fields, seed=SEED + number, **SIMULATED[f"simulated/{name}"]
        )
        losses, sources = np.zeros(len(BELIEFS)), 0
        are_judged: list[bool] = []
        found = engine.network_outputs(range(len(source)), source.__getitem__)
        for _, prepared, outputs in tqdm(found, name, len(source), disable=None):
            assert isinstance(prepared, PreparedField)  # noqa: S101 - none is skipped.
            true, ignored = known_groups(prepared)
            groups = judged(prepared, outputs, ignored)
            losses += [loss(groups, true, belief) for belief in BELIEFS]
            sources += len(true)
            are_judged += [one in groups for one in true if len(one) > 1]
        row = " | ".join(f"{value:.3f}" for value in losses / sources)
        share = f"{np.mean(are_judged):.3f} of " if are_judged else ""
        print(f"| {name} | {row} | {share}{len(are_judged)} |", flush=True)  # noqa: T201


def judged(prepared: PreparedField, outputs: list, ignored: set[int]) -> Groups:
    """Returns the probability that the network gives each group of islands.

    Args:
        prepared: The field.
        outputs: Of the network.
        ignored: Islands of ignored sources; groups with one are left out.
    """
    groups: Groups = collections.defaultdict(float)
    for window, output in zip(prepared.windows, outputs, strict=True):
        found = window_detections(prepared.scene, prepared.field, window, output, FAINT)
        for members, score in zip(found[MEMBERS], found.scores, strict=True):
            islands = tuple(members[members >= 0].tolist())
            if islands and ignored.isdisjoint(islands):
                groups[islands] = min(groups[islands] + score, 1.0)
    return groups


def known_groups(
    prepared: PreparedField,
) -> tuple[set[tuple[int, ...]], set[int]]:
    """Returns the islands of each source, and those of ignored sources."""
    owners, ignored = island_owners(prepared.field), prepared.field.objects.ignored
    true, left_out = set(), set[int]()
    for source in set(owners.tolist()) - {-1}:
        islands = np.flatnonzero(owners == source).tolist()
        if ignored[source]:
            left_out.update(islands)
        else:
            true.add(tuple(islands))
    return true, left_out


def loss(groups: Groups, true: set[tuple[int, ...]], belief: float) -> float:
    """Returns minus the sum of the logarithms of the probabilities of what is true."""
    given = np.fromiter(groups.values(), float, len(groups))
    found = group_probabilities(list(groups), given, belief) if groups else given
    chances = dict(zip(groups, found.tolist(), strict=True))
    missed = len(true - chances.keys())
    right = [
        chance if islands in true else 1 - chance for islands, chance in chances.items()
    ]
    return -np.log(np.maximum(right, LEAST)).sum() - missed * np.log(LEAST)


if __name__ == "__main__":
    app.run(main)
