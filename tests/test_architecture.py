"""The direction of imports inside claran, and what the repository may hold."""

import ast
import collections
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LARGEST_FILE = 500_000  # Bytes; the pre-commit hook holds new files to the same.

# What each part of claran may import of the others. A part is a package or a module
# directly below claran; "claran" itself is `claran/__init__.py`.
BELOW: dict[str, set[str]] = {
    "labels": set(),
    "errors": set(),
    "examples": set(),
    "weights": set(),
    "accelerator": {"errors"},
    "ops": set(),
    "layers": {"ops"},
    "models": {"labels", "ops", "layers"},
    "io": {"errors"},
    "sky": {"labels", "errors", "io"},
    "figures": {"labels", "errors", "io", "sky"},
    "fields": {"labels", "errors", "io", "sky", "figures"},
    "data": {"labels", "errors", "io", "sky", "fields"},
    "simulation": {"labels", "errors", "io", "sky", "fields"},
    "catalog": {"labels", "errors", "io", "sky"},
    "hosts": {"labels", "errors", "io", "sky", "catalog"},
    "kept_programs": {"accelerator", "io"},
    "photometry": {
        "labels",
        "errors",
        "io",
        "sky",
        "ops",
        "catalog",
        "accelerator",
        "kept_programs",
    },
    "plotting": {"labels", "errors", "sky", "fields", "figures"},
    "claran_rgz": {"labels", "errors", "io", "sky", "fields", "data", "simulation"},
}
BELOW["detection"] = set(BELOW) - {"data", "simulation", "claran_rgz"}
BELOW["survey"] = set(BELOW) - {"data", "simulation", "claran_rgz"}
BELOW["evaluation"] = set(BELOW) - {"survey", "claran_rgz"}
BELOW["training"] = set(BELOW) - {"survey", "claran_rgz"}
# The public names of all rooms but the command line's.
BELOW["claran"] = set(BELOW) - {"claran_rgz"}
BELOW["commands"] = set(BELOW)
BELOW["main"] = {"accelerator", "commands", "errors"}

# These run in worker processes, which must not touch the accelerator.
NUMPY_ONLY = {
    "labels", "errors", "io", "sky", "figures", "fields", "data", "simulation",
    "catalog", "hosts", "claran_rgz",
}  # fmt: skip
ACCELERATED = {"jax", "jaxlib", "keras"}


def imported(source: str, package: str) -> set[str]:
    """Returns the dotted names that the source of a module in `package` imports."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import():
                names |= {alias.name for alias in node.names}
            case ast.ImportFrom():
                names |= _from_import(node, package)
            case ast.Call(
                func=ast.Name(id=called) | ast.Attribute(attr=called),
                args=[ast.Constant(value=str(name)), *_],
            ) if called in ("import_module", "__import__"):
                names.add(name)
    return names


def _from_import(node: ast.ImportFrom, package: str) -> set[str]:
    base = node.module or ""
    if node.level:
        above = package.split(".")[: len(package.split(".")) - node.level + 1]
        base = ".".join([*above, base]).rstrip(".")
    if base != "claran":
        return {base}
    # `from claran import ops` names a part; a version is anybody's.
    names = {alias.name for alias in node.names} - {"__version__"}
    return {f"claran.{name}" for name in names}


def breaches(part: str, source: str, package: str | None = None) -> list[str]:
    """Returns a sentence for each rule that the source of a module in `part` breaks."""
    if part not in BELOW:
        return [f"`{part}` is not listed in BELOW"]
    found = []
    for name in sorted(imported(source, package or f"claran.{part}")):
        top, _, rest = name.partition(".")
        if top in ACCELERATED and part in NUMPY_ONLY:
            found.append(f"`{part}` imports {name}")
        if top not in ("claran", "claran_rgz"):
            continue
        other = rest.split(".")[0] if top == "claran" and rest else top
        if other != part and other not in BELOW[part]:
            found.append(f"`{part}` imports {name}")
    return found


def modules() -> list[tuple[str, str, Path]]:
    """Returns the part, the package and the file of every module we ship."""
    found = []
    for folder, top in (
        (ROOT / "claran", "claran"),
        (ROOT / "datasets/rgz", "claran_rgz"),
    ):
        for file in sorted(folder.rglob("*.py")):
            inside = file.relative_to(folder)
            package = ".".join([top, *inside.parts[:-1]])
            part = inside.parts[0].removesuffix(".py")
            if top != "claran" or part == "__init__":
                part = top
            found.append((part, package, file))
    return found


def packages() -> list[str]:
    """Returns every folder with Python in it, as a package."""
    return sorted({package for _, package, _ in modules()})


def tracked_files() -> list[Path]:
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    # Containers often check out as one user and test as another, which git refuses.
    git = ["git", "-c", f"safe.directory={ROOT}", "-C", str(ROOT)]
    listed = subprocess.run([*git, "ls-files", "-z"], check=True, capture_output=True)
    return [ROOT / name for name in listed.stdout.decode().split("\0") if name]


def too_large(files: list[Path], root: Path) -> list[str]:
    """Returns the files over the limit that are not weights, as paths below `root`."""
    names = [
        file.relative_to(root).as_posix()
        for file in files
        if file.is_file() and file.stat().st_size > LARGEST_FILE
    ]
    return [name for name in names if not name.startswith("claran/weights/")]


def test_imports_point_one_way():
    found = [
        f"{file.relative_to(ROOT)}: {breach}"
        for part, package, file in modules()
        for breach in breaches(part, file.read_text(), package)
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "part, source",
    [
        pytest.param("ops", "import jax\nfrom claran.ops import boxes", id="itself"),
        pytest.param("ops", "from . import boxes", id="relative"),
        pytest.param("ops", "from claran import __version__", id="version"),
        pytest.param("layers", "from claran.ops.boxes import iou", id="one below"),
        pytest.param("data", "import numpy\nimport jaxtyping", id="jaxtyping"),
        pytest.param("detection", "import jax", id="jax where allowed"),
        pytest.param("commands", "import claran.training.trainer", id="commands"),
        pytest.param("claran", "import_module('claran.detection')", id="lazy"),
        pytest.param("claran_rgz", "from .rgz_dataset_builder import B", id="builder"),
    ],
)
def test_checker_accepts(part, source):
    package = part if part.startswith("claran") else f"claran.{part}"
    assert breaches(part, source, package) == []


@pytest.mark.parametrize(
    "part, source, breach",
    [
        ("ops", "from claran import labels", "`ops` imports claran.labels"),
        ("ops", "import claran.layers.proposals", "imports claran.layers.proposals"),
        ("ops", "from ..layers import proposals", "`ops` imports claran.layers"),
        ("ops", "from .. import layers", "`ops` imports claran.layers"),
        ("ops", "import claran", "`ops` imports claran"),
        ("ops", "def f():\n    import claran.data", "`ops` imports claran.data"),
        ("ops", "importlib.import_module('claran.data')", "imports claran.data"),
        ("layers", "from claran import Detector", "imports claran.Detector"),
        ("models", "from claran import data", "`models` imports claran.data"),
        ("data", "import jax.numpy as jnp", "`data` imports jax.numpy"),
        ("data", "from keras import ops", "`data` imports keras"),
        ("simulation", "import jax", "`simulation` imports jax"),
        ("catalog", "from claran import models", "`catalog` imports claran.models"),
        ("plotting", "import claran.detection", "imports claran.detection"),
        ("detection", "from claran import main", "imports claran.main"),
        ("main", "import claran.training", "imports claran.training"),
        ("evaluation", "import claran.training", "imports claran.training"),
        ("detection", "import claran.survey", "imports claran.survey"),
        ("training", "import claran.survey", "imports claran.survey"),
        ("survey", "from claran import simulation", "imports claran.simulation"),
        ("claran_rgz", "import claran.ops", "`claran_rgz` imports claran.ops"),
        ("data", "import claran_rgz", "`data` imports claran_rgz"),
        ("utils", "", "`utils` is not listed in BELOW"),
    ],
)
def test_checker_refuses(part, source, breach):
    package = part if part.startswith("claran") else f"claran.{part}"
    (found,) = breaches(part, source, package)
    assert breach in found


def test_module_names_are_unique():
    names = collections.Counter(
        file.stem for part, _, file in modules() if file.stem != "__init__"
    )
    folders = {file.parent.name for _, _, file in modules() if file.stem != "__init__"}
    assert [name for name, count in names.items() if count > 1] == []
    # A module named like a room sends a newcomer to the wrong place.
    assert sorted(set(names) & folders) == []


def test_packages_of_pyproject_equal_the_tree():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert sorted(settings["tool"]["setuptools"]["packages"]) == packages()


def test_every_package_has_an_init():
    folders = {file.parent for _, _, file in modules()}
    bare = [str(folder) for folder in folders if not (folder / "__init__.py").is_file()]
    assert bare == []


def test_no_large_file_is_tracked():
    assert too_large(tracked_files(), ROOT) == []


def test_large_files_are_found(tmp_path):
    for name in "small.txt", "large.fits", "claran/weights/large.keras":
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(bytes(LARGEST_FILE + name.count("large")))
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert too_large([*files, tmp_path / "deleted"], tmp_path) == ["large.fits"]
