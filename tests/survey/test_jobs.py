"""Jobs on tiles: order, resuming, damage, full disks, errors, interrupts."""

import errno
import os
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from claran.errors import ImageError
from claran.survey import jobs as jobs_module
from claran.survey.jobs import Jobs

SETTINGS = {"seed": 1, "mosaic": "m.fits"}
ITEMS = [(number, slice(number, 2 * number)) for number in range(6)]


def square(context, item):
    """Squares a number, and notes the call in the folder of the context."""
    folder, offset = context
    with (folder / "calls").open("a") as calls:
        calls.write(f"{item[0]} ")
    if item[0] == 0:
        time.sleep(0.1)  # The first ends last.
    return {"square": np.array(item[0] ** 2 + offset), "file": np.arange(item[0])}


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "jobs"


@pytest.fixture
def begin(folder):
    """Runs `square`; returns the squares, the items it was called for, and messages."""

    def run(settings=SETTINGS, items=ITEMS, offset=0.5, stage="squares", **options):
        told = []
        calls = folder.parent / "calls"
        calls.write_text("")
        with Jobs(folder, settings, tell=told.append, **options) as jobs:
            found = list(jobs.run(stage, square, (folder.parent, offset), items))
        assert [one["file"].size for one in found] == [item[0] for item in items]
        made = sorted(map(int, calls.read_text().split()))
        return [float(one["square"]) for one in found], made, told

    return run


@pytest.fixture
def files(folder):
    return lambda: sorted(folder.rglob("*.npz"))


def content(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_results_come_in_order_and_once(begin, files):
    expected = [number**2 + 0.5 for number in range(6)]
    assert begin() == (expected, [0, 1, 2, 3, 4, 5], [])
    assert len(files()) == 6
    told = ["Resuming: 6 of 6 parts of squares are done."]
    assert begin() == (expected, [], told)
    # Others, in any order, are found too.
    assert begin(items=ITEMS[::-2]) == (
        [25.5, 9.5, 1.5],
        [],
        [told[0].replace("6", "3")],
    )


def opencv_threads(context, item):
    return {"threads": np.array(cv2.getNumThreads())}


def test_opencv_takes_no_cores_meanwhile(folder):
    before = cv2.getNumThreads()
    with Jobs(folder, SETTINGS) as jobs:
        (found,) = jobs.run("opencv", opencv_threads, None, [0])
    assert found["threads"] == 1
    assert cv2.getNumThreads() == before


def test_no_items_are_no_work(begin, folder):
    assert begin(items=[]) == ([], [], [])


def test_few_may_be_begun_ahead(begin, monkeypatch):
    monkeypatch.setattr(jobs_module, "AHEAD", 1)
    assert begin()[0] == [number**2 + 0.5 for number in range(6)]


def test_a_run_resumes_where_it_was_left(begin, folder, monkeypatch):
    monkeypatch.setattr(jobs_module, "AHEAD", 1)
    (folder.parent / "calls").write_text("")
    with Jobs(folder, SETTINGS) as jobs:
        results = jobs.run("squares", square, (folder.parent, 0.5), ITEMS)
        assert [next(results)["square"], next(results)["square"]] == [0.5, 1.5]
        results.close()
    begun = {int(one) for one in (folder.parent / "calls").read_text().split()}
    assert {0, 1} <= begun <= {0, 1, 2, 3}
    _, made, (message,) = begin()
    assert set(made) == set(range(6)) - begun
    assert message == f"Resuming: {len(begun)} of 6 parts of squares are done."


def test_other_settings_make_others_and_are_named(begin, folder, files):
    first = begin()[0]
    settings = {"seed": 2, "mosaic": "m.fits"}
    found, made, told = begin(settings)
    assert (found, made) == (first, [0, 1, 2, 3, 4, 5])
    assert told == [f"{folder}: made with another seed; starting again."]
    assert len(files()) == 12
    # A slip in a flag costs nothing.
    _, made, told = begin()
    assert made == []
    assert told[0] == f"{folder}: made with another seed; starting again."


@pytest.mark.parametrize("changed", [{"offset": 1.5}, {"stage": "others"}])
def test_other_contexts_and_stages_make_others(begin, changed):
    begin()
    assert begin(**changed)[1:] == ([0, 1, 2, 3, 4, 5], [])
    assert begin()[1] == []


def test_other_code_makes_others(begin, folder, monkeypatch):
    begin()
    monkeypatch.setattr(jobs_module, "code_fingerprint", lambda: "new")
    _, made, told = begin()
    assert made == [0, 1, 2, 3, 4, 5]
    assert told == [f"{folder}: made with another version of claran; starting again."]


@pytest.mark.parametrize("damage", ["flipped", "cut", "empty", "text", "other"])
def test_a_damaged_file_is_made_again_and_named(begin, files, damage):
    expected = begin()[0]
    hurt, other = files()[:2]
    content = bytearray(hurt.read_bytes())
    if damage == "flipped":
        content[content.index(b"NUMPY") + 90] ^= 1
    else:
        content = {
            "cut": content[:-30],
            "empty": b"",
            "text": b"{",
            "other": other.read_bytes(),
        }[damage]
    hurt.write_bytes(content)
    found, made, told = begin()
    assert (found, len(made)) == (expected, 1)
    assert told[1].startswith(f"{hurt}: damaged (")
    assert told[1].endswith("); making it again.")
    assert begin()[1] == []


@pytest.mark.parametrize("position", range(0, 700, 7))
def test_each_flipped_byte_is_noticed_or_harmless(begin, files, position):
    expected = begin(items=ITEMS[2:3])[0]
    (hurt,) = files()
    content = bytearray(hurt.read_bytes())
    content[position % len(content)] ^= 255
    hurt.write_bytes(content)
    assert begin(items=ITEMS[2:3])[0] == expected


def test_damaged_settings_are_told(begin, folder):
    begin()
    (folder / "settings.json").write_text("{")
    _, made, told = begin()
    assert made == []
    assert told[0].startswith(f"{folder / 'settings.json'}: damaged (Expecting")


def broken(context, item):
    if item == 3:
        raise context
    return {"item": np.array(item)}


@pytest.mark.parametrize(
    "error", [ImageError("m.fits: bad."), OSError(errno.EIO, "no", "m.fits")]
)
def test_an_error_is_raised_as_it_is_and_the_rest_is_kept(folder, files, error):
    found = []
    with pytest.raises(type(error)) as caught, Jobs(folder, SETTINGS) as jobs:
        found.extend(jobs.run("a", broken, error, range(6)))
    assert str(caught.value) == str(error)
    assert caught.value.__notes__ == ["This was item 3 of a."]
    assert [one["item"] for one in found] == [0, 1, 2] and len(files()) >= 3


def objects(context, item):
    return {"objects": np.array([{}])}


def test_objects_of_python_are_refused(folder, files):
    with pytest.raises(ValueError, match="Object arrays"), Jobs(folder, {}) as jobs:
        list(jobs.run("a", objects, None, [1]))
    assert files() == []


def large(context, item):
    return {"values": np.zeros(item)}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="limits sizes of files")
def test_a_full_disk_is_one_error_and_nothing_is_lost(folder, files):
    code = (
        "import resource, signal, sys\n"
        "from claran.survey.jobs import Jobs\n"
        "sys.path.insert(0, sys.argv[2])\n"
        "from test_jobs import large\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))\n"
        "try:\n"
        "    with Jobs(sys.argv[1], {}) as jobs:\n"
        "        list(jobs.run('a', large, None, [10, 20, 10_000, 30]))\n"
        "except OSError as error:\n"
        "    print(error.errno, error.filename, error)\n"
    )
    here = Path(__file__).parent
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder), str(here)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stderr == ""
    number, name, message = done.stdout.split(maxsplit=2)
    assert int(number) == errno.EFBIG
    assert name.startswith(str(folder)) and f"'{name}'" in message
    kept = content(folder / "stages")
    assert len(files()) >= 2 and set(kept) == set(files())
    with Jobs(folder, {}) as jobs:
        found = list(jobs.run("a", large, None, [10, 20, 10_000, 30]))
    assert [one["values"].size for one in found] == [10, 20, 10_000, 30]
    assert kept.items() <= content(folder).items()


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"), Jobs(tmp_path / "file" / "x", {}):
        pass


def vanish(context, item):
    if item == 1:
        context.rename(context.with_name("gone"))
    return {"item": np.array(item)}


def test_a_folder_that_vanishes_is_not_made_anew(folder):
    with (
        pytest.raises(FileNotFoundError, match=f"{folder}/stages/a"),
        Jobs(folder, {}) as jobs,
    ):
        list(jobs.run("a", vanish, folder, [0, 1]))
    assert not folder.exists()


def test_a_file_that_vanishes_is_named(folder, monkeypatch):
    monkeypatch.setattr(jobs_module, "SECONDS", 0.2)
    monkeypatch.setattr(jobs_module, "make_tile", lambda *_: None)
    with (
        pytest.raises(FileNotFoundError, match="npz: has been made, but is not there"),
        Jobs(folder, {}) as jobs,
    ):
        list(jobs.run("a", large, None, [1]))


def test_a_folder_is_for_one_process(begin, folder):
    with Jobs(folder, SETTINGS), pytest.raises(OSError, match="another claran is at"):
        begin()
    begin()


def test_only_its_own_files_are_removed(begin, folder):
    begin()
    mine = folder / "stages" / "squares" / "00" / "notes.txt"
    mine.parent.mkdir(exist_ok=True)
    mine.write_text("mine")
    with Jobs(folder, SETTINGS) as jobs:
        jobs.remove()
    assert list(content(folder)) == [mine]
    mine.unlink()
    for inside in mine.parents[0], mine.parents[1], mine.parents[2]:
        inside.rmdir()
    folder.rmdir()


def test_what_a_killed_process_left_is_removed(begin, folder, files):
    begin()
    partial = files()[0]
    partial.rename(partial.with_name(f".{partial.stem}.{16 * 'a'}.partial.npz"))
    with Jobs(folder, SETTINGS) as jobs:
        jobs.remove()
    assert not folder.exists()


@pytest.mark.parametrize(
    "options, message",
    [
        ({"workers": -1}, "`workers` must be 0 or more, got -1"),
        ({"workers": 1, "scheduler": "tcp://a:1"}, "Give `workers` or `scheduler`"),
    ],
)
def test_nonsense_is_refused(folder, options, message):
    with pytest.raises(ValueError, match=message):
        Jobs(folder, {}, **options)


def interrupt(context, item):
    if item == 2:
        raise KeyboardInterrupt
    time.sleep(0.01)
    return {"item": np.array(item)}


def test_an_interrupt_ends_the_run(folder, files):
    with pytest.raises(KeyboardInterrupt), Jobs(folder, {}) as jobs:
        list(jobs.run("a", interrupt, None, range(1000)))
    assert len(files()) < 500  # All of them would take ten seconds.
