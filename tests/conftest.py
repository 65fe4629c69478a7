"""Set-up and fixtures that all tests share."""

import gc
import importlib
import json
import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["KERAS_BACKEND"] = "jax"
# What is compiled is compiled once for all tests, processes and runs.
os.environ["JAX_COMPILATION_CACHE_DIR"] = str(
    Path(__file__).resolve().parents[1] / ".pytest_cache" / "jax"
)
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
# On CPUs LLVM takes longer to optimize a program than a test takes to run it.
os.environ["XLA_FLAGS"] = " ".join(
    ["--xla_backend_optimization_level=0", os.environ.get("XLA_FLAGS", "")]
).strip()

import jaxtyping
import numpy as np
import pytest
from absl import flags
from absl.testing import flagsaver

# Shapes in signatures are checked while the tests run. Not in layers and models:
# Keras reads the signature of `__init__`, which the wrapper hides.
jaxtyping.install_import_hook(
    [
        "claran.ops",
        "claran.sky",
        "claran.fields",
        "claran.data",
        "claran.catalog",
        "claran.photometry",
        "claran.survey",
        "claran.evaluation",
    ],
    "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))",
)

ROOT = Path(__file__).resolve().parents[1]
SHARED = Path(os.environ.get("CLARAN_SHARED", ROOT.parent / "shared"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts files with slow tests first, so that no process waits for one at the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


def pytest_collection_finish() -> None:
    """Spares the garbage collector all that was imported: a tenth of the time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 10, 10)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20190101)


@pytest.fixture
def values(rng: np.random.Generator) -> np.ndarray:
    """Noise of 20 x 30 pixels; see `wcs`."""
    return rng.normal(size=(20, 30)).astype(np.float32)


@pytest.fixture
def wcs() -> Any:
    """The WCS of `values`: pixels of 1.8 arcsec about (180, 30) degrees."""
    from astropy.wcs import WCS  # noqa: PLC0415 - few tests need it

    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crpix = ["RA---SIN", "DEC--SIN"], [15.5, 10.5]
    wcs.wcs.crval, wcs.wcs.cdelt = [180.0, 30.0], [-5e-4, 5e-4]
    return wcs


@pytest.fixture
def hostile_settings() -> Callable[[], Any]:
    """Context with settings of Matplotlib that would break or change any figure."""
    import matplotlib  # noqa: PLC0415 - after the hook above

    settings: dict[Any, Any] = {
        "text.usetex": True, "image.origin": "lower", "axes.grid": True,
        "figure.autolayout": True, "savefig.bbox": "tight", "text.color": "red",
        "font.family": "No Such Font", "axes.unicode_minus": False, "font.size": 30.0,
        "figure.facecolor": "black", "axes.facecolor": "black", "savefig.dpi": 20,
        "savefig.transparent": True, "savefig.format": "pdf", "image.cmap": "jet",
        "axes.formatter.use_mathtext": True, "lines.linewidth": 9.0,
        "axes.prop_cycle": matplotlib.cycler(color=["red", "blue"]),
    }  # fmt: skip
    return lambda: matplotlib.rc_context(settings)


@pytest.fixture(scope="session")
def narrow() -> Callable[..., Any]:
    """Builds the detector ClaRAN v0.1, with so few channels that it is fast."""
    # Not at the top: Keras must load after the hook above, and not for `claran.data`.
    from claran.detection.presets import claran_v01  # noqa: PLC0415

    sizes = {
        "backbone_widths": [4, 8, 8, 8, 8],
        "rpn_width": 8,
        "head_width": 16,
        "image_size": 64,
    }
    return lambda **options: claran_v01(**(sizes | options))


@pytest.fixture(scope="session")
def narrow_path(
    narrow: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The file of a narrow detector."""
    path = tmp_path_factory.mktemp("models") / "narrow.keras"
    narrow().save(path)
    return path


TINY = {
    "widths": (4, 4, 8, 8), "depths": (1, 1, 1, 1), "features": 8, "rpn_width": 8,
    "head_width": 8,
}  # fmt: skip


@pytest.fixture(scope="session")
def tiny_channels() -> Callable[..., Any]:
    """Builds the detector claran_first, with so few channels that it is fast."""
    from claran.detection.presets import claran_first  # noqa: PLC0415 - as above

    return lambda **options: claran_first(**(TINY | options))


@pytest.fixture(scope="session")
def tiny_groups() -> Callable[..., Any]:
    """Builds the detector claran_v1, with so few channels that it is fast."""
    from claran.detection.presets import claran_v1  # noqa: PLC0415 - as above

    return lambda **options: claran_v1(**(TINY | options))


@pytest.fixture(scope="session")
def d1_path(
    narrow: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The file of a narrow detector that needs no infrared."""
    path = tmp_path_factory.mktemp("models") / "d1.keras"
    narrow(method="D1").save(path)
    return path


@pytest.fixture(scope="session")
def save_old() -> Callable[..., None]:
    """Saves a network as claran did before detectors were saved whole.

    The keys and classes are those of a file of commit 741d48c.
    """

    def save(
        model: Any, path: Path, *, fusion: str, beam: float | None, count_trust: float
    ) -> None:
        model.network.save(path)
        with zipfile.ZipFile(path) as archive:
            contents = {name: archive.read(name) for name in archive.namelist()}
        config = json.loads(contents["config.json"])
        values = config["config"]
        values["detections"] = values.pop("decoder") | {
            "module": "claran.layers.detections",
            "class_name": "Detections",
            "registered_name": "claran>Detections",
        }
        values |= {
            "class_names": list(model.class_names),
            "fusion": fusion,
            "beam": beam,
            "count_trust": count_trust,
        }
        contents["config.json"] = json.dumps(config).encode()
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in contents.items():
                archive.writestr(name, content)

    return save


@pytest.fixture(scope="session")
def golden(request: pytest.FixtureRequest) -> Path:
    """The folder of vectors made with the original ClaRAN's own code.

    It is the full set, which does not ship: without it a test is skipped. What can be
    tested in any clone asks for the part that ships, by
    `pytest.mark.parametrize("golden", ["shipped"], indirect=True)`; and for the full
    set as well only where the part that ships is rounded or cut.
    """
    if getattr(request, "param", "full") == "full":
        return _shared("golden")
    shipped = request.getfixturevalue("shipped_golden")
    unpacked = request.getfixturevalue("tmp_path_factory").mktemp("shipped") / "golden"
    shutil.copytree(shipped, unpacked)
    for packed in unpacked.glob("*/files.npz"):
        with np.load(packed) as arrays:
            contents = np.split(arrays["content"], arrays["sizes"].cumsum()[:-1])
            for name, content in zip(arrays["names"], contents, strict=True):
                file = packed.parent / str(name)
                file.parent.mkdir(exist_ok=True)
                file.write_bytes(content.tobytes())
    return unpacked


@pytest.fixture(scope="session")
def shipped_golden() -> Path:
    """The folder of the part of the golden vectors that ships."""
    return ROOT / "tests" / "golden"


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real FITS files and pictures."""
    return _shared("data")


def _shared(name: str) -> Path:
    folder = SHARED / name
    if not folder.is_dir():
        pytest.skip(f"needs {folder} (set CLARAN_SHARED to the folder that holds it)")
    return folder


@pytest.fixture
def claran(
    narrow_path: Path,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., tuple[Any, str, str]]:
    """Runs the command as the shell would; the narrow detector is its default."""
    # The flag saver takes away flags that came later, such as those of grain's import.
    import grain  # noqa: F401, PLC0415

    from claran import main as claran_main  # noqa: PLC0415 - as above

    for name in set(claran_main.MODES.values()):  # The flag saver forgets new flags.
        importlib.import_module(f"claran.commands.{name}")
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, model: Path | None = narrow_path) -> tuple[Any, str, str]:
        with flagsaver.flagsaver():
            flags.FLAGS.unparse_flags()
            if model:
                flags.FLAGS.set_default("model", str(model))
            given = ["claran", *arguments]
            try:
                status = claran_main.main(claran_main.parse_flags(given))
            except SystemExit as end:
                status = end.code
        return status, *capsys.readouterr()

    return run


@pytest.fixture
def assert_fails() -> Callable[[tuple[Any, str, str], str], None]:
    """Holds what the command returned against a message: one line, no traceback."""

    def check(found: tuple[Any, str, str], message: str) -> None:
        status, _, errors = found
        assert status == 1
        assert errors.startswith("claran: ") and errors.count("\n") == 1
        assert message in errors

    return check


@pytest.fixture
def program_folder(tmp_path):
    """The folder in which JAX keeps programs."""
    import jax  # noqa: PLC0415 - its settings come first

    names = "jax_compilation_cache_dir", "jax_enable_compilation_cache"
    before = {name: getattr(jax.config, name) for name in names}
    jax.config.update("jax_compilation_cache_dir", str(tmp_path / "jax"))
    yield tmp_path / "jax"
    for name, value in before.items():
        jax.config.update(name, value)
