r"""Times this checkout against an older commit, both in one run, as ratios.

  python scripts/compare_commits.py --old=741d48c

The older commit is checked out beside this one, in a temporary folder, and runs in the
same environment. Runs of the two alternate; the fastest of each counts. Fields have
FIRST's beam, noise and density of sources. Compiled programs are kept between runs, so
that a first run of each is not counted.
"""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from absl import app, flags
from astropy.io import fits
from scipy import ndimage

flags.DEFINE_string("old", "741d48c", "Commit to compare with.")
flags.DEFINE_integer("repeats", 3, "Runs of each measurement.", lower_bound=1)
flags.DEFINE_integer("files", 612, "Fields of 100 x 100 pixels.", lower_bound=1)
flags.DEFINE_integer("side", 3000, "Side of the large field, pixels.", lower_bound=200)
flags.DEFINE_multi_enum(
    "measure",
    ["detect", "predict", "counting"],
    ["detect", "predict", "counting"],
    "What to measure; may be repeated.",
)
FLAGS = flags.FLAGS

ROOT = Path(__file__).resolve().parents[1]
DENSITY = 25e-6  # Sources a pixel: FIRST's 1,690 in 8,192 x 8,192 pixels.

DETECT = """
import json, resource, sys, time
import claran
from claran import accelerator
accelerator.use_accelerator("cpu")
detector = claran.Detector.from_preset("claran_first")
path, repeats, warm = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "warm"
if warm:
    detector.detect(path)
times = []
for _ in range(repeats):
    start = time.perf_counter()
    detector.detect(path)
    times.append(time.perf_counter() - start)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
print(json.dumps({"seconds": min(times), "GB": peak}))
"""

COUNT = """
import json, resource, sys, time
from pathlib import Path
import numpy as np
import claran
# Not by an `ImportError`: an editable installation finds the modules of this checkout.
if Path(claran.__file__).with_name("survey").exists():
    from claran.survey.counting import FieldIslands, recount
else:
    from claran.detection.counting import FieldIslands, recount
count = int(sys.argv[1])
rng = np.random.default_rng(0)
sky = Path(claran.__file__).with_name("sky")
grids = (1,) if (sky / "peak_counts.py").exists() else ()
side = 40 * int(np.ceil(np.sqrt(count)))
corner = rng.uniform(0, side - 8, (count, 2))
islands = FieldIslands(
    np.concatenate([corner, corner + rng.uniform(4, 8, (count, 2))], axis=1),
    rng.integers(1, 3, (count, *grids)),
)
rows = rng.integers(0, count, 2 * count)
boxes = islands.boxes[rows] + rng.normal(0, 1, (2 * count, 4))
names = ("1_1", "1_2", "1_3", "2_2", "2_3", "3_3")
labels, scores = rng.integers(1, 7, 2 * count), rng.uniform(0, 1, 2 * count)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
start = time.perf_counter()
recount(boxes, labels, scores, islands, names, trust=0.95)
seconds = time.perf_counter() - start
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
print(json.dumps({"seconds": seconds, "GB": peak / 1e6}))
"""


def main(_: list[str]) -> None:
    """Prints the table."""
    with _old_checkout() as old, tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        os.environ["JAX_COMPILATION_CACHE_DIR"] = str(work / "programs")
        trees = {"old": old, "new": ROOT}
        print(f"| measurement | {FLAGS.old} | now | old / now |\n|---|---|---|---|")  # noqa: T201
        if "detect" in FLAGS.measure:
            _detect_rows(trees, work)
        if "predict" in FLAGS.measure:
            _predict_row(trees, work)
        if "counting" in FLAGS.measure:
            for count in (1000, 2000, 3000, 10_000):
                # The old one takes minutes and all memory from there on.
                some = trees if count <= 3000 else {"new": ROOT}
                _row(f"counting, {count:,} islands", some, COUNT, [str(count)])


def _detect_rows(trees: dict[str, Path], work: Path) -> None:
    middle, large = work / "middle.fits", work / "large.fits"
    _write_field(middle, 640)
    _write_field(large, FLAGS.side)
    _row(
        "detect, 640 x 640 px, loaded", trees, DETECT,
        [str(middle), str(FLAGS.repeats), "warm"],
    )  # fmt: skip
    name = f"detect, {FLAGS.side} x {FLAGS.side} px"
    _row(name, trees, DETECT, [str(large), "1", "cold"])


def _row(name: str, trees: dict[str, Path], code: str, arguments: list[str]) -> None:
    found = {which: _fastest(tree, code, arguments) for which, tree in trees.items()}
    cells = {
        which: f"{one['seconds']:.3f} s, {one['GB']:.2f} GB"
        for which, one in found.items()
    }
    ratio = "-"
    if "old" in found:
        ratio = f"{found['old']['seconds'] / found['new']['seconds']:.1f}"
    print(f"| {name} | {cells.get('old', '-')} | {cells['new']} | {ratio} |")  # noqa: T201


def _fastest(tree: Path, code: str, arguments: list[str]) -> dict[str, float]:
    runs = [_run(tree, ["-c", code, *arguments]) for _ in range(1 + FLAGS.repeats)]
    results = [json.loads(run.strip().splitlines()[-1]) for run in runs[1:]]
    return min(results, key=lambda one: one["seconds"])


def _predict_row(trees: dict[str, Path], work: Path) -> None:
    (work / "fields").mkdir()
    for i in range(FLAGS.files):
        _write_field(work / "fields" / f"{i:05d}.fits", 100, seed=i)
    rates = {}
    for _ in range(1 + FLAGS.repeats):  # The first one compiles.
        for which, tree in trees.items():
            output = work / f"{which}.csv"
            code = (
                "import os, sys, time; start = time.perf_counter();"
                "import subprocess;"
                "subprocess.run([sys.executable, '-m', 'claran.main', *sys.argv[1:]],"
                "check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL);"
                "print(time.perf_counter() - start)"
            )
            arguments = [
                "--mode=predict", f"--radio={work / 'fields'}", "--batch_size=8",
                f"--output={output}", "--accelerator=cpu",
            ]  # fmt: skip
            seconds = float(_run(tree, ["-c", code, *arguments]).strip())
            rates.setdefault(which, []).append(FLAGS.files / seconds)
    old, new = max(rates["old"][1:]), max(rates["new"][1:])
    print(  # noqa: T201
        f"| predict, {FLAGS.files} files of 100 px, batch 8, start included | "
        f"{old:.0f} fields/s | {new:.0f} fields/s | {new / old:.2f} (now / old) |"
    )


def _run(tree: Path, arguments: list[str]) -> str:
    environment = os.environ | {"PYTHONPATH": str(tree)}
    run = subprocess.run(
        [sys.executable, *arguments],
        env=environment, cwd=tempfile.gettempdir(), capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    if run.returncode:
        raise RuntimeError(f"{tree}: {run.stderr.strip().splitlines()[-1]}")
    return run.stdout


@contextlib.contextmanager
def _old_checkout() -> Iterator[Path]:
    """Gives a folder with the older commit, for as long as it lasts."""
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder, "old")
        git = ["git", "-C", str(ROOT), "worktree"]
        subprocess.run(
            [*git, "add", "--quiet", "--detach", str(tree), FLAGS.old], check=True
        )
        try:
            yield tree
        finally:
            subprocess.run([*git, "remove", "--force", str(tree)], check=True)


def _write_field(path: Path, side: int, *, seed: int = 0) -> None:
    """Writes a field of FIRST's noise, beam and pixels, a third of its sources doubles.

    Independent of the simulator, so that both commits see the same sky.
    """
    rng = np.random.default_rng(seed)
    sigma = 3 / 2.355  # Pixels: a beam of 5.4".
    image = ndimage.gaussian_filter(rng.normal(size=(side, side)), sigma / 2**0.5)
    image *= 1.5e-4 / image.std()
    points = np.zeros((side, side))
    count = max(1, round(DENSITY * side**2))
    for _ in range(count):
        x, y = rng.uniform(10, side - 10, 2)
        flux = 1e-3 * (1 - rng.random()) ** (-1 / 1.2)
        angle, distance = rng.uniform(0, 2 * np.pi), rng.uniform(4, 20)
        shift = distance * np.array([np.cos(angle), np.sin(angle)])
        middle = np.array([x, y])
        places = [middle]
        if rng.random() < 1 / 3:
            places = [middle + shift, middle - shift]
        for px, py in places:
            row, column = np.clip([py, px], 0, side - 1).astype(int)
            points[row, column] += flux
    image += ndimage.gaussian_filter(points, sigma) * 2 * np.pi * sigma**2
    cards = fits.Header({"CTYPE1": "RA---SIN", "CTYPE2": "DEC--SIN"})
    cards["CRVAL1"], cards["CRVAL2"] = 180.0, 30.0
    cards["CRPIX1"] = cards["CRPIX2"] = side / 2 + 0.5
    cards["CDELT1"], cards["CDELT2"] = -1.8 / 3600, 1.8 / 3600
    cards["BMAJ"] = cards["BMIN"] = 5.4 / 3600
    fits.PrimaryHDU(image.astype(np.float32), cards).writeto(path)


if __name__ == "__main__":
    app.run(main)
