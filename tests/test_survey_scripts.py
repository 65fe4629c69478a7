"""The scripts that measure and kill --mode=survey, on catalogs and commands of ours."""

import signal
import sys
import textwrap
from pathlib import Path

import benchmark_survey
import kill_survey
import numpy as np
import pytest
import survey_truth

from claran.simulation.simulated_mosaic import simulate_mosaic

SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"


@pytest.fixture(scope="module")
def sky():
    return simulate_mosaic((1100, 1300), seed=1)


def perfect(sky):
    """Returns a catalog of all true components, each with its own source."""
    components = sky.components.copy()
    components["name"] = [f"C{n}" for n in components["component"]]
    components["source"] = [f"S{n}" for n in components["source"]]
    components["e_flux"] = 0.1 * np.asarray(components["flux"])
    sources = sky.sources.copy()
    sources["probability"] = 0.9
    return sources, components


def test_a_perfect_catalog_is_complete_and_reliable(sky):
    text = "\n".join(survey_truth.compare(*perfect(sky), sky.sources, sky.components))
    assert text.count(": 1.000 of") >= 10
    assert "reliability: 1.0000, 0 false" in text
    assert "flux / true: median 1.0000, scatter 0.000" in text
    assert "one island: right 1.000" in text
    assert "several islands: right 1.000" in text


def test_faults_of_a_catalog_show(sky):
    sources, components = perfect(sky)
    components["flux"] *= 1.1
    components.replace_column("source", ["one for all"] * len(components))
    components["x"][:5] = 5000.0  # Nothing is there.
    lines = survey_truth.compare(sources, components, sky.sources, sky.components)
    text = "\n".join(lines)
    assert "5 false" in text
    assert "flux / true: median 1.1000" in text
    assert "one island: joined to others 1.000" in text


def test_an_empty_catalog_can_be_compared(sky):
    sources, components = (table[:0] for table in perfect(sky))
    text = "\n".join(
        survey_truth.compare(sources, components, sky.sources, sky.components)
    )
    assert "0 sources, 0 components" in text and ": 0.000 of" in text


def test_nearest_pairs_match_first():
    true = np.array([[0.0, 0.0], [1.0, 0.0], [9.0, 9.0]])
    found = np.array([[0.9, 0.0], [20.0, 0.0], [0.4, 0.0]])
    assert survey_truth.match(true, found, 1.5).tolist() == [2, 0, -1]


PROGRAM = """
    import pathlib, subprocess, sys, time

    folder = pathlib.Path(sys.argv[-1].removeprefix("--output="))
    folder.mkdir(exist_ok=True)
    child = None
    if "orphan" in sys.argv:
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    for number in range(8):
        file = folder / str(number)
        if "sloppy" in sys.argv and file.exists():
            file.write_text("made twice")
        elif not file.exists():
            file.write_text(str(number))
        time.sleep(0.1)
    if child:
        child.kill()
"""


@pytest.mark.parametrize(
    "word, fault",
    [("good", None), ("sloppy", "differs"), ("orphan", "survived")],
)
def test_kill_script_finds(monkeypatch, tmp_path, word, fault):
    program = tmp_path / "program.py"
    program.write_text(textwrap.dedent(PROGRAM))
    command = [sys.executable, str(program), word]
    monkeypatch.setattr(kill_survey, "GRACE", 0.5)
    kill_survey.run(command, tmp_path / "alone")
    expected = kill_survey.hashes(tmp_path / "alone")
    folder = tmp_path / "trial"
    faults = kill_survey.trial(0, command, folder, [("KILL", 0.6)])
    faults += kill_survey.differences(expected, kill_survey.hashes(folder))
    assert len(expected) == 8
    assert fault in "; ".join(faults) if fault else faults == []


def test_status_of_a_killed_run(tmp_path):
    command = [sys.executable, "-c", "import time; time.sleep(30)"]
    status, left = kill_survey.run(command, tmp_path / "run", 0.3, "TERM")
    assert (status, left) == (-signal.SIGTERM, [])


def test_a_process_and_its_child_are_watched(tmp_path):
    stage = tmp_path / "unfinished" / "stages" / "islands"
    code = (
        "b = bytearray(200_000_000); import time, pathlib; time.sleep(0.5); "
        f"pathlib.Path({str(stage)!r}).mkdir(parents=True); time.sleep(1)"
    )
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {code!r}])"
    process = benchmark_survey.subprocess.Popen([sys.executable, "-c", parent])
    with benchmark_survey.Watch(process.pid, tmp_path) as watch:
        process.wait()
    assert 0.2e9 < watch.private < 0.3e9
    assert watch.private <= 1.05 * watch.total
    assert list(watch.begun) == ["start", "islands"]
    assert watch.begun["islands"][0] > 0.4
    times = benchmark_survey.stage_times({"start": (0, 0), "islands": (3, 2)}, (9, 5))
    assert times == {"start": (3, 2), "islands": (6, 3)}
