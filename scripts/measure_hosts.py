"""Measures how often hosts are right on simulated fields, see `docs/hosts.md`.

    python scripts/measure_hosts.py --fields=1000
    python scripts/measure_hosts.py --fields=1000 --images

Fields are those of `--data=simulated/first`. Candidates are the true hosts that W1
detects and unrelated ones as numerous as in W1, in a table as a catalog gives it, or
with `--images`, the sources measured on the simulated W1 images. Islands are given as
they belong to sources. Printed is a Markdown table, with 95% intervals.
"""

import numpy as np
from absl import app, flags
from host_fields import Sample, simulate
from scipy import stats

from claran.evaluation.host_shares import binned_error
from claran.hosts.likelihood import Hosts, choose_hosts, estimate_prior

FLAGS = flags.FLAGS
flags.DEFINE_integer("fields", 1000, "Number of fields.", lower_bound=1)
flags.DEFINE_integer("seed", 11, "Seed of the fields.")
flags.DEFINE_boolean("images", False, "Whether to measure candidates on W1 images.")


def share_text(hits: np.ndarray) -> str:
    """Returns a share with its 95% interval."""
    test = stats.binomtest(int(hits.sum()), len(hits))
    interval = test.proportion_ci(method="wilson")
    return f"{test.statistic:.3f} ({interval.low:.3f} to {interval.high:.3f})"


def table_row(
    name: str, chosen: np.ndarray, sample: Sample, hosts: Hosts, truth: np.ndarray
) -> str:
    """Returns the row of some sources."""
    has = chosen & (truth >= 0)
    first, best = hosts.index[:, 0], hosts.probability[:, 0]
    right = (first == truth) & (truth >= 0)
    decided = np.where(best > hosts.none, right, truth < 0)
    cells = [
        name, str(chosen.sum()), str(has.sum()),
        share_text((sample.nearest() == truth)[has]), share_text(right[has]),
        share_text(decided[chosen]), f"{best[chosen].mean():.3f}",
        f"{right[chosen].mean():.3f}",
        f"{binned_error(best[chosen], right[chosen]):.3f}",
        f"{binned_error(hosts.none[chosen], (truth < 0)[chosen]):.3f}",
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |"


def main(_: list[str]) -> None:
    """Simulates, chooses and prints."""
    sample = simulate(FLAGS.fields, FLAGS.seed, images=FLAGS.images)
    truth = sample.truth()
    prior = estimate_prior(sample.densities, sample.wcs, sample.candidates)
    hosts = choose_hosts(sample.densities, sample.wcs, sample.candidates, prior)
    say(f"{len(sample.candidates)} candidates, {3600 * sample.candidates.area_deg2:.0f}"
        f" square arcmin; share of hosts estimated {prior.share:.3f}, true "
        f"{(truth >= 0).mean():.3f}.\n")  # fmt: skip
    say("| sources | number | with host | nearest to flux center | most probable | "
        "right or rightly none | mean probability | share right | calibration error | "
        "of none |")  # fmt: skip
    say("|---|---|---|---|---|---|---|---|---|---|")
    parts = {"all": np.ones(len(truth), bool), "extended": sample.codes != "1_1"}
    parts |= {code: sample.codes == code for code in sorted(set(sample.codes))}
    for name, chosen in parts.items():
        say(table_row(name, chosen, sample, hosts, truth))


def say(text: str) -> None:
    """Prints a line now."""
    print(text, flush=True)  # noqa: T201


if __name__ == "__main__":
    app.run(main)
