import os
import subprocess
import sys

import jax
import pytest

from claran.accelerator import AcceleratorError, join_processes, use_accelerator


@pytest.fixture
def restored():
    """Puts JAX's settings back."""
    names = [
        "jax_platforms",
        "jax_default_device",
        "jax_compilation_cache_dir",
        "jax_persistent_cache_min_compile_time_secs",
        "jax_cpu_collectives_implementation",
    ]
    before = {name: getattr(jax.config, name) for name in names}
    yield
    for name, value in before.items():
        jax.config.update(name, value)


pytestmark = pytest.mark.usefixtures("restored")


@pytest.mark.parametrize("name", ["auto", "cpu"])
def test_device(name):
    device = use_accelerator(name)
    assert device == jax.devices()[0]
    assert jax.numpy.ones(2).devices() == {device}
    if name == "cpu":
        assert device.platform == "cpu"


@pytest.mark.parametrize("name, extra", [("tpu", "tpu"), ("gpu", "cuda1[23]")])
def test_missing_accelerator(name, extra):
    if any(device.platform == name for device in jax.devices()):
        pytest.skip(f"there is a {name} here")
    message = rf"no {name.upper()} here\. Install .*claran\[{extra}\].*accelerator=auto"
    with pytest.raises(AcceleratorError, match=message):
        use_accelerator(name)
    assert use_accelerator("cpu").platform == "cpu"  # As if nothing had been asked.


def python(code, platforms):
    """Runs code in a new process, as JAX looks for its devices once."""
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False,
        env=os.environ | {"JAX_PLATFORMS": platforms},
    )  # fmt: skip


@pytest.fixture(scope="module")
def kinds_here():
    """Kinds of devices that JAX finds when nothing is asked for."""
    code = "import jax; print(*{device.platform for device in jax.devices()})"
    return set(python(code, "").stdout.split())


@pytest.mark.parametrize(
    "platforms, kinds",
    [
        ("cuda", {"gpu"}),
        ("rocm", {"gpu"}),
        ("tpu", {"tpu"}),
        ("cuda,tpu", {"gpu", "tpu"}),
        ("nonsense", {"nonsense"}),
    ],
)
def test_platforms_that_are_not_here(platforms, kinds, kinds_here):
    assert kinds_here
    if kinds <= kinds_here:
        pytest.skip(f"there is {platforms} here")
    code = "from claran.accelerator import use_accelerator; use_accelerator()"
    done = python(code, platforms)
    assert done.returncode == 1
    line = done.stderr.splitlines()[-1]
    assert f"The environment variable JAX_PLATFORMS={platforms} names" in line


@pytest.mark.parametrize("index", [-1, len(jax.devices("cpu"))])
def test_missing_device(index):
    message = rf"--device_index={index}: there (is only one|are \d+) device"
    with pytest.raises(AcceleratorError, match=message):
        use_accelerator("cpu", index=index)


@pytest.mark.parametrize(
    "variables, expected",
    [
        pytest.param({"HOME": "{tmp}"}, "{tmp}/.cache/claran", id="home"),
        pytest.param(
            {"HOME": "/nowhere", "XDG_CACHE_HOME": "{tmp}/x"},
            "{tmp}/x/claran",
            id="xdg",
        ),
        pytest.param(
            {"HOME": "/nowhere", "JAX_COMPILATION_CACHE_DIR": "{tmp}/j"},
            "{tmp}/j",
            id="jax",
        ),
    ],
)
def test_place_of_compiled_programs(monkeypatch, tmp_path, variables, expected):
    for name in ("JAX_COMPILATION_CACHE_DIR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value.format(tmp=tmp_path))
    # JAX reads its variable when it is imported.
    jax.config.update(
        "jax_compilation_cache_dir", os.environ.get("JAX_COMPILATION_CACHE_DIR")
    )
    use_accelerator("cpu")
    assert jax.config.jax_compilation_cache_dir == expected.format(tmp=tmp_path)


def test_compiled_programs_are_kept(tmp_path):
    code = (
        "from claran.accelerator import use_accelerator; use_accelerator('cpu')\n"
        "import jax; jax.config.update("
        "'jax_persistent_cache_min_compile_time_secs', 0)\n"
        "jax.jit(lambda x: x + 1)(1.0)"
    )
    names = ("JAX_COMPILATION_CACHE_DIR", "XDG_CACHE_HOME")
    kept = {name: value for name, value in os.environ.items() if name not in names}
    environment = kept | {"HOME": str(tmp_path)}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    assert list((tmp_path / ".cache" / "claran").iterdir())


def test_alone_there_is_nobody_to_join(monkeypatch):
    for tasks in (None, "1"):
        monkeypatch.delenv("SLURM_STEP_NUM_TASKS", raising=False)
        if tasks:
            monkeypatch.setenv("SLURM_STEP_NUM_TASKS", tasks)
        join_processes()
    assert jax.process_count() == 1


def test_processes_that_cannot_join(monkeypatch):
    jax.numpy.ones(1).block_until_ready()  # JAX has begun: it is too late.
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "2")
    with pytest.raises(
        AcceleratorError,
        match=r"The 2 processes of this SLURM step cannot join: .*srun",
    ):
        join_processes()


def test_a_forked_process_is_told_that_it_cannot_compute():
    """It hung for ever."""
    code = (
        "import multiprocessing, warnings\n"
        "warnings.simplefilter('ignore')\n"  # JAX's own, of the fork.
        "from claran import accelerator\n"
        "accelerator.current_device()\n"
        "pool = multiprocessing.get_context('fork').Pool(1)\n"
        "try:\n"
        "    pool.apply_async(accelerator.check_not_forked).get(20)\n"
        "except accelerator.AcceleratorError as error:\n"
        "    print(error)\n"
        "pool.terminate()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert "multiprocessing.get_context('spawn')" in done.stdout, done.stderr
