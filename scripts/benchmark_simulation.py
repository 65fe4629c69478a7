"""Times the simulator as the data set uses it: fields a second on all cores.

Run as `python scripts/benchmark_simulation.py`.
"""

import importlib
import itertools
import time

from absl import app, flags

from claran.data.parallel import cores, parallel_map

flags.DEFINE_integer("num", 1000, "Fields to time.", lower_bound=1)
FLAGS = flags.FLAGS

WARM_UP = 50  # Fields while the processes start and fill their caches.


def main(_: list[str]) -> None:
    """Prints the rate for both populations, fields handed to this process included."""
    make_example = importlib.import_module("claran_rgz.simulated").make_example
    for population, split in {"balanced": "train", "catalogue": "test"}.items():
        places = [(split, number) for number in range(WARM_UP + FLAGS.num)]
        examples = parallel_map(make_example, places)
        for _example in itertools.islice(examples, WARM_UP):
            pass
        start = time.perf_counter()
        count = sum(1 for _example in examples)
        rate = count / (time.perf_counter() - start)
        print(f"{population}: {rate:.0f} fields/s on {cores()} cores")  # noqa: T201


if __name__ == "__main__":
    app.run(main)
