"""Workers of Dask: the same results, one-line errors, no noise, nobody left behind."""

import itertools
import os
import signal
import subprocess
import sys
import textwrap

import numpy as np
import psutil
import pytest

import claran.survey
from claran.errors import ImageError
from claran.survey.jobs import Jobs

distributed = pytest.importorskip("distributed")
cluster = pytest.importorskip("claran.survey.dask_cluster")

FUNCTIONS = """
    import os, sys, time
    import numpy as np
    from claran.errors import ImageError

    class Context:
        def __init__(self, folder):
            self.folder = folder

        def __setstate__(self, state):
            self.__dict__ = state
            with (self.folder / f"loaded-{os.getpid()}").open("a") as loaded:
                loaded.write("x")

    def square(context, item):
        time.sleep(0.02)  # So that each worker has a part.
        return {
            "square": np.array(np.float32(item) ** 2 / 7),
            "jax": np.array("jax" in sys.modules),
            "threads": np.array(os.environ.get("OMP_NUM_THREADS", "")),
            "worker": np.array(os.getpid()),
        }

    def refuse(context, item):
        if item == 2:
            raise ImageError("m.fits: cannot be read; cut it.")
        if item == 3:
            raise TimeoutError("its own")
        return {"item": np.array(item)}

    def die(context, item):
        os.kill(os.getpid(), 9)

    def wait(context, item):
        time.sleep(0.2)
        return {"item": np.array(item)}
"""


@pytest.fixture
def functions(tmp_path, monkeypatch):
    """A module that worker processes can import as well."""
    (tmp_path / "functions_of_test.py").write_text(textwrap.dedent(FUNCTIONS))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "functions_of_test", raising=False)
    return __import__("functions_of_test")


def test_processes_make_what_threads_make(functions, tmp_path, monkeypatch, capfd):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    environment = dict(os.environ)
    context = functions.Context(tmp_path)
    with Jobs(tmp_path / "threads", {}) as jobs:
        expected = list(jobs.run("a", functions.square, context, range(40)))
    with Jobs(tmp_path / "processes", {}, workers=2, tell=print) as jobs:
        found = list(jobs.run("a", functions.square, context, range(40)))
        with pytest.raises(ImageError, match=r"^m.fits: cannot be read; cut it"):
            list(jobs.run("b", functions.refuse, None, range(3)))
        with pytest.raises(TimeoutError, match=r"^its own"):
            list(jobs.run("b", functions.refuse, None, [3]))
    for one, other in zip(expected, found, strict=True):
        np.testing.assert_array_equal(one["square"], other["square"])
        assert one["square"].dtype == other["square"].dtype == np.float32
    assert {int(one["worker"]) for one in expected} == {os.getpid()}
    workers = {int(one["worker"]) for one in found}
    assert len(workers) == 2 and not any(map(psutil.pid_exists, workers))
    assert {str(one["threads"]) for one in found} == {"1"}
    assert not any(one["jax"] for one in found)
    loaded = {path.name: path.read_text() for path in tmp_path.glob("loaded-*")}
    assert loaded == {f"loaded-{worker}": "x" for worker in workers}
    assert dict(os.environ) == environment
    assert capfd.readouterr() == ("", "")


def test_a_dead_worker_is_one_line(functions, tmp_path, capfd):
    with (
        pytest.raises(ChildProcessError, match=r"^--workers=1: worker processes died"),
        Jobs(tmp_path / "jobs", {}, workers=1) as jobs,
    ):
        list(jobs.run("a", functions.die, None, [1]))
    assert capfd.readouterr() == ("", "")


@pytest.mark.skipif(os.name == "nt", reason="sends signals")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_workers_end_with_the_command(functions, tmp_path, number):
    code = (
        "from functions_of_test import wait\n"
        "from claran.commands.interrupts import end_at_signals\n"
        "from claran.survey.jobs import Jobs\n"
        # What runs in the background of a script ignores interrupts.
        "import signal\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "end_at_signals(lambda: 'claran: stopped.')\n"
        "with Jobs('jobs', {}, workers=1) as jobs:\n"  # No `if __name__ == ...`.
        "    for _ in jobs.run('a', wait, None, range(100)):\n"
        "        print('one', flush=True)\n"
    )
    path = os.pathsep.join([str(tmp_path), *sys.path])
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": path}, start_new_session=True,
    ) as driver:  # fmt: skip
        assert driver.stdout and driver.stderr
        assert driver.stdout.readline() == "one\n"
        workers = psutil.Process(driver.pid).children(recursive=True)
        assert workers
        if number == signal.SIGKILL:
            driver.kill()
        else:
            os.killpg(driver.pid, number)  # As a terminal does.
        said = driver.stderr.read()
    assert said == ("" if number == signal.SIGKILL else "claran: stopped.\n")
    _, alive = psutil.wait_procs(workers, timeout=10)
    assert alive == []
    names = {path.name for path in (tmp_path / "jobs").rglob("*.npz")}
    assert names
    with Jobs(tmp_path / "jobs", {}) as jobs:
        jobs.remove()
    assert not (tmp_path / "jobs").exists()


@pytest.fixture
def scheduler():
    """The address of a running cluster."""
    with distributed.LocalCluster(
        n_workers=1, processes=False, protocol="tcp", dashboard_address="127.0.0.1:0",
        scheduler_kwargs={"dashboard": False},
    ) as running:  # fmt: skip
        yield running.scheduler_address


def test_a_running_scheduler_is_used(functions, tmp_path, scheduler, monkeypatch):
    context = functions.Context(tmp_path)
    with Jobs(tmp_path / "jobs", {}, scheduler=scheduler) as jobs:
        found = list(jobs.run("a", functions.square, context, range(5)))
    assert [float(one["square"]) for one in found] == [
        float(np.float32(number) ** 2 / 7) for number in range(5)
    ]
    with distributed.Client(scheduler, set_as_default=False) as client:
        assert client.nthreads()  # It still runs.
    monkeypatch.setattr(
        cluster, "code_fingerprint", map(str, itertools.count()).__next__
    )
    with (
        pytest.raises(ConnectionError, match="has another version of claran; install"),
        Jobs(tmp_path / "jobs", {}, scheduler=scheduler) as jobs,
    ):
        list(jobs.run("b", functions.square, context, range(5)))


def test_a_worker_without_claran_is_named(tmp_path, scheduler, monkeypatch):
    monkeypatch.setattr(cluster, "HAS_CLARAN", "1 / 0")
    with (
        pytest.raises(ConnectionError, match=r"^The worker at tcp://\S+ has no claran"),
        Jobs(tmp_path / "jobs", {}, scheduler=scheduler) as jobs,
    ):
        list(jobs.run("a", nothing, None, [1]))


def test_workers_are_waited_for(functions, tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "LOOKING", 0.1)
    with distributed.LocalCluster(
        n_workers=0, processes=False, protocol="tcp", dashboard_address="127.0.0.1:0",
        scheduler_kwargs={"dashboard": False}, threads_per_worker=1,
    ) as running:  # fmt: skip
        told = []

        def tell(message):
            told.append(message)
            running.scale(1)

        address = running.scheduler_address
        with Jobs(tmp_path / "jobs", {}, scheduler=address, tell=tell) as jobs:
            assert len(list(jobs.run("a", functions.wait, None, [1]))) == 1
    assert told == [f"--scheduler={address}: has no workers; waiting for one."]


def nothing(context, item):
    return {}


@pytest.mark.parametrize(
    "address, message",
    [
        ("tcp://127.0.0.1:1", r"Timed out trying to connect|TimeoutError"),
        ("nonsense", "missing port number in address 'nonsense'"),
        ("foo://127.0.0.1:1", "unknown address scheme 'foo'"),
    ],
)
def test_an_address_where_nobody_is(tmp_path, monkeypatch, address, message):
    monkeypatch.setattr(cluster, "CONNECTING", 0.3)
    with (
        pytest.raises(ConnectionError, match=message) as caught,
        Jobs(tmp_path / "jobs", {}, scheduler=address) as jobs,
    ):
        list(jobs.run("a", nothing, None, [1]))
    assert str(caught.value).startswith(f"--scheduler={address}: no scheduler of Dask")


def test_dask_is_named_where_it_is_missing(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    monkeypatch.delitem(sys.modules, "claran.survey.dask_cluster")
    monkeypatch.delattr(claran.survey, "dask_cluster")
    with pytest.raises(ValueError, match=r"pip install 'claran\[survey\]', or give"):
        Jobs(tmp_path / "jobs", {}, workers=1)
