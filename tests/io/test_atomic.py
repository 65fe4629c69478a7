"""Files that are whole or not there, under names that nobody can guess."""

import errno
import os
import stat
import threading

import pytest

from claran.io.atomic import beside, remove_unfinished, replace_file


def test_the_mode_is_that_of_any_new_file(tmp_path):
    replace_file(tmp_path / "new.txt", lambda partial: partial.write_text("new"))
    (tmp_path / "plain.txt").write_text("plain")
    modes = [stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()]
    assert len(modes) == 2 and modes[0] == modes[1]


def test_a_link_with_the_old_name_leads_nowhere(tmp_path):
    (tmp_path / "other").write_text("other")
    (tmp_path / ".a.partial.txt").symlink_to(tmp_path / "other")
    replace_file(tmp_path / "a.txt", lambda partial: partial.write_text("new"))
    assert (tmp_path / "other").read_text() == "other"
    assert (tmp_path / "a.txt").read_text() == "new"


def test_two_writers_of_one_file(tmp_path):
    path, both = tmp_path / "a.txt", threading.Barrier(2)

    def write(partial, text):
        partial.write_text(text)
        both.wait(20)

    threads = [
        threading.Thread(
            target=replace_file, args=(path, lambda p, t=text: write(p, t))
        )
        for text in "xy"
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_text() in ("x", "y") and list(tmp_path.iterdir()) == [path]


def test_names_as_long_as_the_file_system_takes(tmp_path):
    path = tmp_path / ("\N{ROCKET}" * 60 + ".ecsv")
    names = []
    replace_file(path, lambda partial: names.append(partial.name))
    assert path.exists() and names[0].endswith(".ecsv")


def test_what_killed_processes_left_is_removed_later(tmp_path):
    for name, age in ((".a.11.partial.txt", 1e4), (".a.22.partial.txt", 0)):
        left = tmp_path / name
        left.write_text("half")
        changed = left.stat().st_mtime - age
        os.utime(left, (changed, changed))
    replace_file(tmp_path / "a.txt", lambda partial: partial.write_text("new"))
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == [".a.22.partial.txt", "a.txt"]  # The second may be in use.


def test_an_end_in_the_middle_leaves_nothing(tmp_path):
    with beside(tmp_path / "file.txt"), beside(tmp_path / "f", folder=True) as folder:
        (folder / "part").write_text("half")
        assert len(list(tmp_path.iterdir())) == 2
        remove_unfinished()
        assert list(tmp_path.iterdir()) == []


def test_a_full_disk_names_the_file(tmp_path):
    def fail(partial):
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match=r"No space left on device: .*/a\.txt'"):
        replace_file(tmp_path / "a.txt", fail)
